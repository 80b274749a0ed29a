/* Options that set limits; see limit_args.h. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/parse.h"
#include "uvmctl/limit_args.h"

typedef enum LimitKind {
        LIMIT_BYTES,
        LIMIT_COUNT,
        LIMIT_WEIGHT,
        LIMIT_PERCENT, /* "150%" of a CPU's time */
        LIMIT_CPUS,    /* "1.5" CPUs' time */
        LIMIT_LIST,    /* "0-2,5", of CPUs */
        LIMIT_DEVICE_BYTES,
        LIMIT_DEVICE_COUNT,
} LimitKind;

typedef struct LimitArg {
        const char *option;
        LimitTarget target;
        const char *key;
        LimitKind kind;
} LimitArg;

struct LimitValue {
        const LimitArg *arg;
        char *name; /* owned: the device, or the list of CPUs */
        uint64_t number;
};

static const LimitArg limit_args[] = {
        {"memory-max", LIMIT_OF_SCOPE, "MemoryMax", LIMIT_BYTES},
        {"memory-high", LIMIT_OF_SCOPE, "MemoryHigh", LIMIT_BYTES},
        {"memory-low", LIMIT_OF_SCOPE, "MemoryLow", LIMIT_BYTES},
        {"memory-min", LIMIT_OF_SCOPE, "MemoryMin", LIMIT_BYTES},
        {"cpu-quota", LIMIT_OF_SCOPE, "CPUQuotaPerSecUSec", LIMIT_PERCENT},
        {"cpu-weight", LIMIT_OF_SCOPE, "CPUWeight", LIMIT_WEIGHT},
        {"allowed-cpus", LIMIT_OF_SCOPE, "AllowedCPUs", LIMIT_LIST},
        {"io-weight", LIMIT_OF_SCOPE, "IOWeight", LIMIT_WEIGHT},
        {"tasks-max", LIMIT_OF_SCOPE, "TasksMax", LIMIT_COUNT},
        {"device-read-bps", LIMIT_OF_SCOPE, "IOReadBandwidthMax", LIMIT_DEVICE_BYTES},
        {"device-write-bps", LIMIT_OF_SCOPE, "IOWriteBandwidthMax", LIMIT_DEVICE_BYTES},
        {"device-read-iops", LIMIT_OF_SCOPE, "IOReadIOPSMax", LIMIT_DEVICE_COUNT},
        {"device-write-iops", LIMIT_OF_SCOPE, "IOWriteIOPSMax", LIMIT_DEVICE_COUNT},
        {"container-memory", LIMIT_OF_CONTAINER, "Memory", LIMIT_BYTES},
        {"container-memory-high", LIMIT_OF_CONTAINER, "MemoryHigh", LIMIT_BYTES},
        {"container-memory-low", LIMIT_OF_CONTAINER, "MemoryLow", LIMIT_BYTES},
        {"container-cpus", LIMIT_OF_CONTAINER, "CPUQuotaPerSecUSec", LIMIT_CPUS},
        {"container-cpu-weight", LIMIT_OF_CONTAINER, "CPUWeight", LIMIT_WEIGHT},
        {"container-io-weight", LIMIT_OF_CONTAINER, "IOWeight", LIMIT_WEIGHT},
        {"cpuset-cpus", LIMIT_OF_CONTAINER, "CPUSet", LIMIT_LIST},
        {"pids-limit", LIMIT_OF_CONTAINER, "PidsMax", LIMIT_COUNT},
        {"disk-read-bps", LIMIT_OF_CONTAINER, "IOReadBandwidthMax", LIMIT_DEVICE_BYTES},
        {"disk-write-bps", LIMIT_OF_CONTAINER, "IOWriteBandwidthMax", LIMIT_DEVICE_BYTES},
        {"disk-read-iops", LIMIT_OF_CONTAINER, "IOReadIOPSMax", LIMIT_DEVICE_COUNT},
        {"disk-write-iops", LIMIT_OF_CONTAINER, "IOWriteIOPSMax", LIMIT_DEVICE_COUNT},
};

