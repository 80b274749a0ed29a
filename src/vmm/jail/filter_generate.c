/*
 * The system calls of a jailed monitor: one list for all of its threads. What is not here kills the
 * process by SIGSYS, so that an attacker gets one try.
 *
 * Paths are harmless (the root is empty), so calls that take a directory fd are not looked into:
 * the file trees among the fds are what the monitor serves anyway.
 *
 * This is a program of the build: it prints the list as the BPF program that filter.c loads, so
 * that no start of a machine spends time on translating it and the monitor does without libseccomp.
 */
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/fs.h>
#include <linux/if_tun.h>
#include <linux/kvm.h>
#include <linux/vhost.h>
#include <sched.h>
#include <seccomp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"

static void filter_releasep(scmp_filter_ctx *filter)
{
        if (*filter)
                seccomp_release(*filter);
}

/* Allowed with any arguments. */
static const int filter_calls[] = {
        /* Data: queues, sockets, disks, files served by 9p. */
        SCMP_SYS(read),
        SCMP_SYS(write),
        SCMP_SYS(readv), /* a tap's packets, into a guest's buffers and out of them */
        SCMP_SYS(writev),
        SCMP_SYS(pread64),
        SCMP_SYS(pwrite64),
        SCMP_SYS(preadv2),
        SCMP_SYS(pwritev2),
        SCMP_SYS(lseek),
        SCMP_SYS(fallocate), /* a disk's discarded and zeroed sectors */
        SCMP_SYS(close),
        /* The control socket with its fds, vsock's streams. No socket can be made but a pair. */
        SCMP_SYS(sendmsg),
        SCMP_SYS(recvmsg),
        SCMP_SYS(shutdown),
        SCMP_SYS(getsockopt),
        /* The event loop and what wakes it. */
        SCMP_SYS(epoll_create1),
        SCMP_SYS(epoll_ctl),
        SCMP_SYS(epoll_wait),
        SCMP_SYS(epoll_pwait),
        SCMP_SYS(eventfd2),
        SCMP_SYS(timerfd_create), /* console output waits a little for more */
        SCMP_SYS(timerfd_settime),
        /* Memory: malloc, guest memory, vCPU state pages. mmap and mprotect: never executable. */
        SCMP_SYS(brk),
        SCMP_SYS(munmap),
        SCMP_SYS(mremap),
        SCMP_SYS(madvise),
        /* Threads: locks, their start and end, malloc's choice of arenas. */
        SCMP_SYS(futex),
        SCMP_SYS(set_robust_list),
        SCMP_SYS(rseq),
        SCMP_SYS(gettid),
        SCMP_SYS(getpid),
        SCMP_SYS(sched_getaffinity),
        SCMP_SYS(exit),
        SCMP_SYS(exit_group),
        /* Signals: the kick of a vCPU thread, abort(). */
        SCMP_SYS(rt_sigaction),
        SCMP_SYS(rt_sigprocmask),
        SCMP_SYS(rt_sigreturn),
        SCMP_SYS(restart_syscall), /* the kernel's own, after SIGSTOP and SIGCONT */
        /* Time, where the vDSO has no answer, and CPU time of threads. */
        SCMP_SYS(clock_gettime),
        /* Seeds: hand-off block, rng device. */
        SCMP_SYS(getrandom),
        /* 9p: the operations of a file server, on the directories it was handed. */
        SCMP_SYS(openat),
        SCMP_SYS(fchdir), /* to the fds directory: the one way to xattrs of what can't be opened */
        SCMP_SYS(fstat),
        SCMP_SYS(newfstatat),
        SCMP_SYS(statx),
        SCMP_SYS(fstatfs),
        SCMP_SYS(getdents64),
        SCMP_SYS(readlinkat),
        SCMP_SYS(mkdirat),
        SCMP_SYS(mknodat),
        SCMP_SYS(symlinkat),
        SCMP_SYS(linkat),
        SCMP_SYS(unlinkat),
        SCMP_SYS(renameat),
        SCMP_SYS(fchownat),
        SCMP_SYS(fchmodat),
        SCMP_SYS(utimensat),
        SCMP_SYS(ftruncate),
        SCMP_SYS(fsync),
        SCMP_SYS(fdatasync), /* a disk's flush, too */
        SCMP_SYS(umask),
        SCMP_SYS(geteuid), /* whose files those are that it makes */
        SCMP_SYS(getxattr),
        SCMP_SYS(setxattr),
        SCMP_SYS(listxattr),
        SCMP_SYS(removexattr),
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
        /* The run time of a sanitizer, in builds that are for finding mistakes: threads' signal stacks, its
         * locks, its own place and limits. */
        SCMP_SYS(sigaltstack),
        SCMP_SYS(sched_yield),
        SCMP_SYS(readlink),
        SCMP_SYS(getrlimit),
        SCMP_SYS(prlimit64),
#endif
};

