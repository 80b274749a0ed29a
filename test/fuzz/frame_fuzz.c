/* The frame reader, fed in pieces: the first input byte says how long they are. */
#include <errno.h>

#include "base/cleanup.h"
#include "proto/frame.h"
#include "test/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        FrameReader reader = {};
        size_t piece = size > 0 ? data[0] + 1 : 1;
        int r = -EAGAIN;

        for (size_t at = 1; at < size && r == -EAGAIN; at += piece) {
                Frame frame;

                if (frame_reader_feed(&reader, data + at, MIN(piece, size - at)) < 0)
                        break;
                while ((r = frame_reader_next(&reader, &frame)) == 0) {
                        /* Every byte that is lent must be there to be read. */
                        for (size_t i = 0; i < frame.size; i++)
                                (void)*(volatile const uint8_t *)(frame.payload + i);
                }
        }
        frame_reader_done(&reader);
        return 0;
}
