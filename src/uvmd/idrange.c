/* Blocks of host ids; see idrange.h. One thread. */
#include <errno.h>
#include <stdlib.h>

#include "uvmd/idrange.h"

struct IdRanges {
        uint32_t base;
        uint32_t count;
        uint32_t next; /* where the search goes on: a block rests as long as it can */
        bool taken[];
};

int idranges_new(IdRanges **ret, uint32_t base, uint32_t count)
{
        IdRanges *ranges;
        uint64_t end = (uint64_t)base + (uint64_t)count * IDRANGE_SIZE;

        if (base < IDRANGE_SIZE || count == 0 || end > (1ULL << 31))
                return -ERANGE;
        ranges = calloc(1, sizeof(*ranges) + count * sizeof(bool));
        if (!ranges)
                return -ENOMEM;
        ranges->base = base;
        ranges->count = count;
        *ret = ranges;
        return 0;
}

IdRanges *idranges_free(IdRanges *ranges)
{
        free(ranges);
        return NULL;
}

int idranges_take(IdRanges *ranges, uint32_t *ret_base)
{
        for (uint32_t i = 0; i < ranges->count; i++) {
                uint32_t at = (ranges->next + i) % ranges->count;

                if (ranges->taken[at])
                        continue;
                ranges->taken[at] = true;
                ranges->next = (at + 1) % ranges->count;
                *ret_base = ranges->base + at * IDRANGE_SIZE;
                return 0;
        }
        return -EUSERS;
}

/* The block's number, or -ERANGE. */
static int64_t idranges_index(const IdRanges *ranges, uint32_t base)
{
        uint32_t offset = base - ranges->base;

        if (base < ranges->base || offset % IDRANGE_SIZE || offset / IDRANGE_SIZE >= ranges->count)
                return -ERANGE;
        return offset / IDRANGE_SIZE;
}

int idranges_take_base(IdRanges *ranges, uint32_t base)
{
        int64_t at = idranges_index(ranges, base);

        if (at < 0)
                return (int)at;
        if (ranges->taken[at])
                return -EEXIST;
        ranges->taken[at] = true;
        return 0;
}

void idranges_release(IdRanges *ranges, uint32_t base)
{
        int64_t at = idranges_index(ranges, base);

        if (at >= 0)
                ranges->taken[at] = false;
}
