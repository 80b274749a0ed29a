/*
 * Requests to a memory balloon. Input: 0 (1 byte), then page numbers: they are cut into runs that hold
 * each of them once and nothing else; or another byte, then statistics.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "test/fuzz/fuzz.h"
#include "vmm/virtio/balloon_request.h"

static void check_runs(const uint8_t *data, size_t size)
{
        WireReader reader = wire_reader(data, size), again = reader;

        while (wire_left(&reader) >= BALLOON_PFN_SIZE) {
                size_t before = wire_left(&reader);
                BalloonRun run;

                balloon_run_decode(&reader, &run);
                assert(run.size / BALLOON_PAGE_SIZE ==
                       (before - wire_left(&reader)) / BALLOON_PFN_SIZE);
                assert(run.size % BALLOON_PAGE_SIZE == 0 && run.address % BALLOON_PAGE_SIZE == 0);
                while (wire_left(&again) > wire_left(&reader)) {
                        uint64_t address = wire_get_u32(&again) * BALLOON_PAGE_SIZE;

                        assert(address >= run.address && address - run.address < run.size);
                }
        }
        assert(!reader.bad && !again.bad);
}

static void check_stats(const uint8_t *data, size_t size)
{
        BalloonStats stats;

        balloon_stats_decode(data, size, &stats);
        for (unsigned i = 0; i < BALLOON_STAT_MAX && size < BALLOON_STAT_SIZE; i++)
                assert(stats.values[i] == UINT64_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        uint8_t *copy;

        if (size == 0)
                return 0;
        /* Memory of its own, so that one byte too far is seen. */
        copy = malloc(size - 1 ?: 1);
        assert(copy);
        memcpy(copy, data + 1, size - 1);
        if (data[0] == 0)
                check_runs(copy, size - 1);
        else
                check_stats(copy, size - 1);
        free(copy);
        return 0;
}
