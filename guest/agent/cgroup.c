/* Control groups; see cgroup.h. */
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <linux/magic.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"

#include "agent/cgroup.h"
#include "agent/limits.h"
#include "agent/pressure.h"
#include "agent/textfile.h"

#define DEPTH_MAX 32
/* A killed process leaves its group when it is reaped at the latest; this is for a stuck one. */
#define EMPTY_LIMIT_MSEC 5000

int cgroup_open_root(int *ret_fd)
{
        static const char *const controllers[] = {"+cpuset", "+cpu", "+io", "+memory", "+pids"};
        _cleanup_(fd_closep) int fd = open(CGROUP_ROOT, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        struct statfs status;

        if (fd < 0 || fstatfs(fd, &status) < 0)
                return errno_neg();
        if (status.f_type != CGROUP2_SUPER_MAGIC)
                return -ENODEV;
        for (size_t i = 0; i < ELEMENTSOF(controllers); i++) {
                int r = text_write(fd, "cgroup.subtree_control", controllers[i],
                                   strlen(controllers[i]));

                /* A kernel may lack one; a limit that needs it fails by name later. */
                if (r < 0)
                        log_debug("no cgroup controller %s", controllers[i] + 1);
        }
        *ret_fd = TAKE_FD(fd);
        return 0;
}

/* Reading is also what makes the kernel report the next change (kernfs_generic_poll()). */
static uint64_t read_oom_kills(const Cgroup *cgroup)
{
        char data[512];
        ssize_t n = cgroup->events_fd < 0 ? -1
                                          : pread(cgroup->events_fd, data, sizeof(data) - 1, 0);
        Text text = {.data = data};

        if (n < 0)
                return cgroup->oom_kills;
        data[n] = '\0';
        return text_get_u64(&text, "oom_kill");
}

uint64_t cgroup_oom_kills(Cgroup *cgroup)
{
        cgroup->oom_kills = read_oom_kills(cgroup);
        return cgroup->oom_kills;
}

static int on_events(LoopFd *source, uint32_t events)
{
        Cgroup *cgroup = CONTAINER_OF(source, Cgroup, events);
        uint64_t before = cgroup->oom_kills;

        if (cgroup_oom_kills(cgroup) > before)
                cgroup->oom(cgroup);
        return 0;
}

static int watch_events(Cgroup *cgroup, Loop *loop)
{
        cgroup->events_fd = openat(cgroup->fd, "memory.events", O_RDONLY | O_CLOEXEC);
        if (cgroup->events_fd < 0)
                return errno == ENOENT ? 0 : errno_neg();
        cgroup_oom_kills(cgroup);
        return loop_fd_add(loop, &cgroup->events, cgroup->events_fd, EPOLLPRI, on_events);
}

int cgroup_create(Cgroup *cgroup, Loop *loop, int root_fd, const char *name,
                  const AgentLimits *limits, void (*oom)(Cgroup *cgroup), Fault *fault)
{
        int r;

        *cgroup = (Cgroup){.fd = FD_NONE, .events_fd = FD_NONE, .oom = oom};
        if (root_fd < 0)
                return 0;
        if (mkdirat(root_fd, name, 0755) < 0)
                return fault_set(fault, errno_neg(), "cannot make the cgroup %s", name);
        cgroup->fd = openat(root_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (cgroup->fd < 0)
                return fault_set(fault, errno_neg(), "cannot open the cgroup %s", name);
        r = limits_set(cgroup->fd, limits, true, fault);
        if (r < 0)
                return r;
        r = watch_events(cgroup, loop);
        return r < 0 ? fault_set(fault, r, "cannot watch memory.events of %s", name) : 0;
}

int cgroup_open(const char *name, int *ret_fd)
{
        char path[sizeof(CGROUP_ROOT) + AGENT_ID_MAX + 2];
        int fd;

        snprintf(path, sizeof(path), "%s/%s", CGROUP_ROOT, name);
        fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return errno_neg();
        *ret_fd = fd;
        return 0;
}

int cgroup_open_of(pid_t pid, int *ret_fd)
{
        _cleanup_(text_done) Text text = {};
        char path[64], directory[4096];
        const char *below;
        int fd, r;

        snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)pid);
        r = text_read(AT_FDCWD, path, &text);
        if (r < 0)
                return r;
        text.data[strcspn(text.data, "\n")] = '\0';
        /* "0::/path": cgroup2 is the only hierarchy. */
        below = strncmp(text.data, "0::", 3) == 0 ? text.data + 3 : NULL;
        if (!below || snprintf(directory, sizeof(directory), "%s%s", CGROUP_ROOT, below) >=
                              (int)sizeof(directory))
                return -EBADMSG;
        fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return errno_neg();
        *ret_fd = fd;
        return 0;
}

void cgroup_done(Cgroup *cgroup)
{
        loop_fd_remove(&cgroup->events);
        if (!cgroup->oom)
                return;
        cgroup->events_fd = fd_close(cgroup->events_fd);
        cgroup->fd = fd_close(cgroup->fd);
        cgroup->oom = NULL;
}

int cgroup_kill(const Cgroup *cgroup)
{
        return cgroup->fd < 0 ? 0 : text_write(cgroup->fd, "cgroup.kill", "1", 1);
}