/* What getopt_long() returns for the first of them: above all that verbs use themselves. */
#define LIMIT_OPTION_BASE 4096

struct option *limit_args_join(const struct option *own)
{
        struct option *all;
        size_t n = 0;

        while (own[n].name)
                n++;
        all = calloc(n + ELEMENTSOF(limit_args) + 1, sizeof(*all));
        if (!all)
                abort();
        memcpy(all, own, n * sizeof(*all));
        for (size_t i = 0; i < ELEMENTSOF(limit_args); i++)
                all[n + i] = (struct option){
                        .name = limit_args[i].option,
                        .has_arg = required_argument,
                        .val = LIMIT_OPTION_BASE + (int)i,
                };
        return all;
}

/* ------------------------------------------------------------------ reading */

static int read_percent(const char *text, uint64_t *ret)
{
        char number[16];
        size_t size = strlen(text);
        uint64_t percent;

        if (size < 2 || size > sizeof(number) || text[size - 1] != '%')
                return -EINVAL;
        memcpy(number, text, size - 1);
        number[size - 1] = 0;
        if (parse_u64(number, 1, 100000, &percent) < 0)
                return -EINVAL;
        *ret = percent * (USEC_PER_SEC / 100);
        return 0;
}

static int read_cpus(const char *text, uint64_t *ret)
{
        uint64_t milli;

        if (parse_milli(text, 1000000, &milli) < 0 || milli < 10)
                return -EINVAL;
        *ret = milli * (USEC_PER_SEC / 1000);
        return 0;
}

static int read_number(LimitKind kind, const char *text, uint64_t *ret)
{
        if (strcmp(text, "none") == 0) {
                *ret = UINT64_MAX;
                return 0;
        }
        switch (kind) {
        case LIMIT_BYTES:
        case LIMIT_DEVICE_BYTES:
                return parse_bytes(text, ret) < 0 || *ret == 0 ? -EINVAL : 0;
        case LIMIT_COUNT:
        case LIMIT_DEVICE_COUNT:
                return parse_u64(text, 1, UINT32_MAX, ret);
        case LIMIT_WEIGHT:
                return parse_u64(text, 1, 10000, ret);
        case LIMIT_PERCENT:
                return read_percent(text, ret);
        case LIMIT_CPUS:
                return read_cpus(text, ret);
        case LIMIT_LIST:
                break;
        }
        return -EINVAL;
}

/* "NAME:RATE", where NAME may have colons. */
static int read_device(LimitKind kind, const char *text, LimitValue *value)
{
        const char *colon = strrchr(text, ':');

        if (!colon || (text[0] != '/' && strncmp(text, "*:", 2) != 0))
                return -EINVAL;
        value->name = strndup(text, (size_t)(colon - text));
        if (!value->name)
                abort();
        return read_number(kind, colon + 1, &value->number);
}

static int read_value(const LimitArg *arg, const char *text, LimitValue *value)
{
        switch (arg->kind) {
        case LIMIT_DEVICE_BYTES:
        case LIMIT_DEVICE_COUNT:
                return read_device(arg->kind, text, value);
        case LIMIT_LIST:
                value->name = strdup(strcmp(text, "none") == 0 ? "" : text);
                if (!value->name)
                        abort();
                return 0;
        case LIMIT_BYTES:
        case LIMIT_COUNT:
        case LIMIT_WEIGHT:
        case LIMIT_PERCENT:
        case LIMIT_CPUS:
                break;
        }
        return read_number(arg->kind, text, &value->number);
}

