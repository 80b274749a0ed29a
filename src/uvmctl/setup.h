/*
 * The options of run and create, and of exec where it has the same: parsed from the command line, then
 * written into the a{sv} of the calls. The keys are those of dbus/org.uvm1.*.xml.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "client/bus.h"
#include "client/mount_spec.h"
#include "uvmctl/limit_args.h"
#include "uvmctl/network.h"
#include "uvmctl/verbs.h"

/* Strings are borrowed from the command line unless said otherwise. */
typedef struct Setup {
        /* the sandbox */
        const char *name;
        const char *sandbox; /* put the container into this one */
        const char *hostname;
        const char *firmware;
        const char *kernel_arguments;
        const char *slice;
        uint64_t memory, memory_limit;
        uint64_t milli_cpus;
        uint64_t vcpus_max;
        LimitArgs limits; /* of scope and container; owned */
        uint64_t boot_timeout_usec;
        bool remove, merge_pages, no_balloon;
        NetworkOptions network;

        /* the container or process */
        const char *entrypoint;
        const char *workdir;
        const char *user;
        const char *log_driver;
        int stop_signal; /* 0: the image's */
        bool interactive, terminal, detach, read_only, privileged;
        const char *detach_keys;
        char **environment; /* owned, with its strings */
        size_t n_environment;
        char **labels; /* the array is owned */
        size_t n_labels;
        char **tmpfs;
        size_t n_tmpfs;
        MountSpec *mounts; /* owned */
        size_t n_mounts;
        MountSpec *throttles; /* owned; set when the container is made */
        size_t n_throttles;
        const char *image_volumes;
        const char *storage;
        uint64_t storage_size;
        char **cap_add;
        size_t n_cap_add;
        char **cap_drop;
        size_t n_cap_drop;
        char **ulimits;
        size_t n_ulimits;
} Setup;

#define SETUP_HELP_PROCESS                                                            \
        "  -i, --interactive         keep standard input open and attached\n"         \
        "  -t, --tty                 give it a terminal\n"                            \
        "  -e, --env K=V|K           set a variable, or take it from here\n"          \
        "      --env-file FILE       the same for each line of FILE\n"                \
        "  -w, --workdir DIR         where it starts\n"                               \
        "  -u, --user USER[:GROUP]   who it runs as, by name or number\n"             \
        "      --privileged          all capabilities (inside its virtual machine)\n" \
        "      --detach-keys KEYS    what leaves it running (ctrl-p,ctrl-q; \"\" for none)\n"

extern const char setup_help[];

/* Parses up to the first plain argument; optind is left there. @is_exec: the options of exec only. */
int setup_parse(Setup *setup, const Verb *verb, int argc, char **argv, bool is_exec);
void setup_done(Setup *setup);

/* Appends the a{sv} of CreateSandbox, CreateContainer and Exec. @command may be empty. A status. */
int setup_append_sandbox(const Setup *setup, sd_bus_message *message);
int setup_append_container(const Setup *setup, sd_bus_message *message, const char *image,
                           char **command);
int setup_append_process(const Setup *setup, sd_bus_message *message, char **command);
