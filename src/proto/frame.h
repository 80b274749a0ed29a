/*
 * Frames: how messages share one byte stream. Little-endian.
 *
 *    0  u32  size: bytes that follow this field, FRAME_SIZE_MIN to FRAME_SIZE_MAX
 *    4  u16  type of the message
 *    6  u16  flags, 0
 *    8  u32  id: of the request that this is or answers; 0 for what is neither
 *   12  payload, size - 8 bytes
 *
 * A FrameReader turns bytes into frames, a FrameQueue turns frames into bytes. Both hold what does
 * not fit yet and never block; one thread each. All bytes are hostile: a frame that breaks the
 * rules above is FRAME_E_* and the stream can't be used any more.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FRAME_HEADER_SIZE 12
#define FRAME_SIZE_MIN    8
#define FRAME_SIZE_MAX    (256 * 1024)
#define FRAME_PAYLOAD_MAX (FRAME_SIZE_MAX - 8)

enum {
        FRAME_E_SIZE = 1, /* shorter than a header or longer than FRAME_SIZE_MAX */
        FRAME_E_FLAGS,    /* a flag that this version does not know */
};

/* "a frame of an impossible size" …, for an error of this module. */
const char *frame_strerror(int error);

typedef struct Frame {
        uint16_t type;
        uint32_t id;
        size_t size;            /* of the payload */
        const uint8_t *payload; /* borrowed from the reader until its next call */
} Frame;

/* All zero is an empty reader. */
typedef struct FrameReader {
        uint8_t *data;
        size_t capacity;
        size_t start, end; /* the bytes not yet taken lie between */
} FrameReader;

void frame_reader_done(FrameReader *reader);

/* Adds bytes. 0 or -ENOMEM. */
int frame_reader_feed(FrameReader *reader, const void *data, size_t size);

/*
 * Adds what one read() of @fd (non-blocking) gives. 0, or -errno: -EAGAIN nothing there, -ENODATA
 * the stream has ended. Call frame_reader_next() until -EAGAIN after each success.
 */
int frame_reader_read(FrameReader *reader, int fd);

/* Takes the next frame. 0; -EAGAIN: more bytes are needed; FRAME_E_*. */
int frame_reader_next(FrameReader *reader, Frame *ret);

/* All zero is an empty queue. */
typedef struct FrameQueue {
        uint8_t *data;
        size_t capacity;
        size_t start, end;
} FrameQueue;

void frame_queue_done(FrameQueue *queue);

static inline bool frame_queue_is_empty(const FrameQueue *queue)
{
        return queue->start == queue->end;
}

/* Bytes not yet written: what a caller with a hostile peer bounds. */
static inline size_t frame_queue_size(const FrameQueue *queue)
{
        return queue->end - queue->start;
}

/* Appends a frame. 0, -EMSGSIZE: @size is over FRAME_PAYLOAD_MAX, -ENOMEM. */
int frame_queue_put(FrameQueue *queue, uint16_t type, uint32_t id, const void *payload,
                    size_t size);

/*
 * Writes to @fd, a non-blocking socket, without SIGPIPE. 0 when all is written, else -errno:
 * -EAGAIN means call again when it is writable.
 */
int frame_queue_write(FrameQueue *queue, int fd);
