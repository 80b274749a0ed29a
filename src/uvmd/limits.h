/*
 * Limits of a sandbox's scope, with the names and units of systemd.resource-control(5): what
 * CreateSandbox and SetLimits take, what the unit is given, and what the unit has.
 *
 * As everywhere in option tables 0 is "nothing given"; UINT64_MAX, and "" for CPUs, take a limit away.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-bus.h>

#include "uvmd/cpulist.h"
#include "uvmd/options.h"

typedef struct Sandbox Sandbox;

typedef struct UnitLimits {
        uint64_t memory_max, memory_high, memory_low, memory_min;
        uint64_t cpu_quota, cpu_weight, tasks_max, io_weight;
        OptionList io_read_bandwidth, io_write_bandwidth, io_read_iops, io_write_iops;
        char *allowed_cpus;
} UnitLimits;

/* Their lines in a table of OPTION()s for @struct_, whose member @limits_ is a UnitLimits. */
#define UNIT_LIMIT_BYTES(struct_, key_, member)                                         \
        {                                                                               \
                .key = (key_), .type = OPTION_U64, .offset = offsetof(struct_, member), \
                .min = 1 << 20, .unlimited = true                                       \
        }
#define UNIT_LIMIT_NUMBER(struct_, key_, member, min_, max_)                            \
        {                                                                               \
                .key = (key_), .type = OPTION_U64, .offset = offsetof(struct_, member), \
                .min = (min_), .max = (max_), .unlimited = true                         \
        }
#define UNIT_LIMIT_DEVICES(struct_, key_, member)                                         \
        {                                                                                 \
                .key = (key_), .type = OPTION_NAMED, .offset = offsetof(struct_, member), \
                .max = 64, .is_valid = limits_is_device,                                  \
                .expected = "a list of absolute paths with their limits"                  \
        }
#define UNIT_LIMIT_OPTIONS(struct_, limits_)                                                     \
        UNIT_LIMIT_BYTES(struct_, "MemoryMax", limits_ memory_max),                              \
                UNIT_LIMIT_BYTES(struct_, "MemoryHigh", limits_ memory_high),                    \
                UNIT_LIMIT_BYTES(struct_, "MemoryLow", limits_ memory_low),                      \
                UNIT_LIMIT_BYTES(struct_, "MemoryMin", limits_ memory_min),                      \
                UNIT_LIMIT_NUMBER(struct_, "CPUQuotaPerSecUSec", limits_ cpu_quota, 1000, 0),    \
                UNIT_LIMIT_NUMBER(struct_, "CPUWeight", limits_ cpu_weight, 1, 10000),           \
                UNIT_LIMIT_NUMBER(struct_, "TasksMax", limits_ tasks_max, 1, 0),                 \
                UNIT_LIMIT_NUMBER(struct_, "IOWeight", limits_ io_weight, 1, 10000),             \
                UNIT_LIMIT_DEVICES(struct_, "IOReadBandwidthMax", limits_ io_read_bandwidth),    \
                UNIT_LIMIT_DEVICES(struct_, "IOWriteBandwidthMax", limits_ io_write_bandwidth),  \
                UNIT_LIMIT_DEVICES(struct_, "IOReadIOPSMax", limits_ io_read_iops),              \
                UNIT_LIMIT_DEVICES(struct_, "IOWriteIOPSMax", limits_ io_write_iops),            \
        {                                                                                        \
                .key = "AllowedCPUs", .type = OPTION_STRING,                                     \
                .offset = offsetof(struct_, limits_ allowed_cpus), .is_valid = cpulist_is_valid, \
                .expected = "a list of CPUs like \"0-2,5\", or empty"                            \
        }

/* The table of SetLimits, of a UnitLimits. */
extern const Option limits_options[];
extern const size_t limits_options_n;

bool limits_is_device(const char *path);
void limits_done(UnitLimits *limits);

/* 0 or -EINVAL with @error. */
int limits_check(const UnitLimits *limits, sd_bus_error *error);

/* Appends (sv)s as systemd's unit properties. 0 or -errno. */
int limits_append_unit(sd_bus_message *message, const UnitLimits *limits);

/*
 * Takes one property of a unit: the message stands at its variant. 1 taken, 0 none of these and
 * nothing read, or -errno.
 */
int limits_read_unit(sd_bus_message *message, const char *name, UnitLimits *limits);

/*
 * Sandbox.SetLimits and GetLimits; @call is answered late where there is a unit. What was set stays
 * with the sandbox. SetLimits consumes @limits. 0 or -errno with @error.
 */
int limits_set(Sandbox *sandbox, UnitLimits *limits, sd_bus_message *call, sd_bus_error *error);
int limits_get(Sandbox *sandbox, sd_bus_message *call, sd_bus_error *error);
