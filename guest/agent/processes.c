/* The list of PROCESSES; see report.h. It changes while it is read: what goes is left out. */
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/io.h"

#include "agent/mountfd.h"
#include "agent/passwd.h"
#include "agent/procstat.h"
#include "agent/report.h"
#include "agent/worker.h"

#define KIB         1024
#define COMMAND_MAX 1023
/* Together less than a reply holds: so many processes, or so many bytes of them. */
#define PROCESSES_MAX 1024
#define BYTES_MAX     (200 * 1024)
#define BYTES_FIXED   72 /* of each, besides its strings */
#define PTS_MAJOR     136

/* Which processes are the container's: those below its cgroup, or without one those of its pid
 * namespace. */
typedef struct Member {
        char cgroup[AGENT_ID_MAX + 8]; /* "0::/ID", or empty */
        char namespace[64];            /* what /proc/PID/ns/pid says */
} Member;

static void member_of(const Container *container, const Process *first, Member *ret)
{
        char path[64];
        ssize_t n;

        *ret = (Member){};
        if (container->cgroup.fd >= 0) {
                snprintf(ret->cgroup, sizeof(ret->cgroup), "0::/%s", container->id);
                return;
        }
        snprintf(path, sizeof(path), "/proc/%d/ns/pid", (int)first->pid);
        n = readlink(path, ret->namespace, sizeof(ret->namespace) - 1);
        ret->namespace[n > 0 ? n : 0] = '\0';
}

static bool is_member(int directory, const Member *member)
{
        _cleanup_(text_done) Text text = {};
        size_t length = strlen(member->cgroup);
        char link[64];
        ssize_t n;

        if (length > 0)
                return text_read(directory, "cgroup", &text) == 0 &&
                       strncmp(text.data, member->cgroup, length) == 0 &&
                       (text.data[length] == '\n' || text.data[length] == '/');
        n = readlinkat(directory, "ns/pid", link, sizeof(link) - 1);
        link[n > 0 ? n : 0] = '\0';
        return *member->namespace && strcmp(link, member->namespace) == 0;
}

/* The terminal's number in the container's devpts, from the kernel's packed device number. */
static uint32_t tty_number(uint32_t device)
{
        uint32_t major = (device >> 8) & 0xfff;
        uint32_t minor = (device & 0xff) | ((device >> 12) & 0xfff00);

        return major == PTS_MAJOR ? minor + 1 : 0;
}

static uint64_t ticks_to_usec(uint64_t ticks)
{
        return ticks * USEC_PER_SEC / (uint64_t)sysconf(_SC_CLK_TCK);
}

static uint64_t age(uint64_t start_ticks)
{
        struct timespec now;
        uint64_t uptime, start = ticks_to_usec(start_ticks);

        clock_gettime(CLOCK_BOOTTIME, &now);
        uptime = (uint64_t)now.tv_sec * USEC_PER_SEC + (uint64_t)now.tv_nsec / NSEC_PER_USEC;
        return uptime > start ? uptime - start : 0;
}

static char *user_name(const Text *passwd, uint32_t uid)
{
        char number[16];
        PasswdUser user;

        snprintf(number, sizeof(number), "%u", uid);
        if (passwd->data && passwd_find_user(passwd->data, passwd->size, number, &user) == 0 &&
            user.uid == uid)
                return strdup(user.name);
        return strdup(number);
}

static char *command_line(int directory, const char *name)
{
        _cleanup_(text_done) Text text = {};
        char line[COMMAND_MAX + 1];

        if (text_read(directory, "cmdline", &text) == 0 && text.size > 0)
                procstat_command(text.data, text.size, line, sizeof(line));
        else
                snprintf(line, sizeof(line), "[%s]", name);
        return strdup(line);
}

/*
 * What it has in memory. The counter in stat lags behind by up to 64 pages (SPLIT_RSS_COUNTING),
 * which is all there is of a small program.
 */