/* KVM's and those of block devices and taps, each by number; the fds they work on were handed over or made by
 * these. */
static const unsigned filter_ioctls[] = {
        /* /dev/kvm: what it can do, and a machine */
        KVM_GET_API_VERSION,
        KVM_CHECK_EXTENSION,
        KVM_GET_VCPU_MMAP_SIZE,
        KVM_CREATE_VM,
        /* the machine: its parts, and how queues and interrupts reach this process */
        KVM_CREATE_VCPU,
        KVM_SET_USER_MEMORY_REGION,
        KVM_CREATE_IRQCHIP,
        KVM_IRQ_LINE,
        KVM_IRQFD,
        KVM_IOEVENTFD,
        /* a vCPU: its start state, its run, where it stood when it failed */
        KVM_RUN,
        KVM_GET_REGS,
        KVM_SET_REGS,
        KVM_GET_SREGS,
        KVM_SET_SREGS,
        /* one that was taken out waits for the guest to wake it */
        KVM_SET_MP_STATE,
        /* a disk that is a block device: its size, sectors that the guest discards. Both are asked of an
         * fd that a supervisor handed over for that, and the second needs it open for writing. */
        BLKGETSIZE64,
        BLKDISCARD,
        /* a tap's queues, on fds that were handed over: whether they are such, how packets look, what the
         * guest lets the tap do, which of the queues the guest uses. None of them names an interface. */
        TUNGETIFF,
        TUNSETVNETHDRSZ,
        TUNSETVNETLE,
        TUNSETOFFLOAD,
        TUNSETQUEUE,
        /* vhost-net, likewise: the kernel moves packets between the guest's rings, which lie in this
         * process's memory, and the taps. */
        VHOST_SET_OWNER,
        VHOST_GET_FEATURES,
        VHOST_SET_FEATURES,
        VHOST_SET_MEM_TABLE,
        VHOST_SET_VRING_NUM,
        VHOST_SET_VRING_BASE,
        VHOST_GET_VRING_BASE,
        VHOST_SET_VRING_ADDR,
        VHOST_SET_VRING_KICK,
        VHOST_SET_VRING_CALL,
        VHOST_SET_VRING_ERR,
        VHOST_NET_SET_BACKEND,
        /* all exits, for GET_STATS */
        KVM_GET_STATS_FD,
#ifdef __x86_64__
        /* where KVM may put its own pages */
        KVM_SET_TSS_ADDR,
        KVM_SET_IDENTITY_MAP_ADDR,
        /* what the guest sees of the processor; the APIC of a vCPU that comes late */
        KVM_GET_SUPPORTED_CPUID,
        KVM_SET_CPUID2,
        KVM_SET_MSRS,
        KVM_GET_LAPIC,
        KVM_SET_LAPIC,
        /* tells a paused guest's watchdog */
        KVM_KVMCLOCK_CTRL,
#endif
};

static const int filter_fcntls[] = {
        F_GETFL,         F_SETFL,     /* non-blocking streams */
        F_GETFD,         F_SETFD,     /* close on exec */
        F_DUPFD_CLOEXEC,              /* one more owner */
        F_OFD_SETLK,     F_OFD_GETLK, /* locks of 9p */
};

/* What pthread_create() asks for; no namespace, no second process. */
#define FILTER_CLONE_THREAD                                                                 \
        (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | \
         CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID)

/* Stands for the monitor's pid, which only filter.c can know; no number of the list is like it. */
#define FILTER_PID_MARK 0x6d705675U

/* As many as the kernel takes: BPF_MAXINSNS. */
#define FILTER_LENGTH_MAX 4096

typedef struct FilterRule {
        int call;
        unsigned argument; /* of which @mask's bits must equal @value */
        uint64_t mask, value;
        uint32_t action;
} FilterRule;

static const FilterRule filter_rules[] = {
        /* Code can't be added to the process. */
        {SCMP_SYS(mmap), 2, PROT_EXEC, 0, SCMP_ACT_ALLOW},
        {SCMP_SYS(mprotect), 2, PROT_EXEC, 0, SCMP_ACT_ALLOW},
        {SCMP_SYS(clone), 0, UINT64_MAX, FILTER_CLONE_THREAD, SCMP_ACT_ALLOW},
        /* Its flags lie in memory, where a filter can't look: glibc falls back to clone. */
        {SCMP_SYS(clone3), 0, 0, 0, SCMP_ACT_ERRNO(ENOSYS)},
        /* The two ends of a connection that a guest opens. */
        {SCMP_SYS(socketpair), 0, UINT32_MAX, AF_UNIX, SCMP_ACT_ALLOW},
        /* A thread names itself. */
        {SCMP_SYS(prctl), 0, UINT32_MAX, PR_SET_NAME, SCMP_ACT_ALLOW},
        /* stdio asks whether standard error is a terminal: it may think that it is not. */
        {SCMP_SYS(ioctl), 1, UINT32_MAX, TCGETS, SCMP_ACT_ERRNO(ENOTTY)},
};

