/*
 * The options that set limits, of run, create and update: a table from option to key and kind. "none"
 * for a value takes a limit away.
 */
#pragma once

#include <getopt.h>
#include <stdbool.h>
#include <stddef.h>

#include <systemd/sd-bus.h>

#include "uvmctl/verbs.h"

/* Whose limits: keys of Sandbox.SetLimits and Container.SetLimits. */
typedef enum LimitTarget {
        LIMIT_OF_SCOPE,
        LIMIT_OF_CONTAINER,
} LimitTarget;

typedef struct LimitValue LimitValue;

typedef struct LimitArgs {
        LimitValue *values;
        size_t n_values;
} LimitArgs;

#define LIMIT_ARGS_HELP_SCOPE                                                                 \
        "      --memory-max SIZE, --memory-high SIZE, --memory-low SIZE, --memory-min SIZE\n" \
        "      --cpu-quota PERCENT%, --cpu-weight N, --allowed-cpus LIST\n"                   \
        "      --io-weight N, --tasks-max N\n"                                                \
        "      --device-read-bps DEVICE:RATE, --device-write-bps DEVICE:RATE,\n"              \
        "      --device-read-iops DEVICE:RATE, --device-write-iops DEVICE:RATE\n"             \
        "                            limits of the virtual machine's scope on the host\n"

#define LIMIT_ARGS_HELP_CONTAINER                                                                \
        "      --container-memory SIZE, --container-memory-high SIZE,\n"                         \
        "      --container-memory-low SIZE, --container-cpus N, --container-cpu-weight N,\n"     \
        "      --container-io-weight N, --cpuset-cpus LIST, --pids-limit N,\n"                   \
        "      --disk-read-bps PLACE:RATE, --disk-write-bps PLACE:RATE,\n"                       \
        "      --disk-read-iops PLACE:RATE, --disk-write-iops PLACE:RATE\n"                      \
        "                            limits of the container inside the guest; PLACE is where\n" \
        "                            a disk is mounted, / the writable layer, * every disk\n"

/* @own and these in one array for getopt_long(); free() it. Aborts when out of memory. */
struct option *limit_args_join(const struct option *own);

/* Takes what getopt_long() returned; @text is borrowed. A status; -1: the option is none of these. */
int limit_args_take(LimitArgs *args, const Verb *verb, int option, const char *text);

bool limit_args_have(const LimitArgs *args, LimitTarget target);
bool limit_args_have_key(const LimitArgs *args, LimitTarget target, const char *key);

/* Appends {sv}s. 0 or -errno. */
int limit_args_append(const LimitArgs *args, LimitTarget target, sd_bus_message *message);

void limit_args_done(LimitArgs *args);
