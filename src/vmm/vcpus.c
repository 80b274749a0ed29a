/*
 * vCPUs that come and leave while the guest runs; declared in machine.h. I/O thread.
 *
 * The guest knows from its boot how many there may ever be. One that comes waits for the guest to wake
 * it; one that leaves was taken offline by the guest, which is trusted with itself alone: it can hang
 * if that isn't so. KVM keeps what it made for a vCPU; its thread ends.
 */
#include "base/error.h"
#include "vmm/arch.h"
#include "vmm/machine.h"

static int vcpus_add(Machine *machine)
{
        Vcpu *vcpu = &machine->vcpus[machine->n_vcpus];
        int r = vcpu_init(vcpu, machine, machine->n_vcpus);

        /* It parks if the machine is paused. */
        if (r == 0)
                r = vcpu_start(vcpu);
        if (r == 0)
                machine->n_vcpus++;
        return r;
}

static int vcpus_remove(Machine *machine)
{
        int r = vcpu_stop(&machine->vcpus[machine->n_vcpus - 1]);

        machine->n_vcpus--;
        /* A pause may have waited for this one. */
        machine_wake(machine);
        return r;
}

static bool vcpus_may_change(const Machine *machine)
{
        return machine->state == MACHINE_RUNNING || machine->state == MACHINE_PAUSING ||
               machine->state == MACHINE_PAUSED;
}

int machine_set_vcpus(Machine *machine, unsigned vcpus)
{
        int r = 0;

        if (!vcpus_may_change(machine) || vcpus == 0 || vcpus > machine->max_vcpus)
                return -EINVAL;
        while (r == 0 && machine->n_vcpus < vcpus)
                r = vcpus_add(machine);
        while (r == 0 && machine->n_vcpus > vcpus)
                r = vcpus_remove(machine);
        return r;
}