static uint64_t resident(int directory, const ProcStat *stat)
{
        _cleanup_(text_done) Text rollup = {};

        if (text_read(directory, "smaps_rollup", &rollup) == 0 && rollup.size > 0)
                return text_get_u64(&rollup, "Rss") * KIB;
        return stat->rss_pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* The pid of another process as the container sees it; 0: it is gone. */
static uint32_t own_pid(int proc, uint32_t pid)
{
        _cleanup_(text_done) Text status = {};
        char path[32];

        snprintf(path, sizeof(path), "%u/status", pid);
        return text_read(proc, path, &status) < 0 ? 0 : procstat_last_number(&status, "NSpid");
}

static int describe(int proc, int directory, uint32_t pid, const Text *passwd,
                    AgentProcessInfo *ret)
{
        _cleanup_(text_done) Text stat = {}, status = {};
        ProcStat parsed;
        uint32_t uid;
        int r = text_read(directory, "stat", &stat);

        if (r == 0)
                r = text_read(directory, "status", &status);
        if (r == 0)
                r = procstat_parse(stat.data, &parsed);
        if (r < 0)
                return r;
        /* Real, effective, saved and file system uid: the last goes with the second. */
        uid = procstat_last_number(&status, "Uid");
        *ret = (AgentProcessInfo){
                .pid = procstat_last_number(&status, "NSpid"),
                .ppid = own_pid(proc, parsed.ppid),
                .machine_pid = pid,
                .uid = uid,
                .user = user_name(passwd, uid),
                .state = parsed.state,
                .tty = tty_number(parsed.tty),
                .cpu_usec = ticks_to_usec(parsed.cpu_ticks),
                .rss = resident(directory, &parsed),
                .size = parsed.size,
                .age_usec = age(parsed.start_ticks),
                .command = command_line(directory, parsed.name),
        };
        /* The first process's parent is outside, whatever its number there. */
        if (ret->pid == 1)
                ret->ppid = 0;
        return 0;
}

/* The container's passwd, through the root of its first process. */
static void read_passwd(int proc, const Process *first, Text *ret)
{
        _cleanup_(fd_closep) int root = FD_NONE, file = FD_NONE;
        char path[64];

        snprintf(path, sizeof(path), "%d/root", (int)first->pid);
        root = openat(proc, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (root < 0 || mountfd_open_in_root(root, "etc/passwd", O_PATH, &file) < 0)
                return;
        snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
        text_read(AT_FDCWD, path, ret);
}

/* Adds process @name, unless it isn't the container's. @bytes is what there is so far. */
static void add_process(int proc, const char *name, const Member *member, const Text *passwd,
                        size_t *bytes, AgentProcesses *ret)
{
        _cleanup_(fd_closep) int directory = openat(proc, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        AgentProcessInfo *info = &ret->processes[ret->n_processes];

        if (directory < 0 || !is_member(directory, member))
                return;
        if (ret->n_processes == PROCESSES_MAX || *bytes > BYTES_MAX) {
                ret->truncated = true;
                return;
        }
        if (describe(proc, directory, (uint32_t)strtoul(name, NULL, 10), passwd, info) < 0)
                return;
        ret->n_processes++;
        *bytes += BYTES_FIXED + (info->user ? strlen(info->user) : 0) +
                  (info->command ? strlen(info->command) : 0);
}

static int list_processes(Container *container, AgentProcesses *ret)
{
        Process *first = container_find_process(container, "");
        _cleanup_(text_done) Text passwd = {};
        DIR *directory;
        struct dirent *entry;
        size_t bytes = 0;
        Member member;

        *ret = (AgentProcesses){};
        if (!first)
                return -ESRCH;
        ret->processes = calloc(PROCESSES_MAX + 1, sizeof(*ret->processes));
        if (!ret->processes)
                return -ENOMEM;
        directory = opendir("/proc");
        if (!directory) {
                agent_processes_done(ret);
                return errno_neg();
        }
        member_of(container, first, &member);
        read_passwd(dirfd(directory), first, &passwd);
        while ((entry = readdir(directory)))
                if (isdigit((unsigned char)entry->d_name[0]))
                        add_process(dirfd(directory), entry->d_name, &member, &passwd, &bytes, ret);
        closedir(directory);
        return 0;
}

typedef struct Listing {
        Guest *guest;
        uint32_t request;
} Listing;

/* In the worker. */
static int listing_run(void *argument, int output)
{
        _cleanup_(freep) uint8_t *payload = malloc(FRAME_PAYLOAD_MAX);
        AgentProcesses processes;
        size_t size;
        int r = payload ? list_processes(argument, &processes) : -ENOMEM;

        if (r < 0)
                return r;
        r = agent_processes_encode(&processes, payload, FRAME_PAYLOAD_MAX, &size);
        agent_processes_done(&processes);
        return r < 0 ? r : io_write_full(output, payload, size);
}

static int listing_answer(const Listing *listing, int output)
{
        _cleanup_(freep) uint8_t *payload = malloc(FRAME_PAYLOAD_MAX);
        ssize_t n;

        if (!payload)
                return -ENOMEM;
        n = pread(output, payload, FRAME_PAYLOAD_MAX, 0);
        if (n < 0)
                return errno_neg();
        guest_reply_payload(listing->guest, listing->request, payload, (size_t)n);
        return 0;
}

static void listing_done(void *context, int r, int output)
{
        Listing *listing = context;

        if (r == 0)
                r = listing_answer(listing, output);
        if (r < 0)
                guest_reply_error(listing->guest, listing->request, r, "cannot list the processes");
        free(listing);
}

void processes_answer(Container *container, uint32_t request)
{
        Listing *listing = malloc(sizeof(*listing));
        int r = -ENOMEM;

        if (listing) {
                *listing = (Listing){.guest = container->guest, .request = request};
                r = worker_start(container->guest->loop, listing_run, container, listing_done,
                                 listing);
        }
        if (r < 0) {
                guest_reply_error(container->guest, request, r, "cannot list the processes");
                free(listing);
        }
}
