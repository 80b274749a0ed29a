/*
 * PID 1 of the guest: mounts what the kernel offers, starts the agent, reaps, and ends the machine
 * when the agent has ended. Nothing else happens here, so that nothing here can fail later.
 *
 * One thread that sleeps in waitpid(). No input but the kernel command line:
 *
 *   uvm.marker  write "uvm-marker init" to the kernel log at the most urgent level, for the boot
 *               benchmark, which reads the console and its own clock; the agent does the same
 *   uvm.debug   the agent logs what it does
 */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"

#define AGENT_PROGRAM "/agent"
#define COMMAND_LINE  2048

typedef struct InitMount {
        const char *type;
        const char *target;
        unsigned long flags;
        const char *options;
} InitMount;

static const InitMount mounts[] = {
        {"proc", "/proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL},
        {"sysfs", "/sys", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL},
        {"devtmpfs", "/dev", MS_NOSUID | MS_NOEXEC, "mode=0755"},
        {"devpts", "/dev/pts", MS_NOSUID | MS_NOEXEC, "mode=0620,gid=5,ptmxmode=0666"},
        {"cgroup2", "/sys/fs/cgroup", MS_NOSUID | MS_NODEV | MS_NOEXEC,
         "nsdelegate,memory_recursiveprot"},
        {"tmpfs", "/run", MS_NOSUID | MS_NODEV, "mode=0755"},
};

/* A line for the kernel's log; "<N>" in front is its priority. */
__attribute__((format(printf, 1, 2))) static void init_log(const char *format, ...)
{
        _cleanup_(fd_closep) int fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
        char line[256];
        va_list arguments;
        int n;

        va_start(arguments, format);
        n = vsnprintf(line, sizeof(line), format, arguments);
        va_end(arguments);
        if (n < 0 || write(fd >= 0 ? fd : STDERR_FILENO, line, strnlen(line, sizeof(line))) < 0)
                return; /* nobody to tell */
}

/* The machine is of no use any more: what has been written is safe, then the monitor sees a reset. */
__attribute__((noreturn)) static void init_end(void)
{
        sync();
        reboot(RB_AUTOBOOT);
        for (;;)
                pause();
}

__attribute__((noreturn)) static void init_fail(const char *what)
{
        init_log("<2>uvm-init: %s: %s\n", what, strerror(errno));
        init_end();
}

/*
 * The initial RAM file system can't be left by pivot_root(), as containers must: its mount has no
 * parent (fs/namespace.c, mnt_has_parent). A bind mount of it moved over it has one.
 */
static void init_make_root(void)
{
        if (mount("/", "/root", NULL, MS_BIND, NULL) < 0 || chdir("/root") < 0 ||
            mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0)
                init_fail("cannot make a root that can be left");
}

static void init_mount(void)
{
        for (size_t i = 0; i < ELEMENTSOF(mounts); i++) {
                const InitMount *m = &mounts[i];

                if ((mkdir(m->target, 0755) < 0 && errno != EEXIST) ||
                    mount(m->type, m->target, m->type, m->flags, m->options) < 0)
                        init_fail(m->target);
        }
}

/* The kernel opened the console for us only if the RAM disk has a node for it. */
static void init_open_console(void)
{
        int fd = open("/dev/console", O_RDWR | O_NOCTTY);

        for (int target = STDIN_FILENO; fd >= 0 && target <= STDERR_FILENO; target++)
                if (fd != target)
                        dup2(fd, target);
        if (fd > STDERR_FILENO)
                close(fd);
}

/* True if @word stands on the kernel command line. */
static bool init_option(const char *word)
{
        _cleanup_(fd_closep) int fd = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);
        char line[COMMAND_LINE + 1], *rest = line, *token;
        ssize_t n = fd < 0 ? -1 : read(fd, line, COMMAND_LINE);

        if (n < 0)
                return false;
        line[n] = '\0';
        while ((token = strsep(&rest, " \n")))
                if (strcmp(token, word) == 0)
                        return true;
        return false;
}

static void init_loopback_up(void)
{
        _cleanup_(fd_closep) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP};

        if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) < 0)
                init_log("<4>uvm-init: cannot bring up lo: %s\n", strerror(errno));
}

/* All groups of the machine are its containers': any of them may send echo requests without a right of
 * its own (icmp(7)), as with podman. */
static void init_allow_ping(void)
{
        static const char all[] = "0 2147483647";
        _cleanup_(fd_closep) int fd = open("/proc/sys/net/ipv4/ping_group_range",
                                           O_WRONLY | O_CLOEXEC);

        if (fd < 0 || write(fd, all, sizeof(all) - 1) < 0)
                init_log("<4>uvm-init: cannot allow ping: %s\n", strerror(errno));
}

static pid_t init_start_agent(void)
{
        char *const argv[] = {(char *)AGENT_PROGRAM,
                              init_option("uvm.marker") ? (char *)"--marker" : NULL, NULL};
        char *const env[] = {(char *)"PATH=/", (char *)"HOME=/",
                             init_option("uvm.debug") ? (char *)"UVM_LOG_LEVEL=debug" : NULL, NULL};
        pid_t pid = fork();

        if (pid < 0)
                init_fail("cannot fork");
        if (pid > 0)
                return pid;
        setsid();
        execve(AGENT_PROGRAM, argv, env);
        init_log("<2>uvm-init: cannot run " AGENT_PROGRAM ": %s\n", strerror(errno));
        _exit(127);
}

/* Reaps whatever loses its parent until the agent ends; its status says how. */
static void init_reap_until(pid_t agent)
{
        int status;
        pid_t pid;

        do
                pid = waitpid(-1, &status, 0);
        while (pid != agent && (pid > 0 || errno == EINTR));
        if (pid != agent)
                init_log("<2>uvm-init: lost the agent: %s\n", strerror(errno));
        else if (WIFSIGNALED(status))
                init_log("<2>uvm-init: the agent died of signal %d\n", WTERMSIG(status));
        else if (WEXITSTATUS(status) != 0)
                init_log("<2>uvm-init: the agent ended with status %d\n", WEXITSTATUS(status));
}

int main(void)
{
        if (getpid() != 1) {
                fprintf(stderr, "uvm-init: runs as the first process of a guest only\n");
                return EXIT_FAILURE;
        }
        init_make_root();
        init_mount();
        if (init_option("uvm.marker"))
                init_log("<0>uvm-marker init\n");
        init_open_console();
        init_loopback_up();
        init_allow_ping();
        init_reap_until(init_start_agent());
        init_end();
}