static const char *expected(LimitKind kind)
{
        switch (kind) {
        case LIMIT_BYTES:
                return "size such as 256m or 1.5g";
        case LIMIT_COUNT:
                return "whole number from 1 on";
        case LIMIT_WEIGHT:
                return "whole number from 1 to 10000";
        case LIMIT_PERCENT:
                return "share such as 50%";
        case LIMIT_CPUS:
                return "number of CPUs such as 1.5";
        case LIMIT_LIST:
                return "list of CPUs such as 0-2,5";
        case LIMIT_DEVICE_BYTES:
                return "limit of the form DEVICE:RATE, such as /dev/vda:10m";
        case LIMIT_DEVICE_COUNT:
                return "limit of the form DEVICE:RATE, such as /dev/vda:100";
        }
        return "value";
}

int limit_args_take(LimitArgs *args, const Verb *verb, int option, const char *text)
{
        LimitValue *grown, *value;
        const LimitArg *arg;

        if (option < LIMIT_OPTION_BASE)
                return -1;
        arg = &limit_args[option - LIMIT_OPTION_BASE];
        grown = reallocarray(args->values, args->n_values + 1, sizeof(*grown));
        if (!grown)
                abort();
        args->values = grown;
        value = &grown[args->n_values++];
        *value = (LimitValue){.arg = arg};
        if (read_value(arg, text, value) < 0)
                return verb_usage_error(verb, "--%s: \"%s\" is no %s, or none", arg->option, text,
                                        expected(arg->kind));
        return 0;
}

void limit_args_done(LimitArgs *args)
{
        for (size_t i = 0; i < args->n_values; i++)
                free(args->values[i].name);
        free(args->values);
}

/* ------------------------------------------------------------------ sending */

bool limit_args_have(const LimitArgs *args, LimitTarget target)
{
        for (size_t i = 0; i < args->n_values; i++)
                if (args->values[i].arg->target == target)
                        return true;
        return false;
}

bool limit_args_have_key(const LimitArgs *args, LimitTarget target, const char *key)
{
        for (size_t i = 0; i < args->n_values; i++)
                if (args->values[i].arg->target == target &&
                    strcmp(args->values[i].arg->key, key) == 0)
                        return true;
        return false;
}

/* All values of an option in one list. */
static int append_devices(const LimitArgs *args, const LimitArg *arg, sd_bus_message *message)
{
        int r = sd_bus_message_open_container(message, 'a', "(st)");

        for (size_t i = 0; r >= 0 && i < args->n_values; i++)
                if (args->values[i].arg == arg)
                        r = sd_bus_message_append(message, "(st)", args->values[i].name,
                                                  args->values[i].number);
        return r < 0 ? r : sd_bus_message_close_container(message);
}

static int append_arg(const LimitArgs *args, const LimitArg *arg, const LimitValue *last,
                      sd_bus_message *message)
{
        bool devices = arg->kind == LIMIT_DEVICE_BYTES || arg->kind == LIMIT_DEVICE_COUNT;
        const char *type = devices ? "a(st)" : arg->kind == LIMIT_LIST ? "s" : "t";
        int r = sd_bus_message_open_container(message, 'e', "sv");

        if (r >= 0)
                r = sd_bus_message_append(message, "s", arg->key);
        if (r >= 0)
                r = sd_bus_message_open_container(message, 'v', type);
        if (r >= 0 && devices)
                r = append_devices(args, arg, message);
        else if (r >= 0)
                r = arg->kind == LIMIT_LIST ? sd_bus_message_append(message, "s", last->name)
                                            : sd_bus_message_append(message, "t", last->number);
        if (r >= 0)
                r = sd_bus_message_close_container(message);
        return r < 0 ? r : sd_bus_message_close_container(message);
}

int limit_args_append(const LimitArgs *args, LimitTarget target, sd_bus_message *message)
{
        int r = 0;

        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(limit_args); i++) {
                const LimitValue *last = NULL;

                if (limit_args[i].target != target)
                        continue;
                for (size_t j = 0; j < args->n_values; j++)
                        if (args->values[j].arg == &limit_args[i])
                                last = &args->values[j];
                if (last)
                        r = append_arg(args, &limit_args[i], last, message);
        }
        return r;
}
