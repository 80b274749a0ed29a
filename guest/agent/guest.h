/* The agent as a whole: what its parts share. One thread, one loop. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/loop.h"

#include "agent/link.h"
#include "agent/shares.h"
#include "agent/shutdown.h"
#include "agent/task.h"

struct Guest {
        Loop *loop;
        const char *state;          /* directory of its own */
        const char *unix_directory; /* in tests: stands for the host; else NULL */
        bool marker;                /* the boot benchmark waits for the first connection */
        int cgroup_root;            /* FD_NONE: no cgroup2 (in tests) */
        uint8_t *scratch;           /* RELAY_CHUNK bytes */
        List containers;
        List waiting; /* requests that are put off (requests.h) */
        Shares shares;
        AgentResolver resolver; /* names.h; the host's last word, all zero: none */
        uint64_t resolver_changes;
        AgentRouting routing; /* network.h; likewise */
        TaskQueue networks;   /* network.h */
        TaskQueue cpus;       /* cpus.h */
        Link link;
        Shutdown shutdown;
};

/* The answer to request @id. @fault NULL: done. */
void guest_reply(Guest *guest, uint32_t id, const Fault *fault);
/* A failure without exit code: "…: strerror(-@r)". */
void guest_reply_error(Guest *guest, uint32_t id, int r, const char *format, ...)
        __attribute__((format(printf, 4, 5)));
void guest_reply_payload(Guest *guest, uint32_t id, const uint8_t *payload, size_t size);
