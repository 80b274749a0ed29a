/* What a jailed process may still do in its own user namespace, and how much of it. */
#include <linux/capability.h>
#include <linux/securebits.h>
#include <signal.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"

#include "vmm/jail/jail_steps.h"

/*
 * All five are for the 9p server, which acts for a guest's root in file trees whose ids the user
 * namespace maps; none of them means anything on a file with an id from outside it.
 */
static const unsigned jail_capabilities[] = {
        CAP_CHOWN,        /* chown and chgrp, also what gives a new file to its creator */
        CAP_DAC_OVERRIDE, /* files of every user of the guest, whatever their mode */
        CAP_FOWNER,       /* chmod, utimes, sticky directories and xattrs of files of others */
        CAP_FSETID,       /* keeps set-group-id on files of groups it is not in */
        CAP_SETFCAP,      /* security.capability, which packages put on their files */
};

typedef struct JailLimit {
        int resource;
        rlim_t value;
} JailLimit;

static const JailLimit jail_limits[] = {
        {RLIMIT_CORE, 0},         /* a core would hold the guest's secrets */
        {RLIMIT_NPROC, 512},      /* a thread a vCPU and the 9p pool; a bound on a thread bomb */
        {RLIMIT_MEMLOCK, 0},      /* guest memory is the scope's to account and swap */
        {RLIMIT_MSGQUEUE, 0},     /* no POSIX message queues */
        {RLIMIT_SIGPENDING, 512}, /* a kick of each thread */
        {RLIMIT_NICE, 0},         /* no better nice value than the scope's */
        {RLIMIT_RTPRIO, 0},       /* no real-time scheduling */
};

static int jail_limit(int resource, rlim_t value)
{
        struct rlimit limit;

        if (getrlimit(resource, &limit) < 0)
                return errno_neg();
        if (value < limit.rlim_max)
                limit.rlim_max = value;
        limit.rlim_cur = limit.rlim_max;
        return setrlimit(resource, &limit) < 0 ? errno_neg() : 0;
}

static int jail_limit_all(const JailConfig *config)
{
        for (unsigned i = 0; i < ELEMENTSOF(jail_limits); i++) {
                int r = jail_limit(jail_limits[i].resource, jail_limits[i].value);

                if (r < 0)
                        return r;
        }
        return jail_limit(RLIMIT_NOFILE, config->n_files_max);
}

static uint64_t jail_capability_mask(void)
{
        uint64_t mask = 0;

        for (unsigned i = 0; i < ELEMENTSOF(jail_capabilities); i++)
                mask |= UINT64_C(1) << jail_capabilities[i];
        return mask;
}

/* Up to the first number that the running kernel does not know. */
static int jail_drop_bounding(uint64_t mask)
{
        for (unsigned capability = 0; capability < 64; capability++) {
                if (mask & (UINT64_C(1) << capability))
                        continue;
                if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0)
                        return errno == EINVAL && capability > CAP_AUDIT_READ ? 0 : errno_neg();
        }
        return 0;
}

static int jail_set_capabilities(uint64_t mask)
{
        struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
        struct __user_cap_data_struct data[2] = {};

        for (unsigned i = 0; i < 2; i++)
                data[i].effective = data[i].permitted = (uint32_t)(mask >> (32 * i));
        return syscall(SYS_capset, &header, data) < 0 ? errno_neg() : 0;
}

int jail_privilege_drop(const JailConfig *config, const char **ret_step)
{
        uint64_t mask = jail_capability_mask();
        int r;

        *ret_step = "set resource limits";
        r = jail_limit_all(config);
        if (r >= 0)
                r = jail_core_schedule(ret_step);
        if (r < 0)
                return r;
        *ret_step = "drop capabilities";
        /* Being uid 0 gives nothing by itself, should an exec ever happen. */
        if (prctl(PR_SET_SECUREBITS, SECBIT_NOROOT | SECBIT_NOROOT_LOCKED, 0, 0, 0) < 0)
                return errno_neg();
        if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
                return errno_neg();
        r = jail_drop_bounding(mask);
        if (r < 0)
                return r;
        r = jail_set_capabilities(mask);
        if (r < 0)
                return r;
        *ret_step = "set no_new_privs";
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                return errno_neg();
        /* Keeps ptrace and /proc/PID/mem of this process from others with the sandbox's ids. */
        *ret_step = "become undumpable";
        if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
                return errno_neg();
        /* Last: a change of credentials clears it. */
        *ret_step = "ask for death with the parent";
        return prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 ? errno_neg() : 0;
}
