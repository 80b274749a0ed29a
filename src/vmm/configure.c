/* From a configuration to a machine that is ready to run; declared in machine.h. I/O thread. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>

#include "base/error.h"
#include "base/fd.h"
#include "vmm/arch.h"
#include "vmm/load.h"
#include "vmm/machine.h"
#include "vmm/mem/guard.h"

/* Says what could not be done; returns @r. */
static int explain(char *ret_text, int r, const char *what)
{
        if (r < 0 && ret_text[0] == 0)
                snprintf(ret_text, CONTROL_TEXT_SIZE_MAX + 1, "can't %s: %s", what, strerror(-r));
        return r;
}

static void slot_gsis(unsigned n, uint8_t *ret)
{
        for (unsigned i = 0; i < n; i++)
                ret[i] = arch_slot_gsis[i % ARCH_SLOT_GSIS];
}

static int configure_slots(Machine *machine, unsigned n)
{
        uint8_t gsis[VIRTIO_SLOTS_MAX];

        slot_gsis(n, gsis);
        return virtio_slots_init(&machine->slots, &machine->vm, ARCH_SLOTS_BASE, gsis, n);
}

static int configure_kvm(Machine *machine, const MachineConfig *config, int kvm_fd, char *ret_text)
{
        const char *lacks;
        int r = kvm_vm_open(&machine->vm, kvm_fd, &lacks);

        if (r == -EOPNOTSUPP && lacks)
                snprintf(ret_text, CONTROL_TEXT_SIZE_MAX + 1, "this host's KVM lacks %s", lacks);
        if (r == 0)
                r = kvm_vm_map(&machine->vm, &machine->memory);
        if (r == 0)
                r = configure_slots(machine, config->slots);
        /* In this order: with an interrupt controller there, mapping takes some milliseconds more, that
         * of the slots' page, too. */
        if (r == 0)
                r = arch_vm_prepare(&machine->vm);
        return explain(ret_text, r, "make a KVM virtual machine");
}

/* Room to grow, whose pages a hostile guest may take away while something uses them. */
static int configure_growth(Machine *machine, uint64_t size_max)
{
        const HotMemory *hot = &machine->memory.hot;
        int r = guest_memory_reserve(&machine->memory, size_max);

        if (r == 0 && hot->size > 0)
                r = guard_init(hot->host, hot->size, machine->wake_fd);
        return r;
}

static int configure_memory(Machine *machine, const MachineConfig *config, char *ret_text)
{
        int r = guest_memory_init(&machine->memory, config->memory_bytes);

        if (r == -EINVAL)
                snprintf(ret_text, CONTROL_TEXT_SIZE_MAX + 1,
                         "the memory size must be a multiple of 2 MiB and at least %llu MiB",
                         GUEST_MEMORY_SIZE_MIN >> 20);
        if (r == 0)
                r = configure_growth(machine, config->memory_max_bytes);
        if (r == 0 && config->merge_pages)
                guest_memory_merge(&machine->memory);
        return explain(ret_text, r, "map the guest's memory");
}

static int configure_serial(Machine *machine)
{
        machine->serial_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (machine->serial_fd < 0)
                return errno_neg();
        serial_init(&machine->serial, &machine->console, machine->serial_fd);
        return kvm_vm_irqfd(&machine->vm, arch_serial_gsi, machine->serial_fd, true);
}

static int configure_vcpus(Machine *machine, const MachineConfig *config, char *ret_text)
{
        machine->max_vcpus = config->max_vcpus;
        machine->vcpus = calloc(config->max_vcpus, sizeof(*machine->vcpus));
        if (!machine->vcpus)
                return -ENOMEM;
        while (machine->n_vcpus < config->vcpus) {
                int r = vcpu_init(&machine->vcpus[machine->n_vcpus], machine, machine->n_vcpus);

                /* Counted also when half made, so that machine_done() sees it. */
                machine->n_vcpus++;
                if (r < 0)
                        return explain(ret_text, r, "make a vCPU");
        }
        return 0;
}

