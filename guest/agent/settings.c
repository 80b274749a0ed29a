/* A container's settings in its namespaces; see settings.h. */
#include <fcntl.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"

#include "agent/mountfd.h"
#include "agent/settings.h"
#include "agent/textfile.h"

/* A sysctl of the machine is not a container's to set: only what a namespace of its own holds. */
static bool sysctl_is_own(const char *path, uint32_t namespaces)
{
        static const struct {
                const char *prefix;
                uint32_t namespace;
        } owners[] = {
                {"net/", AGENT_NAMESPACE_NET},       {"fs/mqueue/", AGENT_NAMESPACE_IPC},
                {"kernel/msg", AGENT_NAMESPACE_IPC}, {"kernel/sem", AGENT_NAMESPACE_IPC},
                {"kernel/shm", AGENT_NAMESPACE_IPC}, {"kernel/domainname", AGENT_NAMESPACE_UTS},
        };

        /* The machine's network belongs to its containers: it is theirs alone. */
        namespaces |= AGENT_NAMESPACE_NET;
        for (size_t i = 0; i < ELEMENTSOF(owners); i++)
                if (strncmp(path, owners[i].prefix, strlen(owners[i].prefix)) == 0)
                        return namespaces & owners[i].namespace;
        return false;
}

/* "net.ipv4.ip_forward=1": dots stand for slashes, as in sysctl(8). */
static int apply_sysctl(const char *setting, uint32_t namespaces, Fault *fault)
{
        _cleanup_(fd_closep) int root = open("/proc/sys", O_PATH | O_DIRECTORY | O_CLOEXEC);
        _cleanup_(fd_closep) int fd = FD_NONE;
        _cleanup_(freep) char *path = strdup(setting);
        char *value = path ? strchr(path, '=') : NULL;
        int r;

        if (!value)
                return fault_set(fault, path ? -EINVAL : -ENOMEM, "sysctl \"%s\"", setting);
        *value++ = '\0';
        for (char *at = path; *at; at++)
                *at = *at == '.' ? '/' : *at;
        if (!sysctl_is_own(path, namespaces))
                return fault_set(fault, -EPERM, "sysctl \"%s\" is not the container's own",
                                 setting);
        r = root < 0 ? errno_neg() : mountfd_open_in_root(root, path, O_WRONLY, &fd);
        if (r == 0 && write(fd, value, strlen(value)) < 0)
                r = errno_neg();
        return r < 0 ? fault_set(fault, r, "cannot set sysctl \"%s\"", setting) : 0;
}

static int bring_loopback_up(Fault *fault)
{
        _cleanup_(fd_closep) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP};

        if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) < 0)
                return fault_set(fault, errno_neg(), "cannot bring up the loopback interface");
        return 0;
}

int settings_apply(const AgentContainerSpec *spec, Fault *fault)
{
        int r = 0;

        if ((spec->namespaces & AGENT_NAMESPACE_UTS) && spec->hostname && *spec->hostname &&
            sethostname(spec->hostname, strlen(spec->hostname)) < 0)
                return fault_set(fault, errno_neg(), "cannot set the host name");
        if (spec->namespaces & AGENT_NAMESPACE_NET)
                r = bring_loopback_up(fault);
        for (uint32_t i = 0; r == 0 && i < spec->sysctls.n; i++)
                r = apply_sysctl(spec->sysctls.items[i], spec->namespaces, fault);
        return r;
}
