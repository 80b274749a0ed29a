/* How the shim stops being root; see privilege.h. */
#include <grp.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"

#include "shim/privilege.h"

/* So that no exec of ours could ever bring a capability back. EINVAL: the last one is behind us. */
static int privilege_drop_bounding(void)
{
        for (unsigned long capability = 0;; capability++) {
                if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0)
                        return errno == EINVAL ? 0 : errno_neg();
        }
}

static int privilege_set_capabilities(uint64_t set)
{
        struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
        struct __user_cap_data_struct data[2] = {
                {.effective = (uint32_t)set, .permitted = (uint32_t)set},
                {.effective = (uint32_t)(set >> 32), .permitted = (uint32_t)(set >> 32)},
        };

        return syscall(SYS_capset, &header, data) < 0 ? errno_neg() : 0;
}

int privilege_drop(uint32_t id, bool keep_kill)
{
        int r;

        if (geteuid() != 0)
                return 0;
        r = privilege_drop_bounding();
        if (r < 0)
                return r;
        /* Permitted capabilities outlive the change of uid for the line that drops all but one. */
        if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0 || setgroups(0, NULL) < 0 ||
            setresgid(id, id, id) < 0 || setresuid(id, id, id) < 0)
                return errno_neg();
        r = privilege_set_capabilities(keep_kill ? UINT64_C(1) << CAP_KILL : 0);
        if (r < 0)
                return r;
        if (prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
            prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
                return errno_neg();
        return 0;
}
