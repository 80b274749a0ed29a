/* Requests to a memory balloon; see balloon_request.h. */
#include "vmm/virtio/balloon_request.h"
#include "base/cleanup.h"

void balloon_stats_decode(const void *data, size_t size, BalloonStats *ret)
{
        WireReader reader = wire_reader(data, size);

        for (unsigned i = 0; i < BALLOON_STAT_MAX; i++)
                ret->values[i] = UINT64_MAX;
        while (wire_left(&reader) >= BALLOON_STAT_SIZE) {
                uint16_t tag = wire_get_u16(&reader);
                uint64_t value = wire_get_u64(&reader);

                if (tag < BALLOON_STAT_MAX)
                        ret->values[tag] = value;
        }
}

void balloon_run_decode(WireReader *reader, BalloonRun *ret)
{
        uint64_t first = wire_get_u32(reader), last = first;

        while (wire_left(reader) >= BALLOON_PFN_SIZE) {
                WireReader ahead = *reader;
                uint64_t pfn = wire_get_u32(&ahead);

                if (pfn == last + 1)
                        last = pfn;
                else if (pfn + 1 == first)
                        first = pfn;
                else
                        break;
                *reader = ahead;
        }
        *ret = (BalloonRun){
                .address = first * BALLOON_PAGE_SIZE,
                .size = (last - first + 1) * BALLOON_PAGE_SIZE,
        };
}
