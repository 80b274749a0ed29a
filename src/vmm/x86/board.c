/* The x86 board's interrupt controller, ports and vCPU starts; see arch.h. */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "proto/handoff.h"
#include "vmm/arch.h"
#include "vmm/x86/cpuid.h"

/*
 * IOAPIC pins: not 0 (Linux refuses it), 2 (the PIC's cascade), 4 (serial), nor 1, 8 and 13, which
 * kernels take for keyboard, clock and coprocessor without asking.
 */
const uint8_t arch_slot_gsis[ARCH_SLOT_GSIS] = {5,  6,  7,  9,  10, 11, 12, 14, 15,
                                                16, 17, 18, 19, 20, 21, 22, 23, 3};
const uint32_t arch_serial_gsi = 4;

/* Three pages that KVM needs on Intel hosts to run real mode, right below the BIOS of old. */
#define BOARD_IDENTITY_MAP 0xfffbc000ULL
#define BOARD_TSS          0xfffbd000UL

#define PORT_SERIAL    0x3f8
#define PORT_KEYBOARD  0x64
#define KEYBOARD_RESET 0xfe

int arch_vm_prepare(KvmVm *vm)
{
        uint64_t identity_map = BOARD_IDENTITY_MAP;
        int r;

        r = kvm_ioctl(vm->vm_fd, KVM_SET_IDENTITY_MAP_ADDR, &identity_map);
        if (r < 0)
                return r;
        r = kvm_ioctl_value(vm->vm_fd, KVM_SET_TSS_ADDR, BOARD_TSS);
        if (r < 0)
                return r;
        return kvm_ioctl_value(vm->vm_fd, KVM_CREATE_IRQCHIP, 0);
}

static int vcpu_set_msrs(KvmVcpu *vcpu)
{
        static const struct kvm_msr_entry entries[] = {
                /* MISC_ENABLE: fast strings; Linux takes a zero for a broken CPU. */
                {.index = 0x1a0, .data = 1},
                /* MTRR_DEF_TYPE: enabled, all of memory write-back. */
                {.index = 0x2ff, .data = 0x806},
        };
        union {
                struct kvm_msrs header;
                uint8_t room[sizeof(struct kvm_msrs) + sizeof(entries)];
        } msrs = {.header.nmsrs = ELEMENTSOF(entries)};
        int r;

        memcpy(msrs.room + sizeof(struct kvm_msrs), entries, sizeof(entries));
        /* The number of those that were set: a KVM without MTRRs stops at the second. */
        r = kvm_ioctl(vcpu->fd, KVM_SET_MSRS, &msrs);
        if (r < 0)
                return r;
        return r >= 1 ? 0 : -EOPNOTSUPP;
}

/*
 * Writing a vCPU's APIC state back makes KVM recompute its map of APIC ids; without it a vCPU that
 * is created while others run never gets an INIT.
 */
static int vcpu_announce_apic(KvmVcpu *vcpu)
{
        struct kvm_lapic_state apic;
        int r = kvm_ioctl(vcpu->fd, KVM_GET_LAPIC, &apic);

        return r < 0 ? r : kvm_ioctl(vcpu->fd, KVM_SET_LAPIC, &apic);
}

int arch_vcpu_prepare(KvmVm *vm, KvmVcpu *vcpu, unsigned id, unsigned max_vcpus)
{
        int r;

        r = x86_cpuid_set(vm, vcpu, id, max_vcpus);
        if (r < 0)
                return r;
        r = vcpu_set_msrs(vcpu);
        return r < 0 ? r : vcpu_announce_apic(vcpu);
}

#define CR0_PE   (1UL << 0)
#define CR0_ET   (1UL << 4)
#define CR0_NE   (1UL << 5)
#define CR0_WP   (1UL << 16)
#define CR0_PG   (1UL << 31)
#define CR4_PAE  (1UL << 5)
#define EFER_LME (1UL << 8)
#define EFER_LMA (1UL << 10)

