/* Kills for want of memory; see cgroup.h. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/parse.h"

#include "shim/cgroup.h"

#define CGROUP_OOM_KILL "\noom_kill "

int cgroup_open_memory_events(void)
{
        char own[1024], path[1200], *from, *end;
        _cleanup_(fd_closep) int fd = open("/proc/self/cgroup", O_RDONLY | O_CLOEXEC);
        ssize_t n;

        if (fd < 0)
                return FD_NONE;
        n = read(fd, own, sizeof(own) - 1);
        if (n <= 0)
                return FD_NONE;
        own[n] = 0;
        /* Version 2 is the line "0::/the/path". */
        from = strncmp(own, "0::", 3) == 0 ? own : strstr(own, "\n0::");
        end = from ? strchr(from + 1, '\n') : NULL;
        if (!end)
                return FD_NONE;
        *end = 0;
        snprintf(path, sizeof(path), "/sys/fs/cgroup%s/memory.events", strstr(from, "::") + 2);
        fd_close(fd);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        return fd < 0 ? FD_NONE : TAKE_FD(fd);
}

uint64_t cgroup_oom_kills(int fd)
{
        char text[512] = "\n", *at, *end;
        uint64_t kills;
        ssize_t n;

        if (fd < 0)
                return 0;
        n = pread(fd, text + 1, sizeof(text) - 2, 0);
        if (n <= 0)
                return 0;
        text[n + 1] = 0;
        at = strstr(text, CGROUP_OOM_KILL);
        end = at ? strchr(at + 1, '\n') : NULL;
        if (!end)
                return 0;
        *end = 0;
        return parse_u64(at + strlen(CGROUP_OOM_KILL), 0, UINT64_MAX, &kills) < 0 ? 0 : kills;
}
