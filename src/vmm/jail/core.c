/* Core scheduling; see jail_steps.h. */
#include <errno.h>
#include <sys/prctl.h>

#include "base/error.h"

#include "vmm/jail/jail_steps.h"

int jail_core_schedule(const char **ret_step)
{
        *ret_step = "have cores for this process alone";
        if (prctl(PR_SCHED_CORE, PR_SCHED_CORE_CREATE, 0, PR_SCHED_CORE_SCOPE_THREAD_GROUP, 0) == 0)
                return 0;
        /* -ENODEV: no core of this machine has siblings; -EINVAL: its kernel can't schedule so. */
        return errno == ENODEV || errno == EINVAL ? 0 : errno_neg();
}
