/*
 * The jail from both sides: this program starts itself again as uvm-shim starts uvm-vmm (or as a
 * developer would), lets that process jail itself and run one probe, and looks at it through /proc
 * from outside meanwhile. Needs root and skips without.
 */
#include "test/unit/jail_probes.h"

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

/* Where the kernel can and there is something to share. */
static void check_core_cookie(pid_t pid)
{
        unsigned long cookie = 0;

        if (prctl(PR_SCHED_CORE, PR_SCHED_CORE_GET, 0, PR_SCHED_CORE_SCOPE_THREAD, &cookie) < 0) {
                printf("# no core scheduling here: %s\n", strerror(errno));
                return;
        }
        unit_assert_int(
                prctl(PR_SCHED_CORE, PR_SCHED_CORE_GET, pid, PR_SCHED_CORE_SCOPE_THREAD, &cookie),
                0);
        unit_assert(cookie != 0);
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
        check_core_cookie(child.pid);
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
