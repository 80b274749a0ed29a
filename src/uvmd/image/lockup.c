/* What an import's worker takes from itself; see lockup.h. */
#include <errno.h>
#include <linux/capability.h>
#include <sched.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "uvmd/image/lockup.h"

static const int capabilities[] = {
        CAP_CHOWN,        /* owners of files */
        CAP_DAC_OVERRIDE, /* fill directories that are another's, read a source that root may read */
        CAP_FOWNER,       /* modes, times and attributes of files that are another's */
        CAP_FSETID,       /* setgid bits */
        CAP_SETFCAP,      /* security.capability */
        CAP_MKNOD,        /* device nodes: no use outside the guest, exports are nodev */
};

static const struct {
        int resource;
        rlim_t limit;
} limits[] = {
        {RLIMIT_CORE, 0},
        {RLIMIT_NPROC, 0},       /* nothing here forks */
        {RLIMIT_NOFILE, 4096},   /* one for each directory on the way */
        {RLIMIT_AS, 2ULL << 30}, /* zstd's and xz's largest windows, with room */
};

/* Reading the source, making files, memory, and the end. */
static const int calls[] = {
        SCMP_SYS(read),
        SCMP_SYS(pread64),
        SCMP_SYS(lseek),
        SCMP_SYS(write),
        SCMP_SYS(pwrite64),
        SCMP_SYS(sendmsg),
        SCMP_SYS(openat),
        SCMP_SYS(openat2),
        SCMP_SYS(close),
        SCMP_SYS(open),
        SCMP_SYS(fcntl),
        SCMP_SYS(dup),
        SCMP_SYS(dup3),
        SCMP_SYS(fchdir),
        SCMP_SYS(getdents64),
        SCMP_SYS(fstat),
        SCMP_SYS(newfstatat),
        SCMP_SYS(stat),
        SCMP_SYS(lstat),
        SCMP_SYS(statx),
        SCMP_SYS(fstatfs),
        SCMP_SYS(statfs),
        SCMP_SYS(readlinkat),
        SCMP_SYS(readlink),
        SCMP_SYS(fgetxattr),
        SCMP_SYS(flistxattr),
        SCMP_SYS(lgetxattr),
        SCMP_SYS(llistxattr),
        SCMP_SYS(getxattr),
        SCMP_SYS(listxattr),
        SCMP_SYS(mkdirat),
        SCMP_SYS(mknodat),
        SCMP_SYS(symlinkat),
        SCMP_SYS(linkat),
        SCMP_SYS(unlinkat),
        SCMP_SYS(ftruncate),
        SCMP_SYS(fchown),
        SCMP_SYS(fchownat),
        SCMP_SYS(fchmod),
        SCMP_SYS(fchmodat),
        SCMP_SYS(utimensat),
        SCMP_SYS(fsetxattr),
        SCMP_SYS(fadvise64),
        SCMP_SYS(ioctl),
        SCMP_SYS(umask),
        SCMP_SYS(brk),
        SCMP_SYS(mmap),
        SCMP_SYS(munmap),
        SCMP_SYS(mremap),
        SCMP_SYS(madvise),
        SCMP_SYS(mprotect),
        SCMP_SYS(futex),
        SCMP_SYS(getrandom),
        SCMP_SYS(clock_gettime),
        SCMP_SYS(rt_sigaction),
        SCMP_SYS(rt_sigprocmask),
        SCMP_SYS(rt_sigreturn),
        SCMP_SYS(getpid),
        SCMP_SYS(gettid),
        SCMP_SYS(tgkill),
        SCMP_SYS(geteuid),
        SCMP_SYS(getuid),
        SCMP_SYS(exit),
        SCMP_SYS(exit_group),
        SCMP_SYS(restart_syscall),
};

static int lockup_capabilities(void)
{
        struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
        struct __user_cap_data_struct sets[2] = {{0}};

        for (int i = 0; prctl(PR_CAPBSET_READ, i, 0, 0, 0) >= 0; i++) {
                bool kept = false;

                for (size_t j = 0; j < ELEMENTSOF(capabilities); j++)
                        kept |= capabilities[j] == i;
                if (!kept && prctl(PR_CAPBSET_DROP, i, 0, 0, 0) < 0)
                        return errno_neg();
        }
        for (size_t i = 0; i < ELEMENTSOF(capabilities); i++) {
                uint32_t bit = 1U << (capabilities[i] % 32);

                sets[capabilities[i] / 32].effective |= bit;
                sets[capabilities[i] / 32].permitted |= bit;
        }
        return syscall(SYS_capset, &header, sets) < 0 ? errno_neg() : 0;
}

static int lockup_filter(void)
{
        scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
        int r = filter ? 0 : -ENOMEM;

        for (size_t i = 0; i < ELEMENTSOF(calls) && r == 0; i++)
                r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 0);
        if (r == 0)
                r = seccomp_load(filter);
        seccomp_release(filter);
        return r;
}

int lockup_enter(int root)
{
        int r;

        /* Mounts and everything with an address: nothing of it is reachable from here. */
        if (unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) < 0)
                return errno_neg();
        if (fchdir(root) < 0 || chroot(".") < 0)
                return errno_neg();
        umask(0);
        for (size_t i = 0; i < ELEMENTSOF(limits); i++) {
                struct rlimit limit = {limits[i].limit, limits[i].limit};

                if (setrlimit((__rlimit_resource_t)limits[i].resource, &limit) < 0)
                        return errno_neg();
        }
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
                return errno_neg();
        r = lockup_capabilities();
        return r < 0 ? r : lockup_filter();
}