/* Flat 64-bit mode; the descriptors are loaded without a table behind them. */
static void set_long_mode(struct kvm_sregs *sregs, uint64_t page_tables)
{
        struct kvm_segment code = {
                .limit = UINT32_MAX,
                .selector = 0x10,
                .type = 11, /* execute, read, accessed */
                .present = 1,
                .s = 1,
                .l = 1,
                .g = 1,
        };
        struct kvm_segment data = {
                .limit = UINT32_MAX,
                .selector = 0x18,
                .type = 3, /* read, write, accessed */
                .present = 1,
                .s = 1,
                .db = 1,
                .g = 1,
        };

        sregs->cs = code;
        sregs->ds = sregs->es = sregs->fs = sregs->gs = sregs->ss = data;
        sregs->gdt = sregs->idt = (struct kvm_dtable){};
        sregs->cr0 = CR0_PE | CR0_ET | CR0_NE | CR0_WP | CR0_PG;
        sregs->cr3 = page_tables;
        sregs->cr4 = CR4_PAE;
        sregs->efer = EFER_LME | EFER_LMA;
}

int arch_vcpu_start(KvmVcpu *vcpu, const ArchStart *start)
{
        struct kvm_regs regs = {
                .rip = start->entry,
                .rsp = start->stack,
                .rsi = start->handoff,
                .rflags = 2, /* the bit that is always set; interrupts off */
        };
        struct kvm_sregs sregs;
        int r;

        r = kvm_ioctl(vcpu->fd, KVM_GET_SREGS, &sregs);
        if (r < 0)
                return r;
        set_long_mode(&sregs, start->page_tables);
        r = kvm_ioctl(vcpu->fd, KVM_SET_SREGS, &sregs);
        return r < 0 ? r : kvm_ioctl(vcpu->fd, KVM_SET_REGS, &regs);
}

int arch_vcpu_stop(KvmVcpu *vcpu)
{
        struct kvm_mp_state state = {.mp_state = KVM_MP_STATE_UNINITIALIZED};

        return kvm_ioctl(vcpu->fd, KVM_SET_MP_STATE, &state);
}

void arch_vcpu_resume(KvmVcpu *vcpu)
{
        /* -EINVAL: the guest has not turned KVM's clock on; then there is nothing to tell. */
        (void)kvm_ioctl_value(vcpu->fd, KVM_KVMCLOCK_CTRL, 0);
}

static uint8_t port_read(Serial *serial, uint16_t port)
{
        if (port >= PORT_SERIAL && port < PORT_SERIAL + SERIAL_REGISTERS)
                return serial_read(serial, port - PORT_SERIAL);
        /* An idle controller without a keyboard: Linux's reset waits 1.6 s for anything else. */
        if (port == PORT_KEYBOARD)
                return 0;
        return 0xff; /* an empty bus */
}

static int port_write(Serial *serial, uint16_t port, uint8_t value, uint8_t *ret_phase)
{
        if (port >= PORT_SERIAL && port < PORT_SERIAL + SERIAL_REGISTERS)
                serial_write(serial, port - PORT_SERIAL, value);
        else if (port == PORT_KEYBOARD && value == KEYBOARD_RESET)
                return ARCH_E_RESET;
        else if (port == HANDOFF_PHASE_PORT) {
                *ret_phase = value;
                return ARCH_E_PHASE;
        }
        return 0;
}

int arch_vcpu_port(KvmVcpu *vcpu, Serial *serial, uint8_t *ret_phase)
{
        struct kvm_run *run = vcpu->run;
        uint8_t *data = (uint8_t *)run + run->io.data_offset;
        int r = 0;

        /* String instructions repeat; wider accesses are one byte per port, as on the ISA bus. */
        for (uint32_t i = 0; i < run->io.count && r == 0; i++, data += run->io.size)
                for (unsigned b = 0; b < run->io.size && r == 0; b++) {
                        uint16_t port = (uint16_t)(run->io.port + b);

                        if (run->io.direction == KVM_EXIT_IO_IN)
                                data[b] = port_read(serial, port);
                        else
                                r = port_write(serial, port, data[b], ret_phase);
                }
        return r;
}

void arch_vcpu_describe(KvmVcpu *vcpu, char *text, size_t size)
{
        struct kvm_regs regs;
        struct kvm_sregs sregs;

        if (kvm_ioctl(vcpu->fd, KVM_GET_REGS, &regs) < 0 ||
            kvm_ioctl(vcpu->fd, KVM_GET_SREGS, &sregs) < 0) {
                snprintf(text, size, "registers unknown");
                return;
        }
        snprintf(text, size, "rip 0x%llx, rsp 0x%llx, cr0 0x%llx, cr2 0x%llx, cr3 0x%llx", regs.rip,
                 regs.rsp, sregs.cr0, sregs.cr2, sregs.cr3);
}
