/*
 * uvm-vmm: one virtual machine, as its supervisor tells by the control socket. Enters its jail
 * before it touches anything that a guest had a hand in.
 */
#include <fcntl.h>
#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/parse.h"
#include "config.h"
#include "vmm/jail/jail.h"
#include "vmm/link.h"

#define VMM_FILES_MAX 65536

typedef struct Options {
        uint32_t control_fd;
        bool no_jail;
} Options;

static void usage(FILE *to)
{
        fputs("usage: uvm-vmm --control-fd N [--no-jail]\n"
              "\n"
              "Runs one virtual machine; uvm-shim starts it and speaks to it.\n"
              "\n"
              "  --control-fd N  the SEQPACKET socket of the supervisor\n"
              "  --no-jail       for development: keep all rights (prints a warning)\n"
              "  --version       print the version\n",
              to);
}

/* 0 go on, or the exit status + 1. */
static int options_parse(int argc, char **argv, Options *ret)
{
        static const struct option options[] = {
                {"control-fd", required_argument, NULL, 'c'},
                {"no-jail", no_argument, NULL, 'j'},
                {"version", no_argument, NULL, 'v'},
                {"help", no_argument, NULL, 'h'},
                {},
        };
        bool has_fd = false;
        int option;

        while ((option = getopt_long(argc, argv, "", options, NULL)) >= 0) {
                switch (option) {
                case 'c':
                        if (parse_u32(optarg, 3, INT32_MAX, &ret->control_fd) < 0) {
                                log_error("--control-fd: not the number of an open file: %s",
                                          optarg);
                                return 1 + EXIT_FAILURE;
                        }
                        has_fd = true;
                        break;
                case 'j':
                        ret->no_jail = true;
                        break;
                case 'v':
                        puts("uvm-vmm " UVM_VERSION);
                        return 1 + EXIT_SUCCESS;
                case 'h':
                        usage(stdout);
                        return 1 + EXIT_SUCCESS;
                default:
                        usage(stderr);
                        return 1 + EXIT_FAILURE;
                }
        }
        if (has_fd && optind == argc)
                return 0;
        usage(stderr);
        return 1 + EXIT_FAILURE;
}

static int enter_jail(const Options *options, int *ret_fds_fd)
{
        int fd = (int)options->control_fd;
        const JailConfig config = {.fds = &fd, .n_fds = 1, .n_files_max = VMM_FILES_MAX};
        const char *step = "";
        int r;

        if (options->no_jail) {
                log_warning("running without a jail: only for development");
                *ret_fds_fd = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
                return *ret_fds_fd < 0 ? log_error_errno(errno_neg(), "can't open /proc/self/fd")
                                       : 0;
        }
        r = jail_enter(&config, ret_fds_fd, &step);
        return r < 0 ? log_write_errno(LOG_ERR, r, "can't enter the jail: %s", step) : 0;
}

static int run(const Options *options, uint64_t start_usec)
{
        _cleanup_(loop_freep) Loop *loop = NULL;
        _cleanup_(freep) Link *link = calloc(1, sizeof(*link));
        int fds_fd = FD_NONE, status, r;

        r = enter_jail(options, &fds_fd);
        if (r < 0)
                return EXIT_FAILURE;
        r = link ? loop_new(&loop) : -ENOMEM;
        if (r == 0)
                r = link_init(link, loop, (int)options->control_fd, fds_fd);
        if (r == 0)
                r = link_hello(link, start_usec, clock_now_usec());
        if (r == 0)
                r = loop_run(loop);
        if (r < 0)
                log_error_errno(r, "can't go on");
        status = r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
        /* A thread that the host's kernel doesn't let go still uses all this. */
        if (link && link_done(link) < 0)
                _exit(status);
        return status;
}

#ifdef __SANITIZE_ADDRESS__
/* To look for leaks at the end it would trace this process from another, which the jail has none of. */
__attribute__((visibility("default"))) const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
        return "detect_leaks=0";
}
#endif

int main(int argc, char **argv)
{
        uint64_t start_usec = clock_now_usec();
        Options options = {};
        int r;

        log_open("uvm-vmm");
        r = options_parse(argc, argv, &options);
        if (r > 0)
                return r - 1;
        /* Threads share the heap: a second one costs more memory than waiting for the first costs time. */
        mallopt(M_ARENA_MAX, 1);
        /* A stream whose reader is gone is an error to handle, not a reason to die. */
        signal(SIGPIPE, SIG_IGN);
        return run(&options, start_usec);
}
