/*
 * Firmware headers. The checksum and the file's size are put right first, or no input would come
 * past them; what decodes must encode to a header that decodes to the same.
 */
#include <assert.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/wire.h"
#include "proto/firmware.h"
#include "test/fuzz/fuzz.h"

static void checksum_put(uint8_t page[FIRMWARE_HEADER_SIZE])
{
        WireWriter writer = wire_writer(page + 16, 4);
        uint32_t crc = UINT32_MAX;

        memset(page + 16, 0, 4);
        for (size_t i = 0; i < FIRMWARE_HEADER_SIZE; i++) {
                crc ^= page[i];
                for (unsigned bit = 0; bit < 8; bit++)
                        crc = (crc >> 1) ^ (crc & 1 ? UINT32_C(0xedb88320) : 0);
        }
        wire_put_u32(&writer, ~crc);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        uint8_t page[FIRMWARE_HEADER_SIZE] = {}, again[FIRMWARE_HEADER_SIZE];
        WireReader reader = wire_reader(page + 24, 8);
        Firmware firmware, same;

        firmware_decode(data, size, size, &firmware);
        memcpy(page, data, MIN(size, sizeof(page)));
        checksum_put(page);
        if (firmware_decode(page, sizeof(page), wire_get_u64(&reader), &firmware) != 0)
                return 0;
        assert(firmware_encode(&firmware, again) == 0);
        assert(firmware_decode(again, sizeof(again), firmware.image_size, &same) == 0);
        assert(same.n_segments == firmware.n_segments && same.entry == firmware.entry &&
               strcmp(same.cmdline, firmware.cmdline) == 0 &&
               strcmp(same.label, firmware.label) == 0);
        for (unsigned i = 0; i < firmware.n_segments; i++)
                assert(same.segments[i].gpa == firmware.segments[i].gpa &&
                       firmware.segments[i].gpa + firmware.segments[i].memory_size <=
                               firmware.min_memory);
        return 0;
}
