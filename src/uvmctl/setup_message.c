/* A set-up as the a{sv} of uvmd's calls: keys as in dbus/org.uvm1.*.xml. */
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

static int append_string(sd_bus_message *message, const char *key, const char *value)
{
        return value ? sd_bus_message_append(message, "{sv}", key, "s", value) : 0;
}

static int append_u64(sd_bus_message *message, const char *key, uint64_t value)
{
        return value ? sd_bus_message_append(message, "{sv}", key, "t", value) : 0;
}

static int append_bool(sd_bus_message *message, const char *key, bool value)
{
        return value ? sd_bus_message_append(message, "{sv}", key, "b", 1) : 0;
}

/* The entry {key: as}; nothing for an empty array. @strings need not end in NULL. */
static int append_strings(sd_bus_message *message, const char *key, char **strings, size_t n)
{
        int r;

        if (n == 0)
                return 0;
        r = sd_bus_message_open_container(message, 'e', "sv");
        if (r >= 0)
                r = sd_bus_message_append(message, "s", key);
        if (r >= 0)
                r = sd_bus_message_open_container(message, 'v', "as");
        if (r >= 0)
                r = sd_bus_message_open_container(message, 'a', "s");
        for (size_t i = 0; i < n && r >= 0; i++)
                r = sd_bus_message_append(message, "s", strings[i]);
        for (int i = 0; i < 3 && r >= 0; i++)
                r = sd_bus_message_close_container(message);
        return r;
}

