/* Limits of a container on disks: io.max; see limits.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "base/cleanup.h"

#include "agent/disk.h"
#include "agent/limits.h"
#include "agent/textfile.h"

#define DISKS_MAX 64

/* The last that names it, or else the last for all; NULL: it has none. */
static const AgentIoLimit *limit_of(const AgentLimits *limits, const char *serial)
{
        const AgentIoLimit *found = NULL;
        bool named = false;

        for (uint32_t i = 0; i < limits->n_io; i++) {
                const AgentIoLimit *limit = &limits->io[i];

                if (strcmp(limit->serial, serial) == 0)
                        named = true;
                else if (*limit->serial || named)
                        continue;
                found = limit;
        }
        return found;
}

static void print_rate(char text[24], uint64_t rate)
{
        if (rate == 0)
                snprintf(text, 24, "max");
        else
                snprintf(text, 24, "%llu", (unsigned long long)rate);
}

static int set_disk(int cgroup, const Disk *disk, const AgentIoLimit *limit, Fault *fault)
{
        static const AgentIoLimit none;
        char rates[4][24], line[160];
        int n, r;

        limit = limit ? limit : &none;
        print_rate(rates[0], limit->read_bytes);
        print_rate(rates[1], limit->write_bytes);
        print_rate(rates[2], limit->read_ops);
        print_rate(rates[3], limit->write_ops);
        n = snprintf(line, sizeof(line), "%u:%u rbps=%s wbps=%s riops=%s wiops=%s",
                     major(disk->number), minor(disk->number), rates[0], rates[1], rates[2],
                     rates[3]);
        r = text_write(cgroup, "io.max", line, (size_t)n);
        if (r == -ENOENT && limit == &none)
                return 0;
        return r < 0 ? fault_set(fault, r, "cannot set io.max to \"%s\"", line) : 0;
}

static int check_serials(const AgentLimits *limits, const Disk *disks, size_t n, Fault *fault)
{
        for (uint32_t i = 0; i < limits->n_io; i++) {
                const char *serial = limits->io[i].serial;
                size_t at = 0;

                while (at < n && strcmp(disks[at].serial, serial) != 0)
                        at++;
                if (*serial && at == n)
                        return fault_set(fault, -ENODEV, "disk \"%s\"", serial);
        }
        return 0;
}

int limits_set_io(int cgroup, const AgentLimits *limits, bool fresh, Fault *fault)
{
        Disk disks[DISKS_MAX];
        size_t n = 0;
        int r;

        if (fresh && limits->n_io == 0)
                return 0;
        r = disk_list(disks, ELEMENTSOF(disks), &n);
        if (r < 0)
                return fault_set(fault, r, "cannot list the disks");
        r = check_serials(limits, disks, n, fault);
        for (size_t i = 0; r == 0 && i < n; i++) {
                const AgentIoLimit *limit = limit_of(limits, disks[i].serial);

                if (limit || !fresh)
                        r = set_disk(cgroup, &disks[i], limit, fault);
        }
        return r;
}
