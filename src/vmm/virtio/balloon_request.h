/*
 * What a driver sends to a memory balloon (virtio 1.2 §5.5.6), taken apart. Numbers are little-endian.
 *
 *   inflate, deflate: pfn[4] …            guest addresses >> 12, whatever the size of a page is
 *   statistics:       { tag[2] value[8] } …
 *
 * Pure. All bytes are hostile; nothing here knows what is memory.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/wire.h"

#define BALLOON_PAGE_SIZE 4096ULL
#define BALLOON_PFN_SIZE  4U
#define BALLOON_STAT_SIZE 10U

/* §5.5.6.4 */
typedef enum BalloonStat {
        BALLOON_STAT_SWAP_IN,
        BALLOON_STAT_SWAP_OUT,
        BALLOON_STAT_MAJOR_FAULTS,
        BALLOON_STAT_MINOR_FAULTS,
        BALLOON_STAT_FREE,
        BALLOON_STAT_TOTAL,
        BALLOON_STAT_AVAILABLE,
        BALLOON_STAT_CACHES,
        BALLOON_STAT_MAX,
} BalloonStat;

/* By tag; UINT64_MAX: the guest didn't say. */
typedef struct BalloonStats {
        uint64_t values[BALLOON_STAT_MAX];
} BalloonStats;

/* Neighbouring pages. */
typedef struct BalloonRun {
        uint64_t address, size; /* bytes; at most the pages that one request can name */
} BalloonRun;

/* What of @size bytes makes sense: unknown tags and an incomplete entry at the end are left out, of
 * one tag the last value counts. */
void balloon_stats_decode(const void *data, size_t size, BalloonStats *ret);

/* Takes page numbers from @reader as long as each is the neighbour, above or below, of those before.
 * @reader has one at least. */
void balloon_run_decode(WireReader *reader, BalloonRun *ret);