/* The entry {key: a{ss}} of texts like "K=V" split at @separator; V may be missing. */
static int append_pairs(sd_bus_message *message, const char *key, char **texts, size_t n,
                        char separator)
{
        int r;

        if (n == 0)
                return 0;
        r = sd_bus_message_open_container(message, 'e', "sv");
        if (r >= 0)
                r = sd_bus_message_append(message, "s", key);
        if (r >= 0)
                r = sd_bus_message_open_container(message, 'v', "a{ss}");
        if (r >= 0)
                r = sd_bus_message_open_container(message, 'a', "{ss}");
        for (size_t i = 0; i < n && r >= 0; i++) {
                const char *split = strchr(texts[i], separator);
                _cleanup_(freep) char *name = split ? strndup(texts[i], (size_t)(split - texts[i]))
                                                    : strdup(texts[i]);

                r = name ? sd_bus_message_append(message, "{ss}", name, split ? split + 1 : "")
                         : -ENOMEM;
        }
        for (int i = 0; i < 3 && r >= 0; i++)
                r = sd_bus_message_close_container(message);
        return r;
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

static int append_ulimits(const Setup *setup, sd_bus_message *message)
{
        int r;

        if (setup->n_ulimits == 0)
                return 0;
        r = sd_bus_message_open_container(message, 'e', "sv");
        if (r >= 0)
                r = sd_bus_message_append(message, "s", "Rlimits");
        if (r >= 0)
                r = sd_bus_message_open_container(message, 'v', "a(stt)");
        if (r >= 0)
                r = sd_bus_message_open_container(message, 'a', "(stt)");
        for (size_t i = 0; i < setup->n_ulimits && r >= 0; i++) {
                r = append_ulimit(message, setup->ulimits[i]);
                if (r == -EINVAL)
                        client_warn("--ulimit: \"%s\" is not of the form NAME=SOFT[:HARD]",
                                    setup->ulimits[i]);
        }
        for (int i = 0; i < 3 && r >= 0; i++)
                r = sd_bus_message_close_container(message);
        return r;
}

static int append_firmware(const Setup *setup, sd_bus_message *message)
{
        _cleanup_(fd_closep) int fd = FD_NONE;

        if (!setup->firmware)
                return 0;
        fd = open(setup->firmware, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        if (fd < 0) {
                client_warn("cannot open the firmware image %s: %s", setup->firmware,
                            strerror(errno));
                return -errno;
        }
        return sd_bus_message_append(message, "{sv}", "Firmware", "h", fd);
}

/* --cpus 1.5 is two vCPUs that get one and a half CPU's time. */
static int append_cpus(const Setup *setup, sd_bus_message *message)
{
        uint64_t quota = setup->cpu_quota_usec;
        int r = 0;

        if (setup->milli_cpus) {
                uint32_t vcpus = (uint32_t)((setup->milli_cpus + 999) / 1000);

                r = sd_bus_message_append(message, "{sv}", "VCPUs", "u", vcpus);
                if (setup->milli_cpus % 1000 && !quota)
                        quota = setup->milli_cpus * (USEC_PER_SEC / 1000);
        }
        return r < 0 ? r : append_u64(message, "CPUQuotaPerSecUSec", quota);
}

int setup_append_sandbox(const Setup *setup, sd_bus_message *message)
{
        int r = sd_bus_message_open_container(message, 'a', "{sv}");

        if (r >= 0)
                r = append_u64(message, "Memory", setup->memory);
        if (r >= 0)
                r = append_cpus(setup, message);
        if (r >= 0)
                r = append_string(message, "Hostname", setup->hostname);
        if (r >= 0)
                r = append_firmware(setup, message);
        if (r >= 0)
                r = append_string(message, "KernelArguments", setup->kernel_arguments);
        if (r >= 0)
                r = append_u64(message, "BootTimeout", setup->boot_timeout_usec);
        if (r >= 0)
                r = append_bool(message, "AutoRemove", setup->remove);
        if (r >= 0)
                r = append_string(message, "Slice", setup->slice);
        if (r >= 0)
                r = append_u64(message, "MemoryMax", setup->memory_max);
        if (r >= 0)
                r = append_u64(message, "MemoryHigh", setup->memory_high);
        if (r >= 0)
                r = append_u64(message, "CPUWeight", setup->cpu_weight);
        if (r >= 0)
                r = append_u64(message, "IOWeight", setup->io_weight);
        if (r >= 0)
                r = append_u64(message, "TasksMax", setup->tasks_max);
        if (r >= 0)
                r = append_pairs(message, "Labels", setup->labels, setup->n_labels, '=');
        if (r >= 0)
                r = sd_bus_message_close_container(message);
        return r < 0 ? CLIENT_EXIT_FAILED : 0;
}

static int append_terminal(const Setup *setup, sd_bus_message *message)
{
        uint32_t rows, columns;
        int r;

        if (!setup->terminal)
                return 0;
        r = append_bool(message, "Terminal", true);
        if (r < 0 || terminal_get_size(STDOUT_FILENO, &rows, &columns) < 0)
                return r;
        return sd_bus_message_append(message, "{sv}{sv}", "Rows", "u", rows, "Columns", "u",
                                     columns);
}

/* What Exec's and CreateContainer's dictionaries have in common. */
static int append_common(const Setup *setup, sd_bus_message *message, char **command)
{
        size_t n = 0;
        int r;

        while (command[n])
                n++;
        r = append_strings(message, "Command", command, n);
        if (r >= 0)
                r = append_strings(message, "Environment", setup->environment,
                                   setup->n_environment);
        if (r >= 0)
                r = append_string(message, "WorkingDirectory", setup->workdir);
        if (r >= 0)
                r = append_string(message, "User", setup->user);
        if (r >= 0)
                r = append_terminal(setup, message);
        if (r >= 0)
                r = append_bool(message, "OpenStdin", setup->interactive);
        if (r >= 0)
                r = append_bool(message, "Privileged", setup->privileged);
        return r;
}

/* Foreground output of a container that is removed at its end is read once, by whoever ran it. */
static const char *default_log_driver(const Setup *setup)
{
        return setup->remove && !setup->detach ? "none" : NULL;
}

int setup_append_container(const Setup *setup, sd_bus_message *message, const char *image,
                           char **command)
{
        char *entrypoint[] = {(char *)setup->entrypoint};
        int r = sd_bus_message_open_container(message, 'a', "{sv}");

        if (r >= 0)
                r = append_string(message, "Image", image);
        if (r >= 0)
                r = append_common(setup, message, command);
        if (r >= 0 && setup->entrypoint)
                r = append_strings(message, "Entrypoint", entrypoint, 1);
        if (r >= 0)
                r = append_string(message, "Hostname", setup->hostname);
        if (r >= 0)
                r = append_bool(message, "ReadOnly", setup->read_only);
        if (r >= 0)
                r = append_pairs(message, "Tmpfs", setup->tmpfs, setup->n_tmpfs, ':');
        if (r >= 0)
                r = append_u64(message, "PidsMax", setup->pids_limit);
        if (r >= 0)
                r = append_strings(message, "CapabilitiesAdd", setup->cap_add, setup->n_cap_add);
        if (r >= 0)
                r = append_strings(message, "CapabilitiesDrop", setup->cap_drop, setup->n_cap_drop);
        if (r >= 0)
                r = append_ulimits(setup, message);
        if (r >= 0 && setup->stop_signal)
                r = sd_bus_message_append(message, "{sv}", "StopSignal", "i", setup->stop_signal);
        if (r >= 0)
                r = append_bool(message, "Main", !setup->sandbox);
        if (r >= 0)
                r = append_string(message, "LogDriver",
                                  setup->log_driver ? setup->log_driver
                                                    : default_log_driver(setup));
        if (r >= 0)
                r = append_pairs(message, "Labels", setup->labels, setup->n_labels, '=');
        if (r >= 0)
                r = sd_bus_message_close_container(message);
        return r < 0 ? CLIENT_EXIT_FAILED : 0;
}

int setup_append_process(const Setup *setup, sd_bus_message *message, char **command)
{
        int r = sd_bus_message_open_container(message, 'a', "{sv}");

        if (r >= 0)
                r = append_common(setup, message, command);
        if (r >= 0)
                r = sd_bus_message_close_container(message);
        return r < 0 ? CLIENT_EXIT_FAILED : 0;
}