static int filter_add_rule(scmp_filter_ctx filter, const FilterRule *rule)
{
        struct scmp_arg_cmp compare = {
                .arg = rule->argument,
                .op = SCMP_CMP_MASKED_EQ,
                .datum_a = rule->mask,
                .datum_b = rule->value,
        };

        return seccomp_rule_add_array(filter, rule->action, rule->call, rule->mask ? 1 : 0,
                                      &compare);
}

/* Allows @call where the 32 bits that the kernel looks at are @value (libraries sign-extend). */
static int filter_add_number(scmp_filter_ctx filter, int call, unsigned argument, unsigned value)
{
        return filter_add_rule(filter,
                               &(FilterRule){call, argument, UINT32_MAX, value, SCMP_ACT_ALLOW});
}

static int filter_add_all(scmp_filter_ctx filter)
{
        int r;

        for (unsigned i = 0; i < ELEMENTSOF(filter_calls); i++) {
                r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, filter_calls[i], 0);
                if (r < 0)
                        return r;
        }
        for (unsigned i = 0; i < ELEMENTSOF(filter_ioctls); i++) {
                r = filter_add_number(filter, SCMP_SYS(ioctl), 1, filter_ioctls[i]);
                if (r < 0)
                        return r;
        }
        for (unsigned i = 0; i < ELEMENTSOF(filter_fcntls); i++) {
                r = filter_add_number(filter, SCMP_SYS(fcntl), 1, (unsigned)filter_fcntls[i]);
                if (r < 0)
                        return r;
        }
        for (unsigned i = 0; i < ELEMENTSOF(filter_rules); i++) {
                r = filter_add_rule(filter, &filter_rules[i]);
                if (r < 0)
                        return r;
        }
        /* Signals to threads of this process only. */
        return filter_add_number(filter, SCMP_SYS(tgkill), 0, FILTER_PID_MARK);
}

static int filter_build(scmp_filter_ctx filter)
{
        int r;

        /* Other architectures' calls (i386, x32) are none of ours. */
        r = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
        if (r < 0)
                return r;
        /* A search tree, so that KVM_RUN's way through the list is short. */
        r = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
        if (r < 0)
                return r;
        return filter_add_all(filter);
}

/* The only way that libseccomp has: into a file. */
static int filter_export(scmp_filter_ctx filter, struct sock_filter *program, unsigned *ret_length)
{
        _cleanup_(fd_closep) int fd = memfd_create("filter", MFD_CLOEXEC);
        ssize_t size;
        int r;

        if (fd < 0)
                return errno_neg();
        r = seccomp_export_bpf(filter, fd);
        if (r < 0)
                return r;
        size = pread(fd, program, FILTER_LENGTH_MAX * sizeof(*program), 0);
        if (size < 0)
                return errno_neg();
        *ret_length = (unsigned)((size_t)size / sizeof(*program));
        return 0;
}

/* Where the program compares with the mark: at one place, else filter.c would miss one. */
static int filter_find_mark(const struct sock_filter *program, unsigned length, unsigned *ret_at)
{
        unsigned found = 0;

        for (unsigned i = 0; i < length; i++) {
                if (program[i].k != FILTER_PID_MARK)
                        continue;
                if (program[i].code != (BPF_JMP | BPF_JEQ | BPF_K))
                        return -EINVAL;
                *ret_at = i;
                found++;
        }
        return found == 1 ? 0 : -EINVAL;
}

static void filter_print(const struct sock_filter *program, unsigned length, unsigned pid_at)
{
        puts("/* Made from filter_generate.c. */");
        printf("#define FILTER_PID_AT %u\n", pid_at);
        puts("static const struct sock_filter filter_program[] = {");
        for (unsigned i = 0; i < length; i++)
                printf("        {0x%02x, %u, %u, 0x%08x},\n", (unsigned)program[i].code,
                       (unsigned)program[i].jt, (unsigned)program[i].jf, (unsigned)program[i].k);
        puts("};");
}

int main(void)
{
        static struct sock_filter program[FILTER_LENGTH_MAX];
        _cleanup_(filter_releasep) scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
        unsigned length = 0, pid_at = 0;
        int r = filter ? filter_build(filter) : -ENOMEM;

        if (r == 0)
                r = filter_export(filter, program, &length);
        if (r == 0)
                r = filter_find_mark(program, length, &pid_at);
        if (r < 0) {
                fprintf(stderr, "can't make the system call filter: %s\n", strerror(-r));
                return EXIT_FAILURE;
        }
        filter_print(program, length, pid_at);
        return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
