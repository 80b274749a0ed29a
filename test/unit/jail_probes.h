/*
 * What the jail's test runs inside the jail: one probe after the other, each a process of its own
 * that jails itself first. See jail_test.c for how it is started and watched. Everything is static:
 * the test is one file.
 */
#pragma once

#include <dirent.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/io.h"

#include "test/unit.h"
#include "vmm/jail/jail.h"
#include "vmm/jail/jail_steps.h"

/* Fds of the probe, as handed over. */
enum {
        PROBE_LINK = 3, /* a byte out when jailed, a byte in when it may go on */
        PROBE_TREE = 4, /* O_PATH directory */
        PROBE_KVM = 5,  /* /dev/kvm, where there is one */
        PROBE_LOST = 9, /* not named, so closed */
};

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED true
#elif defined(__has_feature)
#define SANITIZED __has_feature(address_sanitizer)
#else
#define SANITIZED false
#endif

#define PROBE_RANGE 1966080U
#define PROBE_FILES 64
#define FIVE_CAPS   "000000008000001b" /* setfcap, fsetid, fowner, dac_override, chown */
#define EXPECT(check)                                                                         \
        do {                                                                                  \
                if (!(check)) {                                                               \
                        fprintf(stderr, "%s:%d: %s (errno %d)\n", __FILE__, __LINE__, #check, \
                                errno);                                                       \
                        _exit(1);                                                             \
                }                                                                             \
        } while (0)
#define EXPECT_ERRNO(call, number) EXPECT((call) < 0 && errno == (number))

typedef enum Start {
        START_RANGE,    /* by a shim: 65,536 ids of the host's */
        START_IDENTITY, /* by a shim for root's own */
        START_ALONE,    /* by a developer who is root */
        START_USER,     /* by a developer who is not */
} Start;

static int probe_fds_fd;

static void probe_look_at_root(void)
{
        char entries[1024];
        struct stat root, above;
        int fd;

        fd = openat(AT_FDCWD, "/", O_RDONLY | O_DIRECTORY);
        EXPECT(fd >= 0);
        /* "." and "..": 24 bytes each. */
        EXPECT(syscall(SYS_getdents64, fd, entries, sizeof(entries)) == 48);
        EXPECT_ERRNO(mkdirat(fd, "x", 0700), EROFS);
        EXPECT(stat("/", &root) == 0 && stat("/../..", &above) == 0);
        EXPECT(root.st_ino == above.st_ino && root.st_dev == above.st_dev);
        EXPECT_ERRNO(openat(AT_FDCWD, "/proc/self/status", O_RDONLY), ENOENT);
        EXPECT_ERRNO(openat(AT_FDCWD, "/etc/passwd", O_RDONLY), ENOENT);
        EXPECT_ERRNO(openat(AT_FDCWD, "../../etc/passwd", O_RDONLY), ENOENT);
        close(fd);
}

static void probe_look_at_fds(void)
{
        struct stat inside, above;
        char name[16];
        int file, reopened;

        EXPECT(fstat(probe_fds_fd, &inside) == 0);
        EXPECT(fstatat(probe_fds_fd, "../..", &above, 0) == 0);
        EXPECT(inside.st_ino == above.st_ino && inside.st_dev == above.st_dev);
        EXPECT_ERRNO(openat(probe_fds_fd, "../status", O_RDONLY), ENOENT);
        EXPECT_ERRNO(openat(probe_fds_fd, "../../sys/kernel/hostname", O_RDONLY), ENOENT);
        EXPECT_ERRNO(openat(probe_fds_fd, "9", O_RDONLY), ENOENT);
        EXPECT_ERRNO(fstat(PROBE_LOST, &inside), EBADF);

        /* What the 9p server does: make, give away, reopen by O_PATH handle. */
        EXPECT(mkdirat(PROBE_TREE, "made", 0700) == 0);
        EXPECT_ERRNO(openat(PROBE_TREE, "../etc", O_RDONLY), ENOENT);
        file = openat(PROBE_TREE, "file", O_RDWR | O_CREAT | O_EXCL, 0600);
        EXPECT(file >= 0);
        close(file);
        file = openat(PROBE_TREE, "file", O_PATH | O_NOFOLLOW);
        EXPECT(file >= 0);
        EXPECT_ERRNO(write(file, "x", 1), EBADF);
        snprintf(name, sizeof(name), "%d", file);
        reopened = openat(probe_fds_fd, name, O_RDWR);
        EXPECT(reopened >= 0 && write(reopened, "x", 1) == 1);
        EXPECT(fchdir(probe_fds_fd) == 0);
        EXPECT(unlinkat(PROBE_TREE, "file", 0) == 0);
        EXPECT(unlinkat(PROBE_TREE, "made", AT_REMOVEDIR) == 0);
        close(reopened);
        close(file);
}

