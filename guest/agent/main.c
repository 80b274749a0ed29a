/*
 * uvm-agent: carries out in the guest what the host asks for. See proto/agent.h for what that is,
 * and guest.h for how the parts hang together. It trusts the host and nothing that comes out of a
 * container.
 *
 *   --marker             say "uvm-marker agent" in the kernel's log when the host has answered, for
 *                        the boot benchmark
 *   --connect-unix DIR   for tests on a machine that is no guest: the host is DIR/1024 and
 *                        DIR/1025; the machine's clock and name are left alone, and cgroups may
 *                        be missing
 *   --state DIR          where to mount things; default /run/uvm
 *   --disks DIR          for tests: where block devices are listed; default /sys/block
 *   --cpus DIR           for tests: where CPUs are; default /sys/devices/system/cpu, and nowhere
 *                        on a machine that is no guest
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"

#include "agent/cgroup.h"
#include "agent/cpus.h"
#include "agent/disk.h"
#include "agent/guest.h"
#include "agent/guestclock.h"
#include "agent/relay.h"
#include "agent/requests.h"
#include "agent/textfile.h"

/* Killed last: without the agent the machine ends. */
#define OOM_SCORE_AGENT "-1000"

typedef struct Options {
        const char *unix_directory;
        const char *state;
        const char *cpus;
        bool marker;
} Options;

static int parse_options(int argc, char **argv, Options *ret)
{
        static const struct option options[] = {
                {"marker", no_argument, NULL, 'm'},
                {"connect-unix", required_argument, NULL, 'u'},
                {"state", required_argument, NULL, 's'},
                {"disks", required_argument, NULL, 'd'},
                {"cpus", required_argument, NULL, 'c'},
                {},
        };
        int option;

        *ret = (Options){.state = "/run/uvm"};
        while ((option = getopt_long(argc, argv, "", options, NULL)) >= 0)
                switch (option) {
                case 'm':
                        ret->marker = true;
                        break;
                case 'u':
                        ret->unix_directory = optarg;
                        break;
                case 'd':
                        disk_set_directory(optarg);
                        break;
                case 'c':
                        ret->cpus = optarg;
                        break;
                case 's':
                        ret->state = optarg;
                        break;
                default:
                        return -EINVAL;
                }
        return optind == argc ? 0 : -EINVAL;
}

/* For the boot benchmark: that the host has answered, and what the kernel has free by then. */
static void print_marker(void)
{
        struct sysinfo info;
        char marker[64];
        int n;

        if (sysinfo(&info) < 0)
                return;
        n = snprintf(marker, sizeof(marker), "<0>uvm-marker agent free_kib=%llu\n",
                     (unsigned long long)info.freeram * info.mem_unit / 1024);
        text_write(AT_FDCWD, "/dev/kmsg", marker, (size_t)n);
}

static void on_connected(Link *link)
{
        Guest *guest = CONTAINER_OF(link, Guest, link);

        if (guest->marker)
                print_marker();
        guest->marker = false;
}

static void on_welcome(Link *link, const AgentWelcome *welcome)
{
        Guest *guest = CONTAINER_OF(link, Guest, link);

        /* Written, not credited: it does no harm if it isn't random. */
        if (welcome->seed_size > 0)
                text_write(AT_FDCWD, "/dev/urandom", (const char *)welcome->seed,
                           welcome->seed_size);
        guestclock_set(guest, welcome->realtime_usec);
        if (guest->unix_directory)
                return;
        if (*welcome->hostname && sethostname(welcome->hostname, strlen(welcome->hostname)) < 0)
                log_warning_errno(errno_neg(), "cannot set the host name");
}

static void on_settled(Link *link)
{
        shutdown_on_settled(CONTAINER_OF(link, Guest, link));
}

static int make_state(const char *state)
{
        static const char *const directories[] = {"",        "/root",  "/lower", "/upper",
                                                  "/shares", "/disks", "/names"};
        char path[512];

        for (size_t i = 0; i < ELEMENTSOF(directories); i++) {
                snprintf(path, sizeof(path), "%s%s", state, directories[i]);
                if (mkdir(path, 0700) < 0 && errno != EEXIST)
                        return log_error_errno(errno_neg(), "cannot make %s", path);
        }
        return 0;
}

static int protect_agent(const Options *options)
{
        /* A process of a container must not be able to look into the child that joins it. */
        if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
                return log_error_errno(errno_neg(), "cannot become undumpable");
        if (signal(SIGPIPE, SIG_IGN) == SIG_ERR)
                return errno_neg();
        if (!options->unix_directory)
                text_write(AT_FDCWD, "/proc/self/oom_score_adj", OOM_SCORE_AGENT,
                           strlen(OOM_SCORE_AGENT));
        return 0;
}

static int open_cgroups(const Options *options, int *ret_fd)
{
        int r = cgroup_open_root(ret_fd);

        if (r < 0 && options->unix_directory) {
                log_warning("no cgroup2 at %s: containers have no limits here", CGROUP_ROOT);
                *ret_fd = FD_NONE;
                return 0;
        }
        return r < 0 ? log_error_errno(r, "cannot use cgroups") : 0;
}

static int guest_open(Guest *guest, const Options *options)
{
        int r;

        if (options->cpus || options->unix_directory)
                cpus_set_directory(options->cpus);
        guest->state = options->state;
        guest->unix_directory = options->unix_directory;
        guest->marker = options->marker;
        guest->link.connected = on_connected;
        guest->link.request = requests_handle;
        guest->link.welcome = on_welcome;
        guest->link.settled = on_settled;
        list_init(&guest->containers);
        list_init(&guest->waiting);
        shares_init(&guest->shares);
        task_queue_init(&guest->networks);
        task_queue_init(&guest->cpus);
        guest->scratch = malloc(RELAY_CHUNK);
        if (!guest->scratch)
                return -ENOMEM;
        r = make_state(options->state);
        if (r == 0)
                r = protect_agent(options);
        if (r == 0)
                r = open_cgroups(options, &guest->cgroup_root);
        if (r == 0)
                r = loop_new(&guest->loop);
        return r;
}

static int run(const Options *options)
{
        Guest guest = {.cgroup_root = FD_NONE};
        int r = guest_open(&guest, options);

        if (r < 0)
                return r;
        r = link_start(&guest.link, guest.loop, guest.unix_directory);
        if (r == 0)
                r = loop_run(guest.loop);
        if (r < 0) {
                AgentGoodbye goodbye = {.reason = AGENT_GOODBYE_FAILED, .text = strerror(-r)};

                log_error_errno(r, "the agent can't go on");
                link_send_goodbye(&guest.link, &goodbye);
        }
        /* Nothing is freed: PID 1 resets the machine next, and in tests this process ends. */
        return r;
}

int main(int argc, char **argv)
{
        Options options;

        log_open("uvm-agent");
        if (parse_options(argc, argv, &options) < 0) {
                fprintf(stderr, "usage: uvm-agent [--marker] [--connect-unix DIR] [--state DIR] "
                                "[--disks DIR] [--cpus DIR]\n");
                return EXIT_FAILURE;
        }
        return run(&options) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
