/*
 * The system calls of a jailed monitor: one list for all of its threads. What is not here kills the
 * process by SIGSYS, so that an attacker gets one try.
 *
 * Paths are harmless (the root is empty), so calls that take a directory fd are not looked into:
 * the file trees among the fds are what the monitor serves anyway.
 */
#include <fcntl.h>
#include <linux/kvm.h>
#include <sched.h>
#include <seccomp.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"

#include "vmm/jail/jail_steps.h"

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
        SCMP_SYS(readv),
        SCMP_SYS(writev),
        SCMP_SYS(pread64),
        SCMP_SYS(pwrite64),
        SCMP_SYS(preadv),
        SCMP_SYS(pwritev),
        SCMP_SYS(preadv2),
        SCMP_SYS(pwritev2),
        SCMP_SYS(lseek),
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
        SCMP_SYS(poll),
        SCMP_SYS(ppoll),
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
        SCMP_SYS(sched_yield),
        SCMP_SYS(sched_getaffinity),
        SCMP_SYS(exit),
        SCMP_SYS(exit_group),
        /* Signals: the kick of a vCPU thread, abort(). */
        SCMP_SYS(rt_sigaction),
        SCMP_SYS(rt_sigprocmask),
        SCMP_SYS(rt_sigreturn),
        SCMP_SYS(restart_syscall), /* the kernel's own, after SIGSTOP and SIGCONT */
        /* Time, where the vDSO has no answer, CPU time of threads; back-off of a lock. */
        SCMP_SYS(clock_gettime),
        SCMP_SYS(clock_getres),
        SCMP_SYS(gettimeofday),
        SCMP_SYS(clock_nanosleep),
        SCMP_SYS(getrusage),
        /* Seeds: hand-off block, rng device. */
        SCMP_SYS(getrandom),
        /* 9p: the operations of a file server, on the directories it was handed. */
        SCMP_SYS(openat),
        SCMP_SYS(openat2),
        SCMP_SYS(fchdir), /* to the fds directory: the one way to xattrs of what can't be opened */
        SCMP_SYS(fstat),
        SCMP_SYS(newfstatat),
        SCMP_SYS(statx),
        SCMP_SYS(fstatfs),
        SCMP_SYS(getdents64),
        SCMP_SYS(readlinkat),
        SCMP_SYS(faccessat2),
        SCMP_SYS(mkdirat),
        SCMP_SYS(mknodat),
        SCMP_SYS(symlinkat),
        SCMP_SYS(linkat),
        SCMP_SYS(unlinkat),
        SCMP_SYS(renameat),
        SCMP_SYS(renameat2),
        SCMP_SYS(fchown),
        SCMP_SYS(fchownat),
        SCMP_SYS(fchmod),
        SCMP_SYS(fchmodat),
        SCMP_SYS(utimensat),
        SCMP_SYS(ftruncate),
        SCMP_SYS(fallocate),
        SCMP_SYS(fsync),
        SCMP_SYS(fdatasync),
        SCMP_SYS(umask),
        SCMP_SYS(fgetxattr),
        SCMP_SYS(fsetxattr),
        SCMP_SYS(flistxattr),
        SCMP_SYS(fremovexattr),
        SCMP_SYS(getxattr),
        SCMP_SYS(setxattr),
        SCMP_SYS(listxattr),
        SCMP_SYS(removexattr),
};

/* KVM's, each by number; the fds they work on were handed over or made by these. */
static const unsigned filter_ioctls[] = {
        /* /dev/kvm */
        KVM_GET_API_VERSION, KVM_CHECK_EXTENSION, KVM_CREATE_VM, KVM_GET_VCPU_MMAP_SIZE,
        /* a machine */
        KVM_CREATE_VCPU, KVM_SET_USER_MEMORY_REGION, KVM_ENABLE_CAP, KVM_CREATE_IRQCHIP,
        KVM_SET_GSI_ROUTING, KVM_IRQFD, KVM_IOEVENTFD,
        KVM_GET_IRQCHIP, /* templates, as are GET and SET of all below */
        KVM_SET_IRQCHIP, KVM_GET_CLOCK, KVM_SET_CLOCK, KVM_GET_DIRTY_LOG,
        KVM_GET_STATS_FD, /* all exits, for the benches */
        /* a vCPU */
        KVM_RUN, KVM_GET_MP_STATE, KVM_SET_MP_STATE, KVM_GET_REGS, KVM_SET_REGS, KVM_GET_SREGS,
        KVM_SET_SREGS, KVM_GET_FPU, KVM_SET_FPU, KVM_GET_VCPU_EVENTS, KVM_SET_VCPU_EVENTS,
        KVM_SET_SIGNAL_MASK, /* the kick is let in by KVM_RUN only */
#ifdef __x86_64__
        KVM_GET_SUPPORTED_CPUID, KVM_SET_TSS_ADDR, KVM_SET_IDENTITY_MAP_ADDR,
        KVM_GET_MSR_INDEX_LIST, KVM_SET_CPUID2, KVM_GET_MSRS, KVM_SET_MSRS, KVM_GET_LAPIC,
        KVM_SET_LAPIC, KVM_GET_XSAVE, KVM_SET_XSAVE, KVM_GET_XCRS, KVM_SET_XCRS, KVM_GET_DEBUGREGS,
        KVM_SET_DEBUGREGS, KVM_GET_TSC_KHZ, KVM_SET_TSC_KHZ,
        KVM_KVMCLOCK_CTRL, /* tells a paused guest's watchdog */
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
        return filter_add_number(filter, SCMP_SYS(tgkill), 0, (unsigned)getpid());
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

int jail_filter_load(const char **ret_step)
{
        _cleanup_(filter_releasep) scmp_filter_ctx filter = NULL;
        int r;

        *ret_step = "build the system call filter";
        filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
        if (!filter)
                return -ENOMEM;
        r = filter_build(filter);
        if (r < 0)
                return r;
        *ret_step = "load the system call filter";
        return seccomp_load(filter);
}