static int configure_start(Machine *machine, const MachineConfig *config, Load *load,
                           char *ret_text)
{
        const GuestMemory *memory = &machine->memory;
        Handoff handoff = {
                .cpus = config->vcpus,
                .cpus_max = config->max_vcpus,
                .serial_gsi = arch_serial_gsi,
                .ram_low = memory->regions[0].size,
                .ram_high = memory->n_regions > 1 ? memory->regions[1].size : 0,
                .slots_base = ARCH_SLOTS_BASE,
                .slots_stride = VIRTIO_MMIO_SLOT_SIZE,
                .n_slots = config->slots,
                .cmdline = config->cmdline,
        };
        ArchStart start;
        int r;

        slot_gsis(config->slots, handoff.slot_gsis);
        if (getrandom(handoff.seed, sizeof(handoff.seed), 0) != sizeof(handoff.seed))
                return explain(ret_text, -EIO, "get random bytes");
        r = load_finish(load, &handoff, &start, ret_text, CONTROL_TEXT_SIZE_MAX + 1);
        explicit_bzero(handoff.seed, sizeof(handoff.seed));
        if (r == 0)
                r = arch_vcpu_start(&machine->vcpus[0].kvm, &start);
        return explain(ret_text, r, "load the firmware image");
}

static int configure_check(const MachineConfig *config, char *ret_text)
{
        if (config->vcpus == 0 || config->vcpus > config->max_vcpus ||
            config->max_vcpus > CONTROL_VCPUS_MAX || config->slots > VIRTIO_SLOTS_MAX) {
                snprintf(ret_text, CONTROL_TEXT_SIZE_MAX + 1,
                         "there must be 1 to %u vCPUs and at most %u slots", CONTROL_VCPUS_MAX,
                         VIRTIO_SLOTS_MAX);
                return -EINVAL;
        }
        return 0;
}

static int configure_machine(Machine *machine, const MachineConfig *config, int kvm_fd,
                             char *ret_text)
{
        int r = configure_kvm(machine, config, kvm_fd, ret_text);

        if (r == 0)
                r = explain(ret_text, configure_serial(machine), "make the serial port");
        if (r == 0)
                r = configure_vcpus(machine, config, ret_text);
        if (r == 0)
                machine_tell_phase(machine, CONTROL_PHASE_KVM_READY);
        return r;
}

/* The firmware is read while KVM makes the machine. Takes @kvm_fd, borrows @firmware_fd. */
static int configure_all(Machine *machine, const MachineConfig *config, int kvm_fd, int firmware_fd,
                         char *ret_text)
{
        _cleanup_(load_freep) Load *load = NULL;
        _cleanup_(fd_closep) int owned_kvm_fd = kvm_fd;
        int r = configure_memory(machine, config, ret_text);

        if (r == 0)
                r = explain(ret_text,
                            load_begin(&machine->memory, firmware_fd, &load, ret_text,
                                       CONTROL_TEXT_SIZE_MAX + 1),
                            "load the firmware image");
        if (r == 0)
                r = configure_machine(machine, config, TAKE_FD(owned_kvm_fd), ret_text);
        if (r == 0)
                r = configure_start(machine, config, load, ret_text);
        if (r == 0)
                machine_tell_phase(machine, CONTROL_PHASE_FIRMWARE_LOADED);
        return r;
}

int machine_configure(Machine *machine, const MachineConfig *config,
                      char ret_text[CONTROL_TEXT_SIZE_MAX + 1])
{
        _cleanup_(fd_closep) int kvm_fd = config->kvm_fd;
        _cleanup_(fd_closep) int console_fd = config->console_fd;
        _cleanup_(fd_closep) int firmware_fd = config->firmware_fd;
        int r;

        ret_text[0] = 0;
        if (machine->state != MACHINE_EMPTY)
                return explain(ret_text, -EALREADY, "configure the machine");
        r = configure_check(config, ret_text);
        if (r == 0)
                r = explain(ret_text, console_init(&machine->console, machine->loop, console_fd),
                            "use the console's stream");
        if (r == 0) {
                console_fd = FD_NONE; /* the console's */
                r = configure_all(machine, config, TAKE_FD(kvm_fd), firmware_fd, ret_text);
        }
        machine_set_state(machine, r < 0 ? MACHINE_BROKEN : MACHINE_CONFIGURED);
        return r;
}
