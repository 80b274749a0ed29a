/* Admission; see admission.h. */
#include <errno.h>
#include <unistd.h>

#include "uvmd/admission.h"
#include "uvmd/errors.h"
#include "uvmd/sandbox.h"

/* @have times @milli / 1000, UINT64_MAX where that is more. */
static uint64_t scale(uint64_t have, uint64_t milli)
{
        uint64_t product;

        return __builtin_mul_overflow(have, milli, &product) ? UINT64_MAX : product / 1000;
}

int admission_decide(const Admission *admission, const AdmissionSum *sum, uint64_t host_memory,
                     uint64_t host_cpus, sd_bus_error *error)
{
        if (admission->memory_milli && sum->memory > scale(host_memory, admission->memory_milli))
                return error_set(error, -ENOSPC, ERROR_LIMIT_EXCEEDED,
                                 "The host has %llu MiB of memory, of which machines may be "
                                 "promised %llu (UVM_MEMORY_OVERCOMMIT in /etc/default/uvm); with "
                                 "this, %u machines would have %llu.",
                                 (unsigned long long)host_memory >> 20,
                                 (unsigned long long)scale(host_memory, admission->memory_milli) >>
                                         20,
                                 sum->machines, (unsigned long long)sum->memory >> 20);
        if (admission->cpu_milli && sum->vcpus > scale(host_cpus, admission->cpu_milli))
                return error_set(error, -ENOSPC, ERROR_LIMIT_EXCEEDED,
                                 "The host has %llu CPUs, for which machines may have %llu vCPUs "
                                 "(UVM_CPU_OVERCOMMIT in /etc/default/uvm); with this, %u machines "
                                 "would have %llu.",
                                 (unsigned long long)host_cpus,
                                 (unsigned long long)scale(host_cpus, admission->cpu_milli),
                                 sum->machines, (unsigned long long)sum->vcpus);
        return 0;
}

static bool is_there(const Sandbox *sandbox)
{
        return sandbox->state != SANDBOX_CREATED && sandbox->state != SANDBOX_STOPPED;
}

int admission_check(const Manager *manager, const Sandbox *sandbox, uint64_t memory, uint32_t vcpus,
                    sd_bus_error *error)
{
        AdmissionSum sum = {.memory = memory, .vcpus = vcpus, .machines = 1};
        long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
        long cpus = sysconf(_SC_NPROCESSORS_ONLN);
        Sandbox *other, *next;

        HASH_ITER (hh, manager->sandboxes, other, next) {
                if (other == sandbox || !is_there(other))
                        continue;
                sum.memory += MAX(other->config.memory, hotplug_memory(other));
                sum.vcpus += other->config.vcpus;
                sum.machines++;
        }
        if (pages <= 0 || size <= 0 || cpus <= 0)
                return 0;
        return admission_decide(&manager->admission, &sum, (uint64_t)pages * (uint64_t)size,
                                (uint64_t)cpus, error);
}
