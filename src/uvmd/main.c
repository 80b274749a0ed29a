/*
 * uvmd, the service org.uvm1: see ARCHITECTURE.md. Root; started by systemd, on the first call to
 * its bus name. The options are for tests: the installed places are compiled in.
 */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"

#include "base/log.h"
#include "base/parse.h"
#include "uvmd/journal.h"
#include "uvmd/manager.h"

static void usage(void)
{
        printf("uvmd [OPTION]…\n\n"
               "The service org.uvm1 on the system bus. systemd starts it.\n\n"
               "  --state-dir DIR   records and images (%s)\n"
               "  --run-dir DIR     runtime directories of sandboxes (%s)\n"
               "  --shim PROGRAM    uvm-shim\n"
               "  --vmm PROGRAM     uvm-vmm\n"
               "  --firmware FILE   the default firmware image (%s)\n"
               "  --version\n",
               UVM_STATEDIR, UVM_RUNDIR, UVM_FIRMWARE);
}

/* 0: go on; 1: done; -1: wrong use. */
static int parse_options(int argc, char **argv, ManagerPaths *paths)
{
        enum { STATE_DIR = 256, RUN_DIR, SHIM, VMM, FIRMWARE, VERSION, HELP };
        static const struct option options[] = {
                {"state-dir", required_argument, NULL, STATE_DIR},
                {"run-dir", required_argument, NULL, RUN_DIR},
                {"shim", required_argument, NULL, SHIM},
                {"vmm", required_argument, NULL, VMM},
                {"firmware", required_argument, NULL, FIRMWARE},
                {"version", no_argument, NULL, VERSION},
                {"help", no_argument, NULL, HELP},
                {NULL, 0, NULL, 0},
        };
        int c;

        while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
                switch (c) {
                case STATE_DIR:
                        paths->state_dir = optarg;
                        break;
                case RUN_DIR:
                        paths->run_dir = optarg;
                        break;
                case SHIM:
                        paths->shim = optarg;
                        break;
                case VMM:
                        paths->vmm = optarg;
                        break;
                case FIRMWARE:
                        paths->firmware = optarg;
                        break;
                case VERSION:
                        puts(UVM_VERSION);
                        return 1;
                case HELP:
                        usage();
                        return 1;
                default:
                        return -1;
                }
        }
        return optind == argc ? 0 : -1;
}

/* A number from /etc/default/uvm; what makes no sense is said and not used. */
static uint32_t setting(const char *name, uint32_t fallback)
{
        const char *text = getenv(name);
        uint32_t value;

        if (!text || !text[0])
                return fallback;
        if (parse_u32(text, 1, UINT32_MAX, &value) >= 0)
                return value;
        log_warning("%s=%s is no number; %u is used", name, text, fallback);
        return fallback;
}

/* A ratio such as 1.5 in thousandths; 0 or "none": no limit. */
static uint64_t setting_milli(const char *name, uint64_t fallback)
{
        const char *text = getenv(name);
        uint64_t value;

        if (!text || !text[0])
                return fallback;
        if (strcmp(text, "none") == 0)
                return 0;
        if (parse_milli(text, 1000000000, &value) >= 0)
                return value;
        log_warning("%s=%s is no ratio; %g is used", name, text, (double)fallback / 1000);
        return fallback;
}

static int run(const ManagerPaths *paths)
{
        _cleanup_(manager_freep) Manager *manager = NULL;
        int r = manager_new(&manager, paths, setting("UVM_ID_RANGE_BASE", IDRANGE_DEFAULT_BASE),
                            setting("UVM_ID_RANGE_COUNT", IDRANGE_DEFAULT_COUNT));

        if (r < 0)
                return log_error_errno(r, "Can't start (are UVM_ID_RANGE_BASE and _COUNT right?)");
        manager->admission = (Admission){
                .memory_milli = setting_milli("UVM_MEMORY_OVERCOMMIT", ADMISSION_MEMORY_DEFAULT),
                .cpu_milli = setting_milli("UVM_CPU_OVERCOMMIT", ADMISSION_CPU_DEFAULT),
        };
        r = manager_start(manager);
        return r < 0 ? r : manager_run(manager);
}

int main(int argc, char **argv)
{
        ManagerPaths paths = {
                .state_dir = UVM_STATEDIR,
                .run_dir = UVM_RUNDIR,
                .shim = UVM_LIBEXECDIR "/uvm-shim",
                .vmm = UVM_LIBEXECDIR "/uvm-vmm",
                .firmware = UVM_FIRMWARE,
        };
        sigset_t mask;
        int r = parse_options(argc, argv, &paths);

        if (r != 0)
                return r > 0 ? EXIT_SUCCESS : 2;
        log_open("uvmd");
        journal_open();
        /* Opens the socket that all other lines go by, too. */
        log_info("uvmd " UVM_VERSION " begins");
        /* sd-event's child sources want it blocked; writes to clients that left must not kill. */
        sigemptyset(&mask);
        sigaddset(&mask, SIGCHLD);
        sigprocmask(SIG_BLOCK, &mask, NULL);
        signal(SIGPIPE, SIG_IGN);
        return run(&paths) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
