/*
 * uvm-shim: the supervisor of one sandbox. Started by uvmd as root with a link to it, it waits for
 * LAUNCH until systemd has put it into the sandbox's scope; then it starts uvm-vmm, drops its rights
 * and outlives uvmd. See sandbox.h.
 *
 * One thread, one loop.
 */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/parse.h"

#include "config.h"
#include "shim/sandbox.h"
#include "shim/shimlog.h"

/* Three streams and up to three ends of each client, a few of our own. */
#define SHIM_FILES_MAX 8192

typedef struct Options {
        const char *id;
        uint32_t fd;
} Options;

typedef struct Signals {
        LoopFd source;
        int fd;
        Sandbox *sandbox;
} Signals;

static void usage(void)
{
        fputs("usage: uvm-shim --id ID --fd N\n"
              "\n"
              "Supervises one sandbox; started by uvmd.\n"
              "\n"
              "  --id ID    the sandbox's\n"
              "  --fd N     the SEQPACKET socket to uvmd\n"
              "  --version  print the version and end\n"
              "  --help     print this and end\n",
              stdout);
}

/* 0: run; positive: end with that number less one. */
static int options_parse(int argc, char **argv, Options *ret)
{
        static const struct option known[] = {
                {"id", required_argument, NULL, 'i'},
                {"fd", required_argument, NULL, 'f'},
                {"version", no_argument, NULL, 'v'},
                {"help", no_argument, NULL, 'h'},
                {},
        };
        int option;

        while ((option = getopt_long(argc, argv, "", known, NULL)) >= 0) {
                switch (option) {
                case 'i':
                        ret->id = optarg;
                        break;
                case 'f':
                        if (parse_u32(optarg, 3, INT32_MAX, &ret->fd) < 0) {
                                log_error("--fd: not the number of an open file: %s", optarg);
                                return 1 + EXIT_FAILURE;
                        }
                        break;
                case 'v':
                        puts("uvm-shim " UVM_VERSION);
                        return 1 + EXIT_SUCCESS;
                case 'h':
                        usage();
                        return 1 + EXIT_SUCCESS;
                default:
                        return 1 + EXIT_FAILURE;
                }
        }
        if (!ret->id || !id_is_valid(ret->id) || ret->fd == 0 || optind < argc) {
                log_error("--id and --fd are needed, and nothing else; uvmd starts this program");
                return 1 + EXIT_FAILURE;
        }
        return 0;
}

static int on_signal(LoopFd *source, uint32_t events)
{
        Signals *signals = CONTAINER_OF(source, Signals, source);
        struct signalfd_siginfo info;

        if (read(signals->fd, &info, sizeof(info)) == sizeof(info))
                sandbox_terminate(signals->sandbox);
        return 0;
}

/* SIGTERM: the scope is stopped, or the host goes down. SIGRTMIN+4: `machinectl poweroff`. */
static int signals_open(Signals *signals, Loop *loop, Sandbox *sandbox)
{
        sigset_t mask;
        int r;

        sigemptyset(&mask);
        sigaddset(&mask, SIGTERM);
        sigaddset(&mask, SIGINT);
        sigaddset(&mask, SIGRTMIN + 4);
        signals->sandbox = sandbox;
        r = loop_signals_open(&mask, &signals->fd);
        return r < 0 ? r : loop_fd_add(loop, &signals->source, signals->fd, EPOLLIN, on_signal);
}

static void raise_files_limit(void)
{
        struct rlimit limit;

        if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
                return;
        limit.rlim_cur = MIN(limit.rlim_max, (rlim_t)SHIM_FILES_MAX);
        (void)setrlimit(RLIMIT_NOFILE, &limit);
}

static int run(const Options *options)
{
        _cleanup_(loop_freep) Loop *loop = NULL;
        _cleanup_(sandbox_freep) Sandbox *sandbox = NULL;
        Signals signals = {.fd = FD_NONE};
        int r;

        r = fd_set_cloexec((int)options->fd, true);
        if (r >= 0)
                r = loop_new(&loop);
        if (r >= 0)
                r = sandbox_new(&sandbox, loop, options->id, geteuid());
        if (r >= 0)
                r = signals_open(&signals, loop, sandbox);
        if (r >= 0)
                r = link_connect(&sandbox->link, (int)options->fd);
        if (r >= 0)
                r = loop_run(loop);
        if (r < 0)
                log_error_errno(r, "Failed to supervise the sandbox");
        loop_fd_remove(&signals.source);
        fd_close(signals.fd);
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
        Options options = {};
        int r;

        log_open("uvm-shim");
        r = options_parse(argc, argv, &options);
        if (r > 0)
                return r - 1;
        if (getenv("JOURNAL_STREAM"))
                shimlog_open(JOURNAL_SOCKET, options.id);
        /* A client that is gone is an error to handle, not a reason to die. */
        signal(SIGPIPE, SIG_IGN);
        raise_files_limit();
        return run(&options);
}
