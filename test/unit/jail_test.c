/*
 * The jail from both sides: this program starts itself again as uvm-shim starts uvm-vmm (or as a
 * developer would), lets that process jail itself and run one probe, and looks at it through /proc
 * from outside meanwhile. Needs root and skips without.
 */
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

/* --- probes: run in the jail --- */

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

/* --- the parent's side --- */

typedef struct Child {
        pid_t pid;
        int link;
} Child;

static int tree_fd;

static void write_file(pid_t pid, const char *name, const char *text)
{
        char path[64];
        int fd;

        snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
        fd = open(path, O_WRONLY | O_CLOEXEC);
        unit_assert(fd >= 0);
        unit_assert_int(io_write_full(fd, text, strlen(text)), 0);
        close(fd);
}

static void child_exec(Start start, const char *probe, int link)
{
        int program = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
        int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
        int tree = fcntl(tree_fd, F_DUPFD_CLOEXEC, 20), up = fcntl(link, F_DUPFD_CLOEXEC, 20);
        char byte;

        EXPECT(program >= 0 && tree >= 0);
        program = fcntl(program, F_DUPFD_CLOEXEC, 20);
        kvm = fcntl(kvm, F_DUPFD_CLOEXEC, 20);
        EXPECT(dup2(up, PROBE_LINK) >= 0 && dup2(tree, PROBE_TREE) >= 0);
        EXPECT(dup2(up, PROBE_LOST) >= 0);
        if (kvm >= 0)
                EXPECT(dup2(kvm, PROBE_KVM) >= 0);
        /* The maps are written now. */
        EXPECT(io_read_full(PROBE_LINK, &byte, 1) == 0);
        if (start == START_RANGE || start == START_IDENTITY)
                EXPECT(setresgid(0, 0, 0) == 0 && setresuid(0, 0, 0) == 0);
        if (start == START_USER)
                EXPECT(setresgid(65534, 65534, 65534) == 0 && setresuid(65534, 65534, 65534) == 0);
        char *const arguments[] = {(char[]){"jail_test"}, (char *)(uintptr_t)probe, NULL};
        char *const environment[] = {NULL};

        execveat(program, "", arguments, environment, AT_EMPTY_PATH);
        EXPECT(!"execveat");
}

