/* Guest memory; see memory.h. */
#include <sys/mman.h>
#include <unistd.h>

#include "base/error.h"
#include "vmm/mem/memory.h"

#define GUEST_MEMORY_ALIGNMENT (2ULL << 20) /* a huge page on x86-64 and arm64 (4 KiB granule) */

static int guest_region_map(GuestMemory *memory, uint64_t start, uint64_t size)
{
        uint8_t *host;

        /* Room for one huge page more, so that the region starts at a huge page's boundary. */
        host = mmap(NULL, size + GUEST_MEMORY_ALIGNMENT, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (host == MAP_FAILED)
                return errno_neg();
        uint64_t skip = -(uintptr_t)host % GUEST_MEMORY_ALIGNMENT;

        if (skip > 0)
                munmap(host, skip);
        munmap(host + skip + size, GUEST_MEMORY_ALIGNMENT - skip);
        host += skip;
        /* A guest's memory is nobody's business in a core dump. */
        if (madvise(host, size, MADV_DONTDUMP) < 0) {
                int r = errno_neg();

                munmap(host, size);
                return r;
        }
        /* Worth a third of the boot time where the host has huge pages; no harm where not. */
        (void)madvise(host, size, MADV_HUGEPAGE);
        memory->regions[memory->n_regions++] = (GuestRegion){
                .start = start, .size = size, .host = host};
        return 0;
}

int guest_memory_init(GuestMemory *memory, uint64_t size)
{
        uint64_t low = size < GUEST_MEMORY_LOW_END ? size : GUEST_MEMORY_LOW_END;
        int r;

        *memory = (GuestMemory){};
        if (size < GUEST_MEMORY_SIZE_MIN || size > GUEST_MEMORY_SIZE_MAX ||
            size % GUEST_MEMORY_ALIGNMENT != 0)
                return -EINVAL;
        r = guest_region_map(memory, 0, low);
        if (r == 0 && size > low)
                r = guest_region_map(memory, GUEST_MEMORY_HIGH_START, size - low);
        if (r < 0)
                guest_memory_done(memory);
        return r;
}

void guest_memory_done(GuestMemory *memory)
{
        for (unsigned i = 0; i < memory->n_regions; i++)
                munmap(memory->regions[i].host, memory->regions[i].size);
        hot_memory_done(&memory->hot);
        *memory = (GuestMemory){};
}

int guest_memory_reserve(GuestMemory *memory, uint64_t size_max)
{
        const GuestRegion *last = &memory->regions[memory->n_regions - 1];
        uint64_t size = guest_memory_size(memory);
        uint64_t end = last->start + last->size;

        if (size_max > GUEST_MEMORY_SIZE_MAX)
                return -EINVAL;
        if (size_max <= size)
                return 0;
        return hot_memory_init(&memory->hot,
                               end < GUEST_MEMORY_HIGH_START ? GUEST_MEMORY_HIGH_START : end,
                               (size_max - size) / GUEST_MEMORY_ALIGNMENT * GUEST_MEMORY_ALIGNMENT);
}

void guest_memory_merge(GuestMemory *memory)
{
        for (unsigned i = 0; i < memory->n_regions; i++)
                (void)madvise(memory->regions[i].host, memory->regions[i].size, MADV_MERGEABLE);
        if (memory->hot.size > 0)
                (void)madvise(memory->hot.host, memory->hot.size, MADV_MERGEABLE);
}

uint64_t guest_memory_size_now(const GuestMemory *memory)
{
        return guest_memory_size(memory) + memory->hot.plugged;
}

uint64_t guest_memory_size(const GuestMemory *memory)
{
        uint64_t size = 0;

        for (unsigned i = 0; i < memory->n_regions; i++)
                size += memory->regions[i].size;
        return size;
}

uint64_t guest_memory_release(void *host, uint64_t size)
{
        uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
        uint64_t skip = -(uintptr_t)host % page;

        if (size < skip + page)
                return 0;
        size = (size - skip) / page * page;
        return madvise((uint8_t *)host + skip, size, MADV_DONTNEED) < 0 ? 0 : size;
}

void *guest_memory_span(const GuestMemory *memory, uint64_t address, uint64_t length)
{
        if (length == 0)
                return NULL;
        for (unsigned i = 0; i < memory->n_regions; i++) {
                const GuestRegion *region = &memory->regions[i];
                uint64_t offset = address - region->start;

                /* An address below the region wraps to an offset beyond any size. */
                if (address >= region->start && offset < region->size &&
                    length <= region->size - offset)
                        return region->host + offset;
        }
        return hot_memory_span(&memory->hot, address, length);
}
