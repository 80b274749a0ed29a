/* Resource limits by name; see rlimit.h. */
#include <errno.h>
#include <string.h>
#include <sys/resource.h>

#include "base/cleanup.h"
#include "uvmd/rlimit.h"

int rlimit_from_string(const char *name)
{
        static const struct {
                const char *name;
                int resource;
        } limits[] = {
                {"as", RLIMIT_AS},
                {"core", RLIMIT_CORE},
                {"cpu", RLIMIT_CPU},
                {"data", RLIMIT_DATA},
                {"fsize", RLIMIT_FSIZE},
                {"locks", RLIMIT_LOCKS},
                {"memlock", RLIMIT_MEMLOCK},
                {"msgqueue", RLIMIT_MSGQUEUE},
                {"nice", RLIMIT_NICE},
                {"nofile", RLIMIT_NOFILE},
                {"nproc", RLIMIT_NPROC},
                {"rss", RLIMIT_RSS},
                {"rtprio", RLIMIT_RTPRIO},
                {"rttime", RLIMIT_RTTIME},
                {"sigpending", RLIMIT_SIGPENDING},
                {"stack", RLIMIT_STACK},
        };

        for (size_t i = 0; i < ELEMENTSOF(limits); i++)
                if (strcmp(limits[i].name, name) == 0)
                        return limits[i].resource;
        return -EINVAL;
}
