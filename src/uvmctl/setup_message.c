/*
 * A set-up as the a{sv} of uvmd's calls: keys as in dbus/org.uvm1.*.xml. What was not given is not
 * sent. The error is sticky: the first one stands, and what comes after it is skipped.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/parse.h"
#include "client/terminal.h"
#include "uvmctl/setup.h"

typedef struct Dict {
        sd_bus_message *message;
        int r;
} Dict;

static void dict_open(Dict *dict, char type, const char *contents)
{
        if (dict->r >= 0)
                dict->r = sd_bus_message_open_container(dict->message, type, contents);
}

static void dict_close(Dict *dict)
{
        if (dict->r >= 0)
                dict->r = sd_bus_message_close_container(dict->message);
}

/* Opens the entry {key: array of @contents}; @type is that array's. Closed by dict_close_array(). */
static void dict_open_array(Dict *dict, const char *key, const char *type, const char *contents)
{
        dict_open(dict, 'e', "sv");
        if (dict->r >= 0)
                dict->r = sd_bus_message_append(dict->message, "s", key);
        dict_open(dict, 'v', type);
        dict_open(dict, 'a', contents);
}

static void dict_close_array(Dict *dict)
{
        for (int i = 0; i < 3; i++)
                dict_close(dict);
}

static void dict_string(Dict *dict, const char *key, const char *value)
{
        if (value && dict->r >= 0)
                dict->r = sd_bus_message_append(dict->message, "{sv}", key, "s", value);
}

static void dict_u64(Dict *dict, const char *key, uint64_t value)
{
        if (value && dict->r >= 0)
                dict->r = sd_bus_message_append(dict->message, "{sv}", key, "t", value);
}

static void dict_u32(Dict *dict, const char *key, uint32_t value)
{
        if (value && dict->r >= 0)
                dict->r = sd_bus_message_append(dict->message, "{sv}", key, "u", value);
}

static void dict_i32(Dict *dict, const char *key, int32_t value)
{
        if (value && dict->r >= 0)
                dict->r = sd_bus_message_append(dict->message, "{sv}", key, "i", value);
}

static void dict_bool(Dict *dict, const char *key, bool value)
{
        if (value && dict->r >= 0)
                dict->r = sd_bus_message_append(dict->message, "{sv}", key, "b", 1);
}

/* @strings need not end in NULL. */
static void dict_strings(Dict *dict, const char *key, char **strings, size_t n)
{
        if (n == 0)
                return;
        dict_open_array(dict, key, "as", "s");
        for (size_t i = 0; i < n && dict->r >= 0; i++)
                dict->r = sd_bus_message_append(dict->message, "s", strings[i]);
        dict_close_array(dict);
}

/* a{ss} of texts like "K=V" split at @separator; V may be missing. */
static void dict_pairs(Dict *dict, const char *key, char **texts, size_t n, char separator)
{
        if (n == 0)
                return;
        dict_open_array(dict, key, "a{ss}", "{ss}");
        for (size_t i = 0; i < n && dict->r >= 0; i++) {
                const char *split = strchr(texts[i], separator);
                _cleanup_(freep) char *name = split ? strndup(texts[i], (size_t)(split - texts[i]))
                                                    : strdup(texts[i]);

                dict->r = name ? sd_bus_message_append(dict->message, "{ss}", name,
                                                       split ? split + 1 : "")
                               : -ENOMEM;
        }
        dict_close_array(dict);
}

/* One limit of --ulimit: "nofile=1024" or "nofile=1024:4096", "unlimited" for either. */
static int append_ulimit(sd_bus_message *message, const char *text)
{
        _cleanup_(freep) char *copy = strdup(text);
        uint64_t limits[2];
        char *value, *hard;

        if (!copy)
                return -ENOMEM;
        value = strchr(copy, '=');
        if (!value)
                return -EINVAL;
        *value++ = 0;
        hard = strchr(value, ':');
        if (hard)
                *hard++ = 0;
        for (int i = 0; i < 2; i++) {
                const char *number = i == 1 && hard ? hard : value;

                if (strcmp(number, "unlimited") == 0 || strcmp(number, "-1") == 0)
                        limits[i] = UINT64_MAX;
                else if (parse_u64(number, 0, UINT64_MAX, &limits[i]) < 0)
                        return -EINVAL;
        }
        return sd_bus_message_append(message, "(stt)", copy, limits[0], limits[1]);
}

static void dict_ulimits(Dict *dict, const Setup *setup)
{
        if (setup->n_ulimits == 0)
                return;
        dict_open_array(dict, "Rlimits", "a(stt)", "(stt)");
        for (size_t i = 0; i < setup->n_ulimits && dict->r >= 0; i++) {
                dict->r = append_ulimit(dict->message, setup->ulimits[i]);
                if (dict->r == -EINVAL)
                        client_warn("--ulimit: \"%s\" is not of the form NAME=SOFT[:HARD]",
                                    setup->ulimits[i]);
        }
        dict_close_array(dict);
}

/* Where AttachVolume follows: the image's own volume is not wanted there. */
static void dict_targets(Dict *dict, const Setup *setup)
{
        if (setup->n_mounts == 0)
                return;
        dict_open_array(dict, "MountTargets", "as", "s");
        for (size_t i = 0; i < setup->n_mounts && dict->r >= 0; i++)
                dict->r = sd_bus_message_append(dict->message, "s", setup->mounts[i].target);
        dict_close_array(dict);
}