static void probe_jailed(void)
{
        probe_look_at_root();
        probe_look_at_fds();
}

static void probe_owners(void)
{
        EXPECT(mkdirat(PROBE_TREE, "owned", 0700) == 0);
        EXPECT(fchownat(PROBE_TREE, "owned", 12, 34, 0) == 0);
        EXPECT(fchmodat(PROBE_TREE, "owned", 02755, 0) == 0);
        EXPECT_ERRNO(mknodat(PROBE_TREE, "device", S_IFCHR | 0600, 0x103), EPERM);
        EXPECT(unlinkat(PROBE_TREE, "owned", AT_REMOVEDIR) == 0);
}

/* Without the filter, to see that the other walls stand by themselves. */
static void probe_unfiltered(void)
{
        struct ifreq request = {.ifr_name = "lo"};
        struct if_nameindex *interfaces = if_nameindex();
        int signal_number = 0, s;

        EXPECT(prctl(PR_GET_DUMPABLE) == 0);
        EXPECT(prctl(PR_GET_PDEATHSIG, &signal_number) == 0 && signal_number == SIGKILL);
        EXPECT(interfaces && interfaces[0].if_index && !interfaces[1].if_index);
        s = socket(AF_INET, SOCK_DGRAM, 0);
        EXPECT(s >= 0 && ioctl(s, SIOCGIFFLAGS, &request) == 0);
        EXPECT(!(request.ifr_flags & IFF_UP));
        EXPECT_ERRNO(ioctl(s, SIOCSIFFLAGS, &request), EPERM);
        EXPECT_ERRNO(chroot("/"), EPERM);
        EXPECT_ERRNO(mount("none", "/", "tmpfs", 0, NULL), EPERM);
        EXPECT_ERRNO(mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND, NULL), EPERM);
        EXPECT_ERRNO(umount2("/", MNT_DETACH), EPERM);
        EXPECT_ERRNO(unshare(CLONE_NEWNS), EPERM);
        EXPECT_ERRNO(unshare(CLONE_NEWNET), EPERM);
        EXPECT_ERRNO(open_tree(AT_FDCWD, "/", OPEN_TREE_CLONE), EPERM);
        EXPECT(setuid(5) < 0); /* EPERM, or EINVAL where 5 is not mapped */
        EXPECT_ERRNO(sethostname("x", 1), EPERM);
        EXPECT_ERRNO(open("/bin/sh", O_RDONLY), ENOENT);
        EXPECT_ERRNO(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, 0, 0, 0), EPERM);
        EXPECT_ERRNO(fcntl(0, F_DUPFD, PROBE_FILES), EINVAL);
}

static void *probe_thread(void *argument)
{
        prctl(PR_SET_NAME, "vcpu0");
        free(malloc(1 << 20));
        eventfd_write(*(int *)argument, 1);
        return NULL;
}

