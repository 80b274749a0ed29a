/* A vCPU's thread; see vcpu.h. */
#include <string.h>
#include <sys/ioctl.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "vmm/arch.h"
#include "vmm/machine.h"
#include "vmm/thread/thread.h"

int vcpu_init(Vcpu *vcpu, Machine *machine, unsigned id)
{
        int r = 0;

        if (vcpu->is_prepared)
                return 0;
        if (!vcpu->machine)
                *vcpu = (Vcpu){
                        .machine = machine, .id = id, .kvm.fd = FD_NONE, .stats_fd = FD_NONE};
        if (vcpu->kvm.fd < 0)
                r = kvm_vcpu_open(&machine->vm, id, &vcpu->kvm);
        if (r == 0)
                r = arch_vcpu_prepare(&machine->vm, &vcpu->kvm, id, machine->max_vcpus);
        if (r < 0)
                return r;
        /* Old hosts don't count; then the statistics say so. */
        vcpu->stats_fd = kvm_vcpu_stats_open(&vcpu->kvm);
        vcpu->is_prepared = true;
        return 0;
}

void vcpu_done(Vcpu *vcpu)
{
        if (!vcpu->machine)
                return;
        vcpu->stats_fd = fd_close(vcpu->stats_fd);
        kvm_vcpu_close(&vcpu->kvm);
        vcpu->machine = NULL;
}

void vcpu_kick(Vcpu *vcpu)
{
        /* Before the signal: one that comes before KVM_RUN would be lost, this is not. */
        __atomic_store_n(&vcpu->kvm.run->immediate_exit, 1, __ATOMIC_SEQ_CST);
        thread_interrupt(vcpu->thread);
}

static bool vcpu_is_to_end(Vcpu *vcpu)
{
        return (atomic_load(&vcpu->machine->gate) & MACHINE_GATE_END) || atomic_load(&vcpu->leaves);
}

/* Waits while the machine is paused. False: the thread is to end. */
static bool vcpu_pass_gate(Vcpu *vcpu)
{
        Machine *machine = vcpu->machine;

        __atomic_store_n(&vcpu->kvm.run->immediate_exit, 0, __ATOMIC_SEQ_CST);
        if (atomic_load(&machine->gate) == 0 && !atomic_load(&vcpu->leaves))
                return true;
        pthread_mutex_lock(&machine->gate_lock);
        machine->n_parked++;
        machine_wake(machine);
        while (atomic_load(&machine->gate) == MACHINE_GATE_PAUSE && !atomic_load(&vcpu->leaves))
                pthread_cond_wait(&machine->gate_changed, &machine->gate_lock);
        machine->n_parked--;
        pthread_mutex_unlock(&machine->gate_lock);
        return !vcpu_is_to_end(vcpu);
}

int vcpu_serve_access(Vcpu *vcpu)
{
        VcpuAccess *access = &vcpu->access;
        int r;

        if (!access->pending)
                return 0;
        r = virtio_slot_write(access->slot, access->offset, access->data, access->size);
        access->pending = r == -EAGAIN;
        return r;
}

/* Hands a write to the I/O thread and waits until it is done, or the machine ends. */
static void vcpu_defer_write(Vcpu *vcpu, VirtioSlot *slot, uint32_t offset)
{
        Machine *machine = vcpu->machine;

        vcpu->access = (VcpuAccess){
                .pending = true,
                .slot = slot,
                .offset = offset,
                .size = vcpu->kvm.run->mmio.len,
        };
        memcpy(vcpu->access.data, vcpu->kvm.run->mmio.data, sizeof(vcpu->access.data));
        machine_wake(machine);
        while (vcpu->access.pending && !vcpu_is_to_end(vcpu))
                pthread_cond_wait(&machine->access_done, &machine->board_lock);
        vcpu->access.pending = false;
}

