/*
 * Guest memory that may be added while the guest runs: one region behind that of the boot, in blocks that
 * are plugged, and then are memory like any other, or not.
 *
 * Its addresses, the guest's and the host's, are reserved before the first vCPU runs and never change, so
 * spans need no lock; what changes is which blocks are plugged, a bit each, atomic. Reserved memory costs
 * one mapping without access: no page tables, no commit charge.
 *
 * A block that isn't plugged can't be used by anybody: for the guest's vCPUs KVM_RUN ends with EFAULT,
 * system calls fail with EFAULT, no span leads there. A guest that unplugs what a device of its own still
 * uses, a ring or the buffer of a request, would have this process die by SIGSEGV: mem/guard.h lets the
 * thread go on and has the machine end with a reason.
 *
 * Threads: spans on any; all else on the I/O thread. Addresses and sizes are hostile.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/wire.h"

/* What Linux adds at once (SPARSEMEM's sections); the region starts and ends at such a boundary. */
#define HOT_MEMORY_ALIGNMENT (128ULL << 20)

/* A huge page at least; with more blocks than this, larger ones: each may cost a mapping. */
#define HOT_MEMORY_BLOCK_MIN  (2ULL << 20)
#define HOT_MEMORY_BLOCKS_MAX 16384U

typedef struct HotMemory {
        uint64_t start; /* guest address */
        uint64_t size;  /* of the region; 0: there is none */
        uint64_t limit; /* so much of it may be plugged at a time */
        uint64_t block_size;
        uint8_t *host;
        uint64_t plugged; /* bytes; I/O thread */
        uint64_t *bits;   /* a bit for each block */
} HotMemory;

/*
 * Reserves a region for @limit bytes (a multiple of 2 MiB) behind @end, a guest address. 0, -EINVAL: it
 * would end behind the 52 bits that an address may have; or -errno.
 */
int hot_memory_init(HotMemory *hot, uint64_t end, uint64_t limit);
void hot_memory_done(HotMemory *hot); /* harmless on an all-zero object */

/* Whether the region, plugged or not, has this address. */
bool hot_memory_covers(const HotMemory *hot, uint64_t address);

/* Whether these are whole blocks of the region. */
bool hot_memory_has_blocks(const HotMemory *hot, uint64_t address, uint64_t size);

/* How many bytes of whole blocks (hot_memory_has_blocks()) are plugged. */
uint64_t hot_memory_count(const HotMemory *hot, uint64_t address, uint64_t size);

/*
 * Makes whole blocks, none of which is plugged, memory that reads as zeros; or gives such as are all
 * plugged back to the host. 0 or -errno, and nothing has changed (but unplug may have cleared some).
 */
int hot_memory_plug(HotMemory *hot, uint64_t address, uint64_t size);
int hot_memory_unplug(HotMemory *hot, uint64_t address, uint64_t size);

int hot_memory_unplug_all(HotMemory *hot); /* -errno: some may be left */

/* Which blocks are plugged; to a region without any. -EBADMSG: more than may be, or not as many blocks
 * as there are; or -errno. */
void hot_memory_save(const HotMemory *hot, WireWriter *writer);
int hot_memory_load(HotMemory *hot, WireReader *reader);

/* As guest_memory_span(); all of it plugged. */
void *hot_memory_span(const HotMemory *hot, uint64_t address, uint64_t length);