/* Calls @visit for each group below @fd and then for @fd itself. */
static int walk(int fd, unsigned depth, int (*visit)(int fd, void *context), void *context)
{
        int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *directory = copy < 0 ? NULL : fdopendir(copy);
        struct dirent *entry;
        int r = 0;

        if (!directory) {
                r = errno_neg();
                fd_close(copy);
                return r;
        }
        while (r == 0 && depth < DEPTH_MAX && (entry = readdir(directory))) {
                _cleanup_(fd_closep) int child = FD_NONE;

                if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
                        continue;
                child = openat(fd, entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                if (child >= 0)
                        r = walk(child, depth + 1, visit, context);
                if (r == 0 && !visit && unlinkat(fd, entry->d_name, AT_REMOVEDIR) < 0)
                        r = errno_neg();
        }
        closedir(directory);
        return r < 0 || !visit ? r : visit(fd, context);
}

static int signal_members(int fd, void *context)
{
        _cleanup_(text_done) Text text = {};
        const int *signal = context;
        char *at, *line;
        int r = text_read(fd, "cgroup.procs", &text);

        if (r < 0)
                return r;
        at = text.data;
        while ((line = strsep(&at, "\n")) && *line)
                kill((pid_t)atoi(line), *signal);
        return 0;
}

int cgroup_signal(const Cgroup *cgroup, int signal)
{
        if (cgroup->fd < 0)
                return -ENOTSUP;
        if (signal == SIGKILL)
                return cgroup_kill(cgroup);
        return walk(cgroup->fd, 0, signal_members, &signal);
}

static bool is_populated(int events)
{
        char data[128];
        ssize_t n = pread(events, data, sizeof(data) - 1, 0);
        Text text = {.data = data};

        if (n < 0)
                return false;
        data[n] = '\0';
        return text_get_u64(&text, "populated") != 0;
}

static void wait_until_empty(int fd)
{
        _cleanup_(fd_closep) int events = openat(fd, "cgroup.events", O_RDONLY | O_CLOEXEC);

        while (events >= 0 && is_populated(events)) {
                struct pollfd poll_fd = {.fd = events, .events = POLLPRI};

                if (poll(&poll_fd, 1, EMPTY_LIMIT_MSEC) == 0)
                        return;
        }
}

int cgroup_remove(const char *name)
{
        _cleanup_(fd_closep) int root = open(CGROUP_ROOT, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        _cleanup_(fd_closep) int fd = FD_NONE;
        int r;

        if (root < 0)
                return errno_neg();
        fd = openat(root, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return errno == ENOENT ? 0 : errno_neg();
        text_write(fd, "cgroup.kill", "1", 1);
        wait_until_empty(fd);
        r = walk(fd, 0, NULL, NULL);
        if (r == 0 && unlinkat(root, name, AT_REMOVEDIR) < 0)
                r = errno_neg();
        return r;
}

static uint64_t read_limit(int fd, const char *file)
{
        uint64_t value;

        return text_read_u64(fd, file, &value) < 0 ? UINT64_MAX : value;
}

static uint64_t read_value(int fd, const char *file)
{
        uint64_t value;

        return text_read_u64(fd, file, &value) < 0 ? 0 : value;
}

static void read_cpu(int fd, AgentStats *stats)
{
        _cleanup_(text_done) Text text = {};

        if (text_read(fd, "cpu.stat", &text) < 0)
                return;
        stats->cpu_usec = text_get_u64(&text, "usage_usec");
        stats->cpu_user_usec = text_get_u64(&text, "user_usec");
        stats->cpu_system_usec = text_get_u64(&text, "system_usec");
}

static void read_memory(int fd, AgentStats *stats)
{
        _cleanup_(text_done) Text stat = {}, events = {};

        stats->memory = read_value(fd, "memory.current");
        stats->memory_peak = read_value(fd, "memory.peak");
        stats->memory_limit = read_limit(fd, "memory.max");
        if (text_read(fd, "memory.stat", &stat) == 0)
                stats->memory_cache = text_get_u64(&stat, "file");
        if (text_read(fd, "memory.events", &events) == 0)
                stats->oom_kills = text_get_u64(&events, "oom_kill");
}

/* Lines of "MAJ:MIN rbytes=N wbytes=N rios=N wios=N …", one for each device. */
static void read_io(int fd, AgentStats *stats)
{
        const struct {
                const char *key;
                uint64_t *sum;
        } counters[] = {
                {"rbytes=", &stats->read_bytes},
                {"wbytes=", &stats->write_bytes},
                {"rios=", &stats->read_ops},
                {"wios=", &stats->write_ops},
        };
        _cleanup_(text_done) Text text = {};
        char *rest, *word;

        if (text_read(fd, "io.stat", &text) < 0)
                return;
        rest = text.data;
        while ((word = strsep(&rest, " \n")))
                for (size_t i = 0; i < ELEMENTSOF(counters); i++) {
                        size_t length = strlen(counters[i].key);

                        if (strncmp(word, counters[i].key, length) == 0)
                                *counters[i].sum += strtoull(word + length, NULL, 10);
                }
}

void cgroup_stats(int fd, AgentStats *stats)
{
        stats->memory_limit = stats->pids_limit = UINT64_MAX;
        if (fd < 0)
                return;
        read_cpu(fd, stats);
        read_memory(fd, stats);
        read_io(fd, stats);
        pressure_read(fd, "cpu.pressure", &stats->cpu_pressure);
        pressure_read(fd, "memory.pressure", &stats->memory_pressure);
        pressure_read(fd, "io.pressure", &stats->io_pressure);
        stats->pids = read_value(fd, "pids.current");
        stats->pids_limit = read_limit(fd, "pids.max");
}