static void vcpu_fail(Vcpu *vcpu, ControlEnd reason, const char *what, unsigned long long detail)
{
        char registers[256];

        arch_vcpu_describe(&vcpu->kvm, registers, sizeof(registers));
        machine_end(vcpu->machine, reason, "vCPU %u: %s (0x%llx); %s", vcpu->id, what, detail,
                    registers);
}

/* KVM tells of it by EFAULT, or as of an address that nothing is behind. */
static void vcpu_fail_unplugged(Vcpu *vcpu, unsigned long long detail)
{
        vcpu_fail(vcpu, CONTROL_END_KVM_ERROR, "it used memory that the guest has not plugged",
                  detail);
}

static void vcpu_access_slot(Vcpu *vcpu, VirtioSlot *slot, uint32_t offset)
{
        struct kvm_run *run = vcpu->kvm.run;

        if (!run->mmio.is_write)
                virtio_mmio_read(&slot->mmio, offset, run->mmio.data, run->mmio.len);
        else if (virtio_mmio_is_deferred(&slot->mmio, offset))
                vcpu_defer_write(vcpu, slot, offset);
        else
                (void)virtio_mmio_write(&slot->mmio, offset, run->mmio.data, run->mmio.len);
}

static void vcpu_on_mmio(Vcpu *vcpu)
{
        Machine *machine = vcpu->machine;
        struct kvm_run *run = vcpu->kvm.run;
        uint32_t offset;
        VirtioSlot *slot = virtio_slots_find(&machine->slots, run->mmio.phys_addr, &offset);

        if (!slot) {
                /* An empty bus: ones. */
                if (!run->mmio.is_write)
                        memset(run->mmio.data, 0xff, sizeof(run->mmio.data));
                if (hot_memory_covers(&machine->memory.hot, run->mmio.phys_addr))
                        vcpu_fail_unplugged(vcpu, run->mmio.phys_addr);
                return;
        }
        if (virtio_mmio_is_lockless(offset, run->mmio.is_write)) {
                vcpu_access_slot(vcpu, slot, offset);
                return;
        }
        pthread_mutex_lock(&machine->board_lock);
        vcpu_access_slot(vcpu, slot, offset);
        pthread_mutex_unlock(&machine->board_lock);
}

static void vcpu_on_port(Vcpu *vcpu)
{
        uint8_t phase;

        switch (arch_vcpu_port(&vcpu->kvm, &vcpu->machine->serial, &phase)) {
        case ARCH_E_RESET:
                machine_end(vcpu->machine, CONTROL_END_GUEST_RESET, "the guest reset the machine");
                break;
        case ARCH_E_PHASE:
                machine_tell_phase(vcpu->machine, CONTROL_PHASE_GUEST + phase);
                break;
        }
}

/* An exit that ends the machine, with its reason. */
static void vcpu_on_fatal(Vcpu *vcpu)
{
        const struct kvm_run *run = vcpu->kvm.run;

        switch (run->exit_reason) {
        case KVM_EXIT_SHUTDOWN:
                vcpu_fail(vcpu, CONTROL_END_TRIPLE_FAULT, "triple fault", 0);
                break;
        case KVM_EXIT_FAIL_ENTRY:
                vcpu_fail(vcpu, CONTROL_END_KVM_ERROR, "the hardware refused to run it",
                          run->fail_entry.hardware_entry_failure_reason);
                break;
        case KVM_EXIT_INTERNAL_ERROR:
                vcpu_fail(vcpu, CONTROL_END_KVM_ERROR, "KVM internal error",
                          run->internal.suberror);
                break;
        default:
                vcpu_fail(vcpu, CONTROL_END_KVM_ERROR, "unexpected KVM exit", run->exit_reason);
                break;
        }
}

static void vcpu_count(Vcpu *vcpu, ControlExit kind)
{
        atomic_fetch_add_explicit(&vcpu->exits[kind], 1, memory_order_relaxed);
}

