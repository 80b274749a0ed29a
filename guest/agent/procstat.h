/*
 * /proc/PID/stat, status and cmdline as text. Names and arguments are the container's: hostile.
 * Pure; any thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "agent/textfile.h"

#define PROCSTAT_NAME_MAX 64

typedef struct ProcStat {
        char name[PROCSTAT_NAME_MAX + 1];
        uint8_t state;
        uint32_t ppid;
        uint32_t tty; /* as the kernel encodes it */
        uint64_t cpu_ticks;
        uint64_t start_ticks; /* since boot */
        uint64_t size;        /* bytes */
        uint64_t rss_pages;
} ProcStat;

/* A line of /proc/PID/stat. 0 or -EBADMSG. */
int procstat_parse(const char *line, ProcStat *ret);

/* The last number on the line "key: …" of /proc/PID/status: of NSpid, the pid in the innermost
 * namespace. 0: not there. */
uint32_t procstat_last_number(const Text *status, const char *key);

/* Arguments, each ended by a NUL, to one printable line in @buffer. */
void procstat_command(const char *data, size_t size, char *buffer, size_t buffer_size);
