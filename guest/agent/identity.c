/* Who a process in a container is; see identity.h. */
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/capability.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/io.h"
#include "base/parse.h"

#include "agent/identity.h"
#include "agent/textfile.h"

#define CAPABILITIES 64

static int find_group(const Text *file, const char *key, uint32_t *ret, Fault *fault)
{
        if (passwd_find_group(file->data, file->size, key, ret) == 0 ||
            parse_u32(key, 0, UINT32_MAX - 1, ret) == 0)
                return 0;
        return fault_set_exit(fault, -ENOENT, FAULT_EXIT_SETUP,
                              "unable to find group %s: no matching entries in group file", key);
}

static int find_user(const Text *file, const char *key, PasswdUser *ret, Fault *fault)
{
        if (passwd_find_user(file->data, file->size, key, ret) == 0)
                return 0;
        *ret = (PasswdUser){.home = "/"};
        if (parse_u32(key, 0, UINT32_MAX - 1, &ret->uid) == 0) {
                if (ret->uid == 0)
                        strcpy(ret->home, "/root");
                return 0;
        }
        return fault_set_exit(fault, -ENOENT, FAULT_EXIT_SETUP,
                              "unable to find user %s: no matching entries in passwd file", key);
}

static int add_groups(const AgentProcessSpec *spec, const Text *file, Identity *identity,
                      Fault *fault)
{
        for (uint32_t i = 0; i < spec->groups.n; i++) {
                int r;

                if (identity->n_groups == IDENTITY_GROUPS_MAX)
                        return fault_set(fault, -E2BIG, "additional groups");
                r = find_group(file, spec->groups.items[i], &identity->groups[identity->n_groups],
                               fault);
                if (r < 0)
                        return r;
                identity->n_groups++;
        }
        return 0;
}

static int resolve(const AgentProcessSpec *spec, char *user_key, const Text *passwd,
                   const Text *group, Identity *ret, Fault *fault)
{
        char *group_key = strchr(user_key, ':');
        PasswdUser user;
        int r;

        if (group_key)
                *group_key++ = '\0';
        r = find_user(passwd, *user_key ? user_key : "0", &user, fault);
        if (r < 0)
                return r;
        ret->uid = user.uid;
        ret->gid = user.gid;
        strcpy(ret->home, user.home);
        /* An explicit group stands alone, as in podman and docker. */
        if (group_key && *group_key)
                r = find_group(group, group_key, &ret->gid, fault);
        else if (*user.name)
                ret->n_groups = passwd_member_groups(group->data, group->size, user.name,
                                                     ret->groups, IDENTITY_GROUPS_MAX);
        return r < 0 ? r : add_groups(spec, group, ret, fault);
}

int identity_resolve(const AgentProcessSpec *spec, Identity *ret, Fault *fault)
{
        _cleanup_(text_done) Text passwd = {}, group = {};
        _cleanup_(freep) char *key = strdup(spec->user ? spec->user : "");
        int r;

        if (!key)
                return fault_set(fault, -ENOMEM, "user");
        ret->n_groups = 0;
        /* A container without these files has numbers only. */
        r = text_read(AT_FDCWD, "/etc/passwd", &passwd);
        if (r == 0)
                r = text_read(AT_FDCWD, "/etc/group", &group);
        if (r < 0 && r != -ENOENT && r != -ENOTDIR)
                return fault_set(fault, r, "cannot read the container's passwd and group");
        return resolve(spec, key, &passwd, &group, ret, fault);
}

static int set_limits(const AgentProcessSpec *spec, Fault *fault)
{
        for (uint32_t i = 0; i < spec->n_rlimits; i++) {
                const AgentRlimit *limit = &spec->rlimits[i];
                struct rlimit value = {.rlim_cur = limit->soft, .rlim_max = limit->hard};

                if (setrlimit((int)limit->resource, &value) < 0)
                        return fault_set(fault, errno_neg(), "cannot set resource limit %u",
                                         limit->resource);
        }
        return 0;
}

int identity_set_oom_score(int32_t score, Fault *fault)
{
        char text[16];
        int n = snprintf(text, sizeof(text), "%d", score), r;

        r = text_write(AT_FDCWD, "/proc/self/oom_score_adj", text, (size_t)n);
        return r < 0 ? fault_set(fault, r, "cannot set oom_score_adj") : 0;
}

static int drop_bounding(uint64_t keep, Fault *fault)
{
        for (unsigned i = 0; i < CAPABILITIES; i++) {
                if (prctl(PR_CAPBSET_READ, i, 0, 0, 0) != 1)
                        continue;
                if (!(keep & (UINT64_C(1) << i)) && prctl(PR_CAPBSET_DROP, i, 0, 0, 0) < 0)
                        return fault_set(fault, errno_neg(), "cannot drop capability %u", i);
        }
        return 0;
}

static int set_capabilities(const AgentCapabilities *sets, Fault *fault)
{
        struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
        struct __user_cap_data_struct data[2];

        for (unsigned i = 0; i < ELEMENTSOF(data); i++)
                data[i] = (struct __user_cap_data_struct){
                        .effective = (uint32_t)(sets->effective >> (32 * i)),
                        .permitted = (uint32_t)(sets->permitted >> (32 * i)),
                        .inheritable = (uint32_t)(sets->inheritable >> (32 * i)),
                };
        if (syscall(SYS_capset, &header, data) < 0)
                return fault_set(fault, errno_neg(), "cannot set the capabilities");
        for (unsigned i = 0; i < CAPABILITIES; i++)
                if ((sets->ambient & (UINT64_C(1) << i)) &&
                    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, i, 0, 0) < 0)
                        return fault_set(fault, errno_neg(), "cannot raise ambient capability %u",
                                         i);
        return 0;
}

/* System calls of their own: this process has one thread, and libc's wrappers talk to all. */
static int set_ids(const Identity *identity, Fault *fault)
{
        gid_t groups[IDENTITY_GROUPS_MAX];

        for (unsigned i = 0; i < identity->n_groups; i++)
                groups[i] = identity->groups[i];
        if (setgroups(identity->n_groups, groups) < 0 ||
            syscall(SYS_setresgid, identity->gid, identity->gid, identity->gid) < 0 ||
            syscall(SYS_setresuid, identity->uid, identity->uid, identity->uid) < 0)
                return fault_set(fault, errno_neg(), "cannot become user %u:%u", identity->uid,
                                 identity->gid);
        return 0;
}

/* For another user than root the kernel clears what execve() would: the host gives all sets for
 * root, and what is left of them for others is the bounding, inheritable and ambient set. */
static AgentCapabilities effective_sets(const AgentCapabilities *sets, uint32_t uid)
{
        AgentCapabilities result = *sets;

        if (uid != 0) {
                result.permitted &= sets->ambient | sets->inheritable;
                result.effective &= result.permitted;
        }
        result.ambient &= result.permitted & result.inheritable;
        return result;
}

int identity_assume(const AgentProcessSpec *spec, const Identity *identity, Fault *fault)
{
        AgentCapabilities sets = effective_sets(&spec->capabilities, identity->uid);
        int r;

        r = set_limits(spec, fault);
        if (r < 0)
                return r;
        umask(spec->umask);
        r = drop_bounding(sets.bounding, fault);
        if (r == 0 && prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
                r = fault_set(fault, errno_neg(), "cannot keep capabilities");
        if (r == 0)
                r = set_ids(identity, fault);
        if (r == 0)
                r = set_capabilities(&sets, fault);
        if (r == 0 && spec->no_new_privileges && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                r = fault_set(fault, errno_neg(), "cannot set no_new_privs");
        return r;
}
