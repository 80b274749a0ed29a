/* Pressure of control groups; see pressure.h. The text is the kernel's. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "uvmd/pressure.h"

static int parse_line(const char *line, uint64_t *ret_usec, uint32_t *ret_avg10)
{
        unsigned long long total;
        unsigned whole, hundredths;

        if (sscanf(line, "%*s avg10=%u.%2u avg60=%*f avg300=%*f total=%llu", &whole, &hundredths,
                   &total) != 3 ||
            whole > 100)
                return -EBADMSG;
        *ret_avg10 = whole * 100 + hundredths;
        *ret_usec = total;
        return 0;
}

int pressure_parse(const char *text, AgentPressure *ret)
{
        AgentPressure pressure = {};
        const char *full = strchr(text, '\n');
        int r;

        if (strncmp(text, "some ", 5) != 0)
                return -EBADMSG;
        r = parse_line(text, &pressure.some_usec, &pressure.some_avg10);
        if (r >= 0 && full && strncmp(full + 1, "full ", 5) == 0)
                r = parse_line(full + 1, &pressure.full_usec, &pressure.full_avg10);
        if (r >= 0)
                *ret = pressure;
        return r;
}

int pressure_read(const char *path, const char *resource, AgentPressure *ret)
{
        char file[1024], text[512];
        _cleanup_(fd_closep) int fd = FD_NONE;
        ssize_t n;

        if (snprintf(file, sizeof(file), "/sys/fs/cgroup%s/%s.pressure", path, resource) >=
            (int)sizeof(file))
                return -ENAMETOOLONG;
        fd = open(file, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return errno_neg();
        n = read(fd, text, sizeof(text) - 1);
        if (n < 0)
                return errno_neg();
        text[n] = 0;
        return pressure_parse(text, ret);
}
