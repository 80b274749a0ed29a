/* Memory that may be added; see hot.h. */
#include <stdlib.h>
#include <sys/mman.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "vmm/mem/hot.h"

/* Linux's memory blocks are at most that large (arch/x86/mm/init_64.c); host pages, too. */
#define HOT_START_ALIGNMENT (2ULL << 30)

#define HOT_ADDRESS_MAX (1ULL << 52)

#define BITS 64U

static uint64_t round_up(uint64_t value, uint64_t alignment)
{
        return (value + alignment - 1) / alignment * alignment;
}

static unsigned hot_blocks(const HotMemory *hot)
{
        return (unsigned)(hot->size / hot->block_size);
}

static unsigned hot_words(const HotMemory *hot)
{
        return (hot_blocks(hot) + BITS - 1) / BITS;
}

static bool hot_is_plugged(const HotMemory *hot, uint64_t block)
{
        uint64_t word = __atomic_load_n(&hot->bits[block / BITS], __ATOMIC_ACQUIRE);

        return word >> block % BITS & 1;
}

static void hot_mark(HotMemory *hot, uint64_t address, uint64_t size, bool plugged)
{
        uint64_t first = (address - hot->start) / hot->block_size;

        for (uint64_t i = first; i < first + size / hot->block_size; i++) {
                uint64_t bit = 1ULL << i % BITS;

                if (plugged)
                        __atomic_fetch_or(&hot->bits[i / BITS], bit, __ATOMIC_RELEASE);
                else
                        __atomic_fetch_and(&hot->bits[i / BITS], ~bit, __ATOMIC_RELEASE);
        }
}

/* At a host address that huge pages can lie at as in the guest. */
static int hot_reserve(HotMemory *hot)
{
        uint64_t alignment = HOT_MEMORY_BLOCK_MIN;
        uint8_t *host = mmap(NULL, hot->size + alignment, PROT_NONE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        uint64_t skip;

        if (host == MAP_FAILED)
                return errno_neg();
        skip = -(uintptr_t)host % alignment;
        if (skip > 0)
                munmap(host, skip);
        munmap(host + skip + hot->size, alignment - skip);
        hot->host = host + skip;
        if (madvise(hot->host, hot->size, MADV_DONTDUMP) < 0)
                return errno_neg();
        (void)madvise(hot->host, hot->size, MADV_HUGEPAGE);
        return 0;
}

int hot_memory_init(HotMemory *hot, uint64_t end, uint64_t limit)
{
        int r;

        *hot = (HotMemory){};
        if (limit == 0)
                return 0;
        if (limit % HOT_MEMORY_BLOCK_MIN != 0 || end > HOT_ADDRESS_MAX ||
            limit > HOT_ADDRESS_MAX / 2)
                return -EINVAL;
        hot->start = round_up(end, HOT_START_ALIGNMENT);
        hot->size = round_up(limit, HOT_MEMORY_ALIGNMENT);
        hot->limit = limit;
        hot->block_size = HOT_MEMORY_BLOCK_MIN;
        while (hot->size / hot->block_size > HOT_MEMORY_BLOCKS_MAX)
                hot->block_size *= 2;
        hot->size = round_up(hot->size, hot->block_size);
        hot->limit -= limit % hot->block_size;
        r = hot_reserve(hot);
        if (r == 0) {
                hot->bits = calloc(hot_words(hot), sizeof(*hot->bits));
                r = hot->bits ? 0 : -ENOMEM;
        }
        if (r < 0)
                hot_memory_done(hot);
        return r;
}

void hot_memory_done(HotMemory *hot)
{
        if (hot->host)
                munmap(hot->host, hot->size);
        free(hot->bits);
        *hot = (HotMemory){};
}

bool hot_memory_covers(const HotMemory *hot, uint64_t address)
{
        return address >= hot->start && address - hot->start < hot->size;
}

bool hot_memory_has_blocks(const HotMemory *hot, uint64_t address, uint64_t size)
{
        uint64_t offset = address - hot->start;

        return size > 0 && hot_memory_covers(hot, address) && size <= hot->size - offset &&
               offset % hot->block_size == 0 && size % hot->block_size == 0;
}

uint64_t hot_memory_count(const HotMemory *hot, uint64_t address, uint64_t size)
{
        uint64_t first = (address - hot->start) / hot->block_size, bytes = 0;

        for (uint64_t i = first; i < first + size / hot->block_size; i++)
                bytes += hot_is_plugged(hot, i) ? hot->block_size : 0;
        return bytes;
}

int hot_memory_plug(HotMemory *hot, uint64_t address, uint64_t size)
{
        if (mprotect(hot->host + (address - hot->start), size, PROT_READ | PROT_WRITE) < 0)
                return errno_neg();
        hot_mark(hot, address, size, true);
        hot->plugged += size;
        return 0;
}

int hot_memory_unplug(HotMemory *hot, uint64_t address, uint64_t size)
{
        void *host = hot->host + (address - hot->start);

        hot_mark(hot, address, size, false);
        /* Without access first: nothing can be put there again behind the second. */
        if (mprotect(host, size, PROT_NONE) < 0 || madvise(host, size, MADV_DONTNEED) < 0) {
                int r = errno_neg();

                (void)mprotect(host, size, PROT_READ | PROT_WRITE);
                hot_mark(hot, address, size, true);
                return r;
        }
        hot->plugged -= size;
        return 0;
}

int hot_memory_unplug_all(HotMemory *hot)
{
        int r = 0;

        for (unsigned i = 0; i < hot_blocks(hot) && r == 0; i++)
                if (hot_is_plugged(hot, i))
                        r = hot_memory_unplug(hot, hot->start + i * hot->block_size,
                                              hot->block_size);
        return r;
}

void hot_memory_save(const HotMemory *hot, WireWriter *writer)
{
        wire_put_u32(writer, hot_blocks(hot));
        for (unsigned i = 0; i < hot_words(hot); i++)
                wire_put_u64(writer, __atomic_load_n(&hot->bits[i], __ATOMIC_RELAXED));
}

static int hot_load_word(HotMemory *hot, unsigned index, uint64_t word)
{
        int r = 0;

        for (unsigned bit = 0; bit < BITS && r == 0; bit++) {
                uint64_t address = hot->start + (index * BITS + bit) * hot->block_size;

                if (!(word >> bit & 1))
                        continue;
                if (!hot_memory_has_blocks(hot, address, hot->block_size) ||
                    hot->plugged + hot->block_size > hot->limit)
                        return -EBADMSG;
                r = hot_memory_plug(hot, address, hot->block_size);
        }
        return r;
}

int hot_memory_load(HotMemory *hot, WireReader *reader)
{
        int r = wire_get_u32(reader) == hot_blocks(hot) && hot->plugged == 0 ? 0 : -EBADMSG;

        for (unsigned i = 0; i < hot_words(hot) && r == 0; i++)
                r = hot_load_word(hot, i, wire_get_u64(reader));
        return r;
}

void *hot_memory_span(const HotMemory *hot, uint64_t address, uint64_t length)
{
        uint64_t offset = address - hot->start;

        if (hot->size == 0 || length == 0 || address < hot->start || offset >= hot->size ||
            length > hot->size - offset)
                return NULL;
        for (uint64_t i = offset / hot->block_size; i <= (offset + length - 1) / hot->block_size;
             i++)
                if (!hot_is_plugged(hot, i))
                        return NULL;
        return hot->host + offset;
}