static void dict_firmware(Dict *dict, const Setup *setup)
{
        _cleanup_(fd_closep) int fd = FD_NONE;

        if (!setup->firmware || dict->r < 0)
                return;
        fd = open(setup->firmware, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        if (fd < 0) {
                dict->r = -errno;
                client_warn("cannot open the firmware image %s: %s", setup->firmware,
                            strerror(-dict->r));
                return;
        }
        dict->r = sd_bus_message_append(dict->message, "{sv}", "Firmware", "h", fd);
}

static void dict_limits(Dict *dict, const Setup *setup, LimitTarget target)
{
        if (dict->r >= 0)
                dict->r = limit_args_append(&setup->limits, target, dict->message);
}

/* --cpus 1.5 is two vCPUs that get one and a half CPU's time. */
static void dict_cpus(Dict *dict, const Setup *setup)
{
        dict_u32(dict, "VCPUs", (uint32_t)((setup->milli_cpus + 999) / 1000));
        dict_u32(dict, "VCPUsMax", (uint32_t)setup->vcpus_max);
        if (setup->milli_cpus % 1000 &&
            !limit_args_have_key(&setup->limits, LIMIT_OF_SCOPE, "CPUQuotaPerSecUSec"))
                dict_u64(dict, "CPUQuotaPerSecUSec", setup->milli_cpus * (USEC_PER_SEC / 1000));
}

/* It is on unless it is turned off. */
static void dict_balloon(Dict *dict, const Setup *setup)
{
        if (setup->no_balloon && dict->r >= 0)
                dict->r = sd_bus_message_append(dict->message, "{sv}", "Balloon", "b", 0);
}

static void dict_terminal(Dict *dict, const Setup *setup)
{
        uint32_t rows, columns;

        dict_bool(dict, "Terminal", setup->terminal);
        if (!setup->terminal || terminal_get_size(STDOUT_FILENO, &rows, &columns) < 0)
                return;
        dict_u32(dict, "Rows", rows);
        dict_u32(dict, "Columns", columns);
}

/* What Exec's and CreateContainer's dictionaries have in common. */
static void dict_process(Dict *dict, const Setup *setup, char **command)
{
        size_t n = 0;

        while (command[n])
                n++;
        dict_strings(dict, "Command", command, n);
        dict_strings(dict, "Environment", setup->environment, setup->n_environment);
        dict_string(dict, "WorkingDirectory", setup->workdir);
        dict_string(dict, "User", setup->user);
        dict_terminal(dict, setup);
        dict_bool(dict, "OpenStdin", setup->interactive);
        dict_bool(dict, "Privileged", setup->privileged);
}

/* -EINVAL and errors of files have been reported where they were found. */
static int dict_status(const Dict *dict)
{
        return dict->r < 0 ? CLIENT_EXIT_FAILED : 0;
}

/* Foreground output of a container that is removed at its end is read once, by whoever ran it. */
static const char *default_log_driver(const Setup *setup)
{
        return setup->remove && !setup->detach ? "none" : NULL;
}

int setup_append_sandbox(const Setup *setup, sd_bus_message *message)
{
        Dict dict = {.message = message};

        dict_open(&dict, 'a', "{sv}");
        dict_u64(&dict, "Memory", setup->memory);
        dict_cpus(&dict, setup);
        dict_string(&dict, "Hostname", setup->hostname);
        dict_firmware(&dict, setup);
        dict_string(&dict, "KernelArguments", setup->kernel_arguments);
        dict_u64(&dict, "BootTimeout", setup->boot_timeout_usec);
        dict_bool(&dict, "AutoRemove", setup->remove);
        dict_string(&dict, "Slice", setup->slice);
        dict_u64(&dict, "MemoryLimit", setup->memory_limit);
        dict_bool(&dict, "MergePages", setup->merge_pages);
        dict_balloon(&dict, setup);
        dict_limits(&dict, setup, LIMIT_OF_SCOPE);
        if (dict.r >= 0)
                dict.r = network_append_sandbox(&setup->network, message);
        dict_pairs(&dict, "Labels", setup->labels, setup->n_labels, '=');
        dict_close(&dict);
        return dict_status(&dict);
}

int setup_append_container(const Setup *setup, sd_bus_message *message, const char *image,
                           char **command)
{
        char *entrypoint[] = {(char *)setup->entrypoint};
        Dict dict = {.message = message};

        dict_open(&dict, 'a', "{sv}");
        dict_string(&dict, "Image", image);
        dict_process(&dict, setup, command);
        dict_strings(&dict, "Entrypoint", entrypoint, setup->entrypoint ? 1 : 0);
        dict_string(&dict, "Hostname", setup->hostname);
        dict_bool(&dict, "ReadOnly", setup->read_only);
        dict_string(&dict, "Storage", setup->storage);
        dict_u64(&dict, "StorageSize", setup->storage_size);
        dict_pairs(&dict, "Tmpfs", setup->tmpfs, setup->n_tmpfs, ':');
        dict_string(&dict, "ImageVolumes", setup->image_volumes);
        dict_targets(&dict, setup);
        dict_limits(&dict, setup, LIMIT_OF_CONTAINER);
        dict_strings(&dict, "CapabilitiesAdd", setup->cap_add, setup->n_cap_add);
        dict_strings(&dict, "CapabilitiesDrop", setup->cap_drop, setup->n_cap_drop);
        dict_ulimits(&dict, setup);
        dict_i32(&dict, "StopSignal", setup->stop_signal);
        dict_bool(&dict, "Main", !setup->sandbox);
        dict_string(&dict, "LogDriver",
                    setup->log_driver ? setup->log_driver : default_log_driver(setup));
        dict_pairs(&dict, "Labels", setup->labels, setup->n_labels, '=');
        dict_close(&dict);
        return dict_status(&dict);
}

int setup_append_process(const Setup *setup, sd_bus_message *message, char **command)
{
        Dict dict = {.message = message};

        dict_open(&dict, 'a', "{sv}");
        dict_process(&dict, setup, command);
        dict_close(&dict);
        return dict_status(&dict);
}
