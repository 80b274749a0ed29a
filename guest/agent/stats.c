/* The numbers of STATS; see report.h. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/fd.h"

#include "agent/cpus.h"
#include "agent/pressure.h"
#include "agent/report.h"
#include "agent/textfile.h"

#define KIB 1024

/* "  eth0: 12 3 0 0 0 0 0 0 45 6 …": bytes and packets that came in, from the ninth on those that went
 * out. */
static void add_interface(char *line, AgentStats *stats)
{
        uint64_t *const sums[] = {
                [0] = &stats->receive_bytes,
                [1] = &stats->receive_packets,
                [8] = &stats->transmit_bytes,
                [9] = &stats->transmit_packets,
        };
        char *colon = strchr(line, ':'), *word, *rest;
        unsigned field = 0;

        if (!colon)
                return;
        *colon = '\0';
        if (strcmp(line + strspn(line, " "), "lo") == 0)
                return;
        rest = colon + 1;
        while ((word = strsep(&rest, " "))) {
                if (!*word)
                        continue;
                if (field < ELEMENTSOF(sums) && sums[field])
                        *sums[field] += strtoull(word, NULL, 10);
                field++;
        }
}

static void read_interfaces(AgentStats *stats)
{
        _cleanup_(text_done) Text text = {};
        char *rest, *line;

        if (text_read(AT_FDCWD, "/proc/net/dev", &text) < 0)
                return;
        rest = text.data;
        while ((line = strsep(&rest, "\n")))
                add_interface(line, stats);
}

static void read_memory(AgentStats *stats)
{
        _cleanup_(text_done) Text text = {};

        if (text_read(AT_FDCWD, "/proc/meminfo", &text) < 0)
                return;
        stats->mem_total = text_get_u64(&text, "MemTotal") * KIB;
        stats->mem_available = text_get_u64(&text, "MemAvailable") * KIB;
        stats->mem_free = text_get_u64(&text, "MemFree") * KIB;
}

/* Of the machine; a container's are its cgroup's. */
static void read_pressures(AgentStats *stats)
{
        pressure_read(AT_FDCWD, "/proc/pressure/cpu", &stats->cpu_pressure);
        pressure_read(AT_FDCWD, "/proc/pressure/memory", &stats->memory_pressure);
        pressure_read(AT_FDCWD, "/proc/pressure/io", &stats->io_pressure);
}

void report_stats(Guest *guest, const Container *container, AgentStats *ret)
{
        struct timespec now;

        *ret = (AgentStats){};
        cgroup_stats(container ? container->cgroup.fd : guest->cgroup_root, ret);
        if (!container)
                read_pressures(ret);
        ret->cpus = cpus_online();
        read_interfaces(ret);
        read_memory(ret);
        clock_gettime(CLOCK_BOOTTIME, &now);
        ret->uptime_usec = (uint64_t)now.tv_sec * USEC_PER_SEC +
                           (uint64_t)now.tv_nsec / NSEC_PER_USEC;
}
