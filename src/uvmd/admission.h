/*
 * Admission: machines together may have more memory and vCPUs than the host has, up to a ratio that
 * /etc/default/uvm sets (UVM_MEMORY_OVERCOMMIT, UVM_CPU_OVERCOMMIT). What passes it is refused.
 */
#pragma once

#include <stdint.h>
#include <systemd/sd-bus.h>

typedef struct Manager Manager;
typedef struct Sandbox Sandbox;

/* In thousandths of what the host has; 0: no limit. */
typedef struct Admission {
        uint64_t memory_milli;
        uint64_t cpu_milli;
} Admission;

/* Guests use their memory as they need it and give it back; most are idle. */
#define ADMISSION_MEMORY_DEFAULT 8000
#define ADMISSION_CPU_DEFAULT    64000

/* What is asked of the host: memory and vCPUs of every machine that there is, and of one more. */
typedef struct AdmissionSum {
        uint64_t memory;
        uint64_t vcpus;
        unsigned machines;
} AdmissionSum;

/* Pure: whether @sum fits; 0 or -ENOSPC with @error, which says the figures. */
int admission_decide(const Admission *admission, const AdmissionSum *sum, uint64_t host_memory,
                     uint64_t host_cpus, sd_bus_error *error);

/* Whether @sandbox (NULL: one that is to be made) may have so much, beside all others that run: 0 or
 * -ENOSPC with @error. */
int admission_check(const Manager *manager, const Sandbox *sandbox, uint64_t memory, uint32_t vcpus,
                    sd_bus_error *error);