/* Dispatches one exit. False: the vCPU can't go on. */
static bool vcpu_on_exit(Vcpu *vcpu)
{
        switch (vcpu->kvm.run->exit_reason) {
        case KVM_EXIT_IO:
                vcpu_count(vcpu, CONTROL_EXIT_IO);
                vcpu_on_port(vcpu);
                return true;
        case KVM_EXIT_MMIO:
                vcpu_count(vcpu, CONTROL_EXIT_MMIO);
                vcpu_on_mmio(vcpu);
                return true;
        case KVM_EXIT_INTR:
                vcpu_count(vcpu, CONTROL_EXIT_SIGNAL);
                return true;
        case KVM_EXIT_HLT:
                /* With an in-kernel interrupt controller KVM waits by itself; not everywhere. */
                vcpu_count(vcpu, CONTROL_EXIT_HALT);
                return true;
        }
        vcpu_count(vcpu, CONTROL_EXIT_OTHER);
        vcpu_on_fatal(vcpu);
        return false;
}

static bool vcpu_run_once(Vcpu *vcpu)
{
        int r = kvm_ioctl_value(vcpu->kvm.fd, KVM_RUN, 0);

        if (r >= 0)
                return vcpu_on_exit(vcpu);
        vcpu_count(vcpu, r == -EINTR ? CONTROL_EXIT_SIGNAL : CONTROL_EXIT_OTHER);
        /* -EAGAIN: the vCPU waits for INIT and was woken for another reason. */
        if (r == -EINTR || r == -EAGAIN)
                return true;
        if (r == -ENOMEM)
                machine_end(vcpu->machine, CONTROL_END_OUT_OF_MEMORY,
                            "the host has no memory left for the guest");
        else if (r == -EFAULT)
                vcpu_fail_unplugged(vcpu, EFAULT);
        else
                vcpu_fail(vcpu, CONTROL_END_KVM_ERROR, strerror(-r), (unsigned long long)-r);
        return false;
}

/* KVM finishes the instruction whose exit was served when it is entered again. */
static void vcpu_settle(Vcpu *vcpu)
{
        __atomic_store_n(&vcpu->kvm.run->immediate_exit, 1, __ATOMIC_SEQ_CST);
        (void)kvm_ioctl_value(vcpu->kvm.fd, KVM_RUN, 0);
}

static void *vcpu_thread(void *userdata)
{
        Vcpu *vcpu = userdata;
        char name[] = "vcpu ??";

        name[5] = (char)('0' + vcpu->id / 10 % 10);
        name[6] = (char)('0' + vcpu->id % 10);
        thread_set_name(name);
        if (vcpu->id == 0)
                machine_tell_phase(vcpu->machine, CONTROL_PHASE_FIRST_RUN);
        while (vcpu_pass_gate(vcpu))
                if (!vcpu_run_once(vcpu))
                        break;
        vcpu_settle(vcpu);
        vcpu->last_usec = clock_cpu_usec(CLOCK_THREAD_CPUTIME_ID);
        return NULL;
}

int vcpu_start(Vcpu *vcpu)
{
        int r;

        atomic_store(&vcpu->leaves, false);
        r = thread_start(&vcpu->thread, vcpu_thread, vcpu);

        vcpu->has_thread = r == 0;
        return r;
}

void vcpu_join(Vcpu *vcpu)
{
        if (!vcpu->has_thread)
                return;
        vcpu_kick(vcpu);
        pthread_join(vcpu->thread, NULL);
        vcpu->past_usec += vcpu->last_usec;
        vcpu->has_thread = false;
}

int vcpu_stop(Vcpu *vcpu)
{
        Machine *machine = vcpu->machine;

        pthread_mutex_lock(&machine->gate_lock);
        atomic_store(&vcpu->leaves, true);
        pthread_cond_broadcast(&machine->gate_changed);
        pthread_mutex_unlock(&machine->gate_lock);
        pthread_cond_broadcast(&machine->access_done);
        pthread_mutex_unlock(&machine->board_lock);
        vcpu_join(vcpu);
        pthread_mutex_lock(&machine->board_lock);
        return arch_vcpu_stop(&vcpu->kvm);
}
