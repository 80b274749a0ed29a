/*
 * What a shim and uvmd decode of each other: the first byte picks a message, the statistics or the
 * end record. What decodes must encode to the same bytes again.
 */
#include <assert.h>
#include <string.h>

#include "proto/shim.h"
#include "test/fuzz/fuzz.h"

static uint8_t again[SHIM_MESSAGE_MAX];

static void try_message(const uint8_t *data, size_t size)
{
        ShimMessage message;
        size_t encoded;

        if (shim_decode(data, size, &message) < 0)
                return;
        assert(shim_encode(&message, again, sizeof(again), &encoded) == 0);
        assert(encoded == size && memcmp(again, data, size) == 0);
}

static void try_stats(const uint8_t *data, size_t size)
{
        ShimStats stats;
        size_t encoded;

        if (shim_stats_decode(data, size, &stats) < 0)
                return;
        assert(shim_stats_encode(&stats, again, sizeof(again), &encoded) == 0);
        assert(encoded == size && memcmp(again, data, size) == 0);
}

static void try_end(const uint8_t *data, size_t size)
{
        ShimEndRecord record;
        size_t encoded;

        if (shim_end_decode(data, size, &record) < 0)
                return;
        assert(shim_end_encode(&record, again, sizeof(again), &encoded) == 0);
        assert(encoded == size && memcmp(again, data, size) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        if (size == 0 || size > sizeof(again))
                return 0;
        switch (data[0]) {
        case 1:
                try_stats(data + 1, size - 1);
                break;
        case 2:
                try_end(data + 1, size - 1);
                break;
        default:
                try_message(data + 1, size - 1);
                break;
        }
        return 0;
}