static void probe_work(void)
{
        struct epoll_event event = {.events = EPOLLIN};
        int loop = epoll_create1(EPOLL_CLOEXEC), wake = eventfd(0, EFD_CLOEXEC);
        pthread_t threads[4];
        int ends[2];

        EXPECT(loop >= 0 && wake >= 0);
        EXPECT(epoll_ctl(loop, EPOLL_CTL_ADD, wake, &event) == 0);
        for (int i = 0; i < 4; i++)
                EXPECT(pthread_create(&threads[i], NULL, probe_thread, &wake) == 0);
        EXPECT(epoll_wait(loop, &event, 1, -1) == 1);
        for (int i = 0; i < 4; i++)
                EXPECT(pthread_join(threads[i], NULL) == 0);
        EXPECT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
        EXPECT(fd_set_nonblock(ends[0], true) == 0);
        EXPECT(io_send(ends[0], "x", 1, &wake, 1) == 0);
        EXPECT(shutdown(ends[0], SHUT_WR) == 0);
        EXPECT(raise(0) == 0);
}

static void probe_kvm(void)
{
        int machine, vcpu, size;

        if (fcntl(PROBE_KVM, F_GETFD) < 0)
                return;
        EXPECT(ioctl(PROBE_KVM, KVM_GET_API_VERSION, 0) == KVM_API_VERSION);
        machine = ioctl(PROBE_KVM, KVM_CREATE_VM, 0);
        EXPECT(machine >= 0);
        vcpu = ioctl(machine, KVM_CREATE_VCPU, 0);
        size = ioctl(PROBE_KVM, KVM_GET_VCPU_MMAP_SIZE, 0);
        EXPECT(vcpu >= 0 && size > 0);
        EXPECT(mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0) != MAP_FAILED);
}

/* Never returns: what a test looks at from outside, or kills. */
static void probe_stay(void)
{
        char byte;

        for (;;)
                (void)!read(PROBE_LINK, &byte, 1);
}

static void probe_abort(void)
{
        abort();
}

#define PROBE_CALL(name, call)         \
        static void probe_##name(void) \
        {                              \
                (void)!(call);         \
        }
PROBE_CALL(socket, socket(AF_INET, SOCK_STREAM, 0))
PROBE_CALL(socket_unix, socket(AF_UNIX, SOCK_STREAM, 0))
PROBE_CALL(exec, execl("/bin/sh", "sh", NULL))
PROBE_CALL(fork, (int)fork())
PROBE_CALL(unshare, unshare(CLONE_NEWUSER))
PROBE_CALL(setns, setns(PROBE_LINK, 0))
PROBE_CALL(mount, mount("none", "/", "tmpfs", 0, NULL))
PROBE_CALL(chroot, chroot("/"))
PROBE_CALL(ptrace, (int)ptrace(PTRACE_TRACEME, 0, 0, 0))
PROBE_CALL(kill, kill(0, SIGTERM))
PROBE_CALL(tgkill, (int)syscall(SYS_tgkill, getpid() + 1, 1, SIGTERM))
PROBE_CALL(open_tree, open_tree(AT_FDCWD, "/", OPEN_TREE_CLONE))
PROBE_CALL(by_handle, open_by_handle_at(PROBE_TREE, NULL, O_RDONLY))
PROBE_CALL(process_vm, (int)process_vm_readv(1, NULL, 0, NULL, 0, 0))
PROBE_CALL(bpf, (int)syscall(SYS_bpf, 0, NULL, 0))
PROBE_CALL(io_uring, (int)syscall(SYS_io_uring_setup, 1, NULL))
PROBE_CALL(dumpable, prctl(PR_SET_DUMPABLE, 1))
PROBE_CALL(ioctl, ioctl(PROBE_LINK, TIOCSTI, ""))
PROBE_CALL(kvm_device, ioctl(PROBE_LINK, KVM_CREATE_DEVICE, NULL))
PROBE_CALL(mmap_exec, mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
                              MAP_FAILED)
PROBE_CALL(mprotect_exec,
           mprotect((void *)((uintptr_t)&probe_fds_fd & ~4095UL), 4096, PROT_READ | PROT_EXEC))

