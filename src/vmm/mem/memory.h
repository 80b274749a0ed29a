/*
 * Guest memory: private anonymous huge-page memory, and the one way from a guest address to a host
 * pointer.
 *
 * A span is checked once, where a guest's (address, length) comes in. The guest can change the
 * bytes of a span at any moment: copy a header to a local, check the copy, use the copy.
 *
 *   0            3 GiB          4 GiB                  a multiple of 2 GiB
 *   | low memory |  devices …   | the rest of memory | | what may be plugged: mem/hot.h |
 *
 * The layout is fixed before the first vCPU runs and read-only afterwards, so any thread may take
 * spans; of the last region only which blocks are plugged changes. Addresses and lengths are hostile.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/mem/hot.h"

#define GUEST_MEMORY_LOW_END     0xc0000000ULL  /* 3 GiB: devices live from here to 4 GiB */
#define GUEST_MEMORY_HIGH_START  0x100000000ULL /* 4 GiB */
#define GUEST_MEMORY_REGIONS_MAX 2
#define GUEST_MEMORY_SIZE_MIN    (16ULL << 20)
#define GUEST_MEMORY_SIZE_MAX    (1ULL << 40)

typedef struct GuestRegion {
        uint64_t start; /* guest address */
        uint64_t size;
        uint8_t *host;
} GuestRegion;

typedef struct GuestMemory {
        GuestRegion regions[GUEST_MEMORY_REGIONS_MAX];
        unsigned n_regions;
        HotMemory hot; /* what may be added behind these */
} GuestMemory;

/*
 * Maps @size bytes (a multiple of 2 MiB within the limits above, else -EINVAL); costs nothing until
 * touched. Left out of core dumps. 0 or -errno.
 */
int guest_memory_init(GuestMemory *memory, uint64_t size);
void guest_memory_done(GuestMemory *memory); /* harmless on an all-zero object */

/* Reserves room to grow to @size_max bytes, as far as that is whole blocks of 2 MiB. 0 or -errno. */
int guest_memory_reserve(GuestMemory *memory, uint64_t size_max);

/* The host may share equal pages (KSM), those that come later, too; where it can't, it doesn't. */
void guest_memory_merge(GuestMemory *memory);

/* What there is from the start; that, and what is plugged (I/O thread). */
uint64_t guest_memory_size(const GuestMemory *memory);
uint64_t guest_memory_size_now(const GuestMemory *memory);

/*
 * Gives the pages that lie whole in @size bytes at @host, which are a span, back to the host: from then
 * on they are zeros and cost nothing until they are touched. Returns how many bytes that were.
 */
uint64_t guest_memory_release(void *host, uint64_t size);

/*
 * The host address of @length bytes at guest address @address, all within one region; NULL if any
 * byte of them isn't memory. A @length of 0 is never valid.
 */
void *guest_memory_span(const GuestMemory *memory, uint64_t address, uint64_t length);
