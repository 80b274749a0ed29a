/* The figures in the agent protocol (agent.h): of a container or the machine, and of its processes. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Pressure stall information, kernel Documentation/accounting/psi.rst. */
typedef struct AgentPressure {
        uint64_t some_usec, full_usec;   /* in all */
        uint32_t some_avg10, full_avg10; /* share of the last 10 s, in 1/100 % */
} AgentPressure;

/* Of a container's cgroup, or of the machine. UINT64_MAX in a limit: none. */
typedef struct AgentStats {
        AgentPressure cpu_pressure, memory_pressure, io_pressure;
        uint64_t cpu_usec, cpu_user_usec, cpu_system_usec;
        uint64_t memory, memory_peak, memory_limit; /* bytes */
        uint64_t memory_cache;                      /* bytes of @memory that are page cache */
        uint64_t pids, pids_limit;
        uint64_t oom_kills;
        uint64_t read_bytes, write_bytes; /* block devices */
        uint64_t read_ops, write_ops;     /* the same */
        uint64_t receive_packets, transmit_packets;
        uint32_t cpus;                          /* online */
        uint64_t receive_bytes, transmit_bytes; /* of the machine's interfaces but lo */
        uint64_t uptime_usec;                   /* of the machine */
        uint64_t mem_total, mem_available;      /* of the machine, bytes */
        uint64_t mem_free;                      /* the same; MemFree of /proc/meminfo */
} AgentStats;

typedef struct AgentProcessInfo {
        uint32_t pid, ppid;   /* as the container sees them; 0: outside */
        uint32_t machine_pid; /* as the machine sees it */
        uint32_t uid;         /* effective */
        char *user;           /* its name in the container's passwd, else the number */
        uint8_t state;        /* 'R', 'S', 'D', 'Z', 'T' … as in /proc/pid/stat */
        uint32_t tty;         /* 0: none; else 1 + number in the container's /dev/pts */
        uint64_t cpu_usec;    /* user and system */
        uint64_t rss;         /* bytes */
        uint64_t size;        /* bytes of virtual memory */
        uint64_t age_usec;    /* since it started */
        char *command; /* arguments separated by blanks, or "[name]"; cut at AGENT_PATH_MAX */
} AgentProcessInfo;

typedef struct AgentProcesses {
        AgentProcessInfo *processes; /* by machine_pid */
        uint32_t n_processes;
        bool truncated; /* there are more than fit into a message */
} AgentProcesses;