static Child child_start(Start start, const char *probe)
{
        bool by_shim = start == START_RANGE || start == START_IDENTITY;
        unsigned long flags = SIGCHLD;
        int ends[2];
        Child child;

        if (by_shim)
                flags |= CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC |
                         CLONE_NEWUTS;
        unit_assert_int(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
        child.pid = (pid_t)syscall(SYS_clone, flags, NULL, NULL, NULL, 0);
        unit_assert(child.pid >= 0);
        if (child.pid == 0)
                child_exec(start, probe, ends[1]);
        close(ends[1]);
        child.link = ends[0];
        if (by_shim) {
                char map[64] = "0 0 4294967295\n";

                if (start == START_RANGE)
                        snprintf(map, sizeof(map), "0 %u 65536\n", PROBE_RANGE);
                write_file(child.pid, "uid_map", map);
                write_file(child.pid, "gid_map", map);
        }
        unit_assert_int(io_write_full(child.link, "", 1), 0);
        return child;
}

static bool child_wait_jailed(Child *child)
{
        char byte;

        return io_read_full(child->link, &byte, 1) == 0;
}

static int child_wait(Child *child)
{
        int status;

        unit_assert_int(waitpid(child->pid, &status, 0), child->pid);
        close(child->link);
        return status;
}

static void check_probe(Start start, const Probe *probe)
{
        Child child = child_start(start, probe->name);
        int status;

        if (!child_wait_jailed(&child))
                unit_fail("%s: no jail (start %d)", probe->name, start);
        unit_assert_int(io_write_full(child.link, "", 1), 0);
        status = child_wait(&child);
        if (probe->dies_of ? !WIFSIGNALED(status) || WTERMSIG(status) != probe->dies_of
                           : status != 0)
                unit_fail("%s ended with status %#x", probe->name, (unsigned)status);
}

static void test_probes(void)
{
        for (unsigned i = 0; i < ELEMENTSOF(probes); i++)
                if (strcmp(probes[i].name, "stay") != 0)
                        check_probe(START_RANGE, &probes[i]);
}

static void test_identity(void)
{
        check_probe(START_IDENTITY, probe_find("jailed"));
        check_probe(START_IDENTITY, probe_find("unfiltered"));
        check_probe(START_IDENTITY, probe_find("owners"));
        check_probe(START_IDENTITY, probe_find("unshare"));
}

static void test_alone(void)
{
        check_probe(START_ALONE, probe_find("jailed"));
        check_probe(START_ALONE, probe_find("unfiltered"));
        check_probe(START_ALONE, probe_find("work"));
        check_probe(START_ALONE, probe_find("kvm"));
}

/* Kernels may forbid namespaces to others than root: then the probe says so and nothing else. */
static void test_alone_without_root(void)
{
        Child child = child_start(START_USER, "unfiltered");
        bool jailed = child_wait_jailed(&child);

        if (!jailed) {
                printf("# a user who is not root gets no jail here\n");
                child_wait(&child);
                return;
        }
        unit_assert_int(io_write_full(child.link, "", 1), 0);
        unit_assert_int(child_wait(&child), 0);
}

static char *read_proc(pid_t pid, const char *name)
{
        static char text[16384];
        char path[64];
        ssize_t n, total = 0;
        int fd;

        snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        unit_assert(fd >= 0);
        while ((n = read(fd, text + total, sizeof(text) - 1 - (size_t)total)) > 0)
                total += n;
        unit_assert(n == 0);
        text[total] = '\0';
        close(fd);
        return text;
}

static void expect_in(const char *text, const char *format, ...)
{
        char line[128];
        va_list arguments;

        va_start(arguments, format);
        vsnprintf(line, sizeof(line), format, arguments);
        va_end(arguments);
        if (!strstr(text, line))
                unit_fail("no \"%s\" in:\n%s", line, text);
}

static unsigned count_fds(pid_t pid)
{
        unsigned n = 0;
        char path[64];
        DIR *directory;

        snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
        directory = opendir(path);
        unit_assert(directory);
        while (readdir(directory))
                n++;
        closedir(directory);
        return n - 2;
}

static void test_seen_from_outside(void)
{
        bool kvm = access("/dev/kvm", R_OK | W_OK) == 0;
        Child child = child_start(START_RANGE, "stay");
        const char *text;

        unit_assert(child_wait_jailed(&child));
        text = read_proc(child.pid, "status");
        expect_in(text, "\nUid:\t%u\t%u", PROBE_RANGE, PROBE_RANGE);
        expect_in(text, "\nCapInh:\t0000000000000000\n");
        expect_in(text, "\nCapPrm:\t" FIVE_CAPS "\n");
        expect_in(text, "\nCapEff:\t" FIVE_CAPS "\n");
        expect_in(text, "\nCapBnd:\t" FIVE_CAPS "\n");
        expect_in(text, "\nCapAmb:\t0000000000000000\n");
        expect_in(text, "\nNoNewPrivs:\t1\n");
        expect_in(text, "\nSeccomp:\t2\n");
        text = read_proc(child.pid, "limits");
        expect_in(text, "Max core file size        0 ");
        expect_in(text, "Max open files            %d ", PROBE_FILES);
        expect_in(text, "Max locked memory         0 ");
        /* One mount, and one line to say it. */
        text = read_proc(child.pid, "mountinfo");
        expect_in(text, " / / ro,nosuid,nodev,noexec");
        expect_in(text, " - tmpfs ");
        unit_assert(strchr(text, '\n') == strrchr(text, '\n'));
        /* The streams, those named, the fds directory. */
        unit_assert_int(count_fds(child.pid), 3 + 2 + kvm + 1);
        kill(child.pid, SIGTERM); /* not heard: pid 1 has no handler for it */
        kill(child.pid, SIGKILL);
        unit_assert_int(child_wait(&child), SIGKILL);
}

static void test_dies_with_its_parent(void)
{
        int ends[2];
        pid_t parent;
        char byte;

        unit_assert_int(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
        parent = fork();
        unit_assert(parent >= 0);
        if (parent == 0) {
                Child child = child_start(START_RANGE, "stay");

                EXPECT(child_wait_jailed(&child));
                /* The jailed process alone holds the other end from here on. */
                EXPECT(io_send(ends[1], "", 1, &child.link, 1) == 0);
                _exit(0);
        }
        IoMessage message;

        close(ends[1]);
        unit_assert_int(io_recv(ends[0], &byte, 1, &message), 0);
        unit_assert_int(message.n_fds, 1);
        unit_assert_int(io_read_full(message.fds[0], &byte, 1), -ENODATA);
        io_message_done(&message);
        waitpid(parent, NULL, 0);
        close(ends[0]);
}

int main(int argc, char **argv)
{
        static const UnitTest tests[] = {
                UNIT_TEST(test_probes),
                UNIT_TEST(test_identity),
                UNIT_TEST(test_alone),
                UNIT_TEST(test_alone_without_root),
                UNIT_TEST(test_seen_from_outside),
                UNIT_TEST(test_dies_with_its_parent),
        };
        char tree[] = "/tmp/uvm-jail-XXXXXX";
        int r;

        if (argc > 1)
                return probe_main(argv[1]);
        if (geteuid() != 0) {
                printf("1..0 # SKIP needs root\n");
                return 0;
        }
        if (SANITIZED) {
                printf("1..0 # SKIP a sanitizer needs system calls that the jail has not\n");
                return 0;
        }
        unit_assert(mkdtemp(tree) && chown(tree, PROBE_RANGE, PROBE_RANGE) == 0);
        /* Also for who is root in a namespace without this id, and for nobody. */
        unit_assert_int(chmod(tree, 0777), 0);
        tree_fd = open(tree, O_PATH | O_DIRECTORY | O_CLOEXEC);
        unit_assert(tree_fd >= 0);
        r = unit_run(tests, ELEMENTSOF(tests));
        close(tree_fd);
        rmdir(tree);
        return r;
}
