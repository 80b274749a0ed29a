/* Capabilities by name; see capability.h. The numbers are those of linux/capability.h. */
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "uvmd/capability.h"

static const char *const names[] = {
        "chown",
        "dac_override",
        "dac_read_search",
        "fowner",
        "fsetid",
        "kill",
        "setgid",
        "setuid",
        "setpcap",
        "linux_immutable",
        "net_bind_service",
        "net_broadcast",
        "net_admin",
        "net_raw",
        "ipc_lock",
        "ipc_owner",
        "sys_module",
        "sys_rawio",
        "sys_chroot",
        "sys_ptrace",
        "sys_pacct",
        "sys_admin",
        "sys_boot",
        "sys_nice",
        "sys_resource",
        "sys_time",
        "sys_tty_config",
        "mknod",
        "lease",
        "audit_write",
        "audit_control",
        "setfcap",
        "mac_override",
        "mac_admin",
        "syslog",
        "wake_alarm",
        "block_suspend",
        "audit_read",
        "perfmon",
        "bpf",
        "checkpoint_restore",
};

int capability_from_string(const char *name)
{
        if (strncasecmp(name, "cap_", 4) == 0)
                name += 4;
        for (unsigned i = 0; i < ELEMENTSOF(names); i++)
                if (strcasecmp(names[i], name) == 0)
                        return (int)i;
        return -EINVAL;
}

/* The bits of a list; "ALL" is all of them. */
static uint64_t capability_bits(char *const *list)
{
        uint64_t bits = 0;

        for (; list && *list; list++) {
                int number = capability_from_string(*list);

                if (number >= 0)
                        bits |= UINT64_C(1) << number;
                else if (strcmp(*list, "ALL") == 0)
                        bits = CAPABILITIES_ALL;
        }
        return bits;
}

uint64_t capability_set(uint64_t base, char *const *add, char *const *drop)
{
        uint64_t added = capability_bits(add), dropped = capability_bits(drop);

        /* "drop ALL, add one" leaves that one; "add ALL, drop one" leaves all others. */
        if (dropped == CAPABILITIES_ALL)
                return added == CAPABILITIES_ALL ? 0 : added;
        return (base | added) & ~dropped;
}
