/* Frames survive any way of cutting the stream, and broken ones are refused at once. */
#include <errno.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "proto/frame.h"
#include "test/unit.h"

static void check_two_frames(FrameReader *reader)
{
        Frame frame;

        unit_assert_int(frame_reader_next(reader, &frame), 0);
        unit_assert_int(frame.type, 7);
        unit_assert_int(frame.id, 0x01020304);
        unit_assert_int(frame.size, 5);
        unit_assert_bytes(frame.payload, "hello", 5);
        unit_assert_int(frame_reader_next(reader, &frame), 0);
        unit_assert_int(frame.type, 8);
        unit_assert_int(frame.size, 0);
        unit_assert_int(frame_reader_next(reader, &frame), -EAGAIN);
}

static void test_layout(void)
{
        static const uint8_t expected[] = {13, 0, 0, 0,   7,   0,   0,   0,  4,
                                           3,  2, 1, 'h', 'e', 'l', 'l', 'o'};
        FrameQueue queue = {};

        unit_assert_int(frame_queue_put(&queue, 7, 0x01020304, "hello", 5), 0);
        unit_assert_int(frame_queue_size(&queue), sizeof(expected));
        unit_assert_bytes(queue.data, expected, sizeof(expected));
        frame_queue_done(&queue);
}

static void test_every_cut(void)
{
        FrameQueue queue = {};
        size_t size;

        unit_assert_int(frame_queue_put(&queue, 7, 0x01020304, "hello", 5), 0);
        unit_assert_int(frame_queue_put(&queue, 8, 0, NULL, 0), 0);
        size = frame_queue_size(&queue);
        for (size_t cut = 0; cut <= size; cut++) {
                FrameReader reader = {};
                Frame frame;

                unit_assert_int(frame_reader_feed(&reader, queue.data, cut), 0);
                if (cut < 17)
                        unit_assert_int(frame_reader_next(&reader, &frame), -EAGAIN);
                unit_assert_int(frame_reader_feed(&reader, queue.data + cut, size - cut), 0);
                check_two_frames(&reader);
                frame_reader_done(&reader);
        }
        frame_queue_done(&queue);
}

static void test_refused(void)
{
        static const uint8_t too_long[] = {1, 0, 4, 0};
        static const uint8_t too_short[] = {7, 0, 0, 0};
        static const uint8_t flags[] = {8, 0, 0, 0, 1, 0, 1, 0};
        FrameReader reader = {};
        Frame frame;

        frame_reader_feed(&reader, too_long, sizeof(too_long));
        unit_assert_int(frame_reader_next(&reader, &frame), FRAME_E_SIZE);
        frame_reader_done(&reader);
        frame_reader_feed(&reader, too_short, sizeof(too_short));
        unit_assert_int(frame_reader_next(&reader, &frame), FRAME_E_SIZE);
        frame_reader_done(&reader);
        frame_reader_feed(&reader, flags, sizeof(flags));
        unit_assert_int(frame_reader_next(&reader, &frame), FRAME_E_FLAGS);
        frame_reader_done(&reader);
        unit_assert_string(frame_strerror(FRAME_E_SIZE), "a frame of an impossible size");
}

static void test_longest(void)
{
        static uint8_t payload[FRAME_PAYLOAD_MAX + 1];
        FrameReader reader = {};
        FrameQueue queue = {};
        Frame frame;

        unit_assert_int(frame_queue_put(&queue, 1, 1, payload, sizeof(payload)), -EMSGSIZE);
        payload[FRAME_PAYLOAD_MAX - 1] = 42;
        unit_assert_int(frame_queue_put(&queue, 1, 1, payload, FRAME_PAYLOAD_MAX), 0);
        frame_reader_feed(&reader, queue.data, frame_queue_size(&queue));
        unit_assert_int(frame_reader_next(&reader, &frame), 0);
        unit_assert_int(frame.size, FRAME_PAYLOAD_MAX);
        unit_assert_int(frame.payload[FRAME_PAYLOAD_MAX - 1], 42);
        frame_reader_done(&reader);
        frame_queue_done(&queue);
}

/* More than a socket holds, written and read in turns. */
static void test_socket(void)
{
        static uint8_t payload[100000];
        FrameReader reader = {};
        FrameQueue queue = {};
        unsigned got = 0;
        int pair[2], r;

        unit_assert_int(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
        for (uint32_t i = 0; i < 20; i++)
                unit_assert_int(frame_queue_put(&queue, 3, i, payload, i * 5000), 0);
        do {
                Frame frame;

                r = frame_queue_write(&queue, pair[0]);
                unit_assert(r == 0 || r == -EAGAIN);
                while (frame_reader_read(&reader, pair[1]) == 0)
                        while (frame_reader_next(&reader, &frame) == 0) {
                                unit_assert_int(frame.id, got);
                                unit_assert_int(frame.size, got * 5000);
                                got++;
                        }
        } while (r == -EAGAIN);
        unit_assert_int(got, 20);
        fd_close(pair[0]);
        unit_assert_int(frame_reader_read(&reader, pair[1]), -ENODATA);
        fd_close(pair[1]);
        frame_reader_done(&reader);
        frame_queue_done(&queue);
}

UNIT_MAIN(UNIT_TEST(test_layout), UNIT_TEST(test_every_cut), UNIT_TEST(test_refused),
          UNIT_TEST(test_longest), UNIT_TEST(test_socket))