typedef struct Probe {
        const char *name;
        void (*run)(void);
        bool unfiltered;
        int dies_of; /* a signal */
} Probe;

static const Probe probes[] = {
        {.name = "jailed", probe_jailed},
        {.name = "unfiltered", probe_unfiltered, .unfiltered = true},
        {.name = "owners", probe_owners},
        {.name = "work", probe_work},
        {.name = "kvm", probe_kvm},
        {.name = "stay", probe_stay, .dies_of = SIGKILL},
        /* pid 1 of a namespace can't be killed from within by anything but its own faults. */
        {.name = "abort", probe_abort, .dies_of = SIGSEGV},
        {.name = "socket", probe_socket, .dies_of = SIGSYS},
        {.name = "socket_unix", probe_socket_unix, .dies_of = SIGSYS},
        {.name = "exec", probe_exec, .dies_of = SIGSYS},
        {.name = "fork", probe_fork, .dies_of = SIGSYS},
        {.name = "unshare", probe_unshare, .dies_of = SIGSYS},
        {.name = "setns", probe_setns, .dies_of = SIGSYS},
        {.name = "mount", probe_mount, .dies_of = SIGSYS},
        {.name = "chroot", probe_chroot, .dies_of = SIGSYS},
        {.name = "ptrace", probe_ptrace, .dies_of = SIGSYS},
        {.name = "kill", probe_kill, .dies_of = SIGSYS},
        {.name = "tgkill", probe_tgkill, .dies_of = SIGSYS},
        {.name = "open_tree", probe_open_tree, .dies_of = SIGSYS},
        {.name = "by_handle", probe_by_handle, .dies_of = SIGSYS},
        {.name = "process_vm", probe_process_vm, .dies_of = SIGSYS},
        {.name = "bpf", probe_bpf, .dies_of = SIGSYS},
        {.name = "io_uring", probe_io_uring, .dies_of = SIGSYS},
        {.name = "dumpable", probe_dumpable, .dies_of = SIGSYS},
        {.name = "ioctl", probe_ioctl, .dies_of = SIGSYS},
        {.name = "kvm_device", probe_kvm_device, .dies_of = SIGSYS},
        {.name = "mmap_exec", probe_mmap_exec, .dies_of = SIGSYS},
        {.name = "mprotect_exec", probe_mprotect_exec, .dies_of = SIGSYS},
};

static const Probe *probe_find(const char *name)
{
        for (unsigned i = 0; i < ELEMENTSOF(probes); i++)
                if (strcmp(probes[i].name, name) == 0)
                        return &probes[i];
        abort();
}

static int probe_enter(const Probe *probe, const JailConfig *config, const char **ret_step)
{
        int r;

        if (!probe->unfiltered)
                return jail_enter(config, &probe_fds_fd, ret_step);
        r = jail_namespace_enter(ret_step);
        if (r < 0)
                return r;
        r = jail_fds_close(config, ret_step);
        if (r < 0)
                return r;
        r = jail_root_enter(&probe_fds_fd, ret_step);
        if (r < 0)
                return r;
        return jail_privilege_drop(config, ret_step);
}

static int probe_main(const char *name)
{
        const Probe *probe = probe_find(name);
        const int fds[] = {PROBE_KVM, FD_NONE, PROBE_LINK, PROBE_TREE, PROBE_LINK};
        const JailConfig config = {
                .fds = fds, .n_fds = ELEMENTSOF(fds), .n_files_max = PROBE_FILES};
        const char *step = "";
        char byte = 0;
        int r;

        r = probe_enter(probe, &config, &step);
        if (r < 0)
                fprintf(stderr, "jail: can't %s: %s\n", step, strerror(-r));
        EXPECT(r == 0);
        EXPECT(io_write_full(PROBE_LINK, "", 1) == 0);
        EXPECT(io_read_full(PROBE_LINK, &byte, 1) == 0);
        probe->run();
        _exit(0);
}
