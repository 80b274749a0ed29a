/* Frames on a byte stream; see frame.h. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/wire.h"

#include "proto/frame.h"

#define FRAME_CHUNK (16 * 1024)
/* A buffer that grew beyond this for one long frame is given back when it runs empty. */
#define FRAME_KEEP_MAX (64 * 1024)

const char *frame_strerror(int error)
{
        switch (error) {
        case FRAME_E_SIZE:
                return "a frame of an impossible size";
        case FRAME_E_FLAGS:
                return "a frame with unknown flags";
        }
        return "no error";
}

/* Moves what is held to the front and makes room for @size more bytes behind it. */
static int buffer_reserve(uint8_t **data, size_t *capacity, size_t *start, size_t *end, size_t size)
{
        size_t held = *end - *start, wanted;
        uint8_t *grown;

        if (*capacity - *end >= size)
                return 0;
        if (held > 0 && *start > 0)
                memmove(*data, *data + *start, held);
        *start = 0;
        *end = held;
        if (*capacity - held >= size)
                return 0;
        if (__builtin_add_overflow(held, size, &wanted))
                return -ENOMEM;
        wanted = MAX(wanted, MIN(*capacity * 2, (size_t)FRAME_SIZE_MAX));
        grown = realloc(*data, wanted);
        if (!grown)
                return -ENOMEM;
        *data = grown;
        *capacity = wanted;
        return 0;
}

static void buffer_consume(uint8_t **data, size_t *capacity, size_t *start, size_t *end,
                           size_t size)
{
        assert(size <= *end - *start);
        *start += size;
        if (*start < *end)
                return;
        *start = *end = 0;
        if (*capacity > FRAME_KEEP_MAX) {
                free(*data);
                *data = NULL;
                *capacity = 0;
        }
}

void frame_reader_done(FrameReader *reader)
{
        free(reader->data);
        *reader = (FrameReader){};
}

static int frame_reader_reserve(FrameReader *reader, size_t size)
{
        buffer_consume(&reader->data, &reader->capacity, &reader->start, &reader->end, 0);
        return buffer_reserve(&reader->data, &reader->capacity, &reader->start, &reader->end, size);
}

int frame_reader_feed(FrameReader *reader, const void *data, size_t size)
{
        int r = frame_reader_reserve(reader, size);

        if (r < 0)
                return r;
        if (size > 0)
                memcpy(reader->data + reader->end, data, size);
        reader->end += size;
        return 0;
}

int frame_reader_read(FrameReader *reader, int fd)
{
        ssize_t n;
        int r;

        r = frame_reader_reserve(reader, FRAME_CHUNK);
        if (r < 0)
                return r;
        do
                n = read(fd, reader->data + reader->end, reader->capacity - reader->end);
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return errno_neg();
        if (n == 0)
                return -ENODATA;
        reader->end += (size_t)n;
        return 0;
}

int frame_reader_next(FrameReader *reader, Frame *ret)
{
        size_t held = reader->end - reader->start;
        WireReader wire = wire_reader(reader->data + reader->start, held);
        uint32_t size = wire_get_u32(&wire), id;
        uint16_t type = wire_get_u16(&wire), flags = wire_get_u16(&wire);

        /* A size that can't be is refused at once, not when its bytes have come. */
        if (held >= 4 && (size < FRAME_SIZE_MIN || size > FRAME_SIZE_MAX))
                return FRAME_E_SIZE;
        if (held >= 8 && flags != 0)
                return FRAME_E_FLAGS;
        id = wire_get_u32(&wire);
        if (held < FRAME_HEADER_SIZE || held - 4 < size)
                return -EAGAIN;
        *ret = (Frame){
                .type = type,
                .id = id,
                .size = size - FRAME_SIZE_MIN,
                .payload = reader->data + reader->start + FRAME_HEADER_SIZE,
        };
        /* The bytes stay where they are until the next call of this module. */
        reader->start += 4 + (size_t)size;
        return 0;
}

void frame_queue_done(FrameQueue *queue)
{
        free(queue->data);
        *queue = (FrameQueue){};
}

int frame_queue_put(FrameQueue *queue, uint16_t type, uint32_t id, const void *payload, size_t size)
{
        WireWriter wire;
        int r;

        if (size > FRAME_PAYLOAD_MAX)
                return -EMSGSIZE;
        r = buffer_reserve(&queue->data, &queue->capacity, &queue->start, &queue->end,
                           FRAME_HEADER_SIZE + size);
        if (r < 0)
                return r;
        wire = wire_writer(queue->data + queue->end, FRAME_HEADER_SIZE + size);
        wire_put_u32(&wire, (uint32_t)size + FRAME_SIZE_MIN);
        wire_put_u16(&wire, type);
        wire_put_u16(&wire, 0);
        wire_put_u32(&wire, id);
        wire_put_bytes(&wire, payload, size);
        assert(!wire.bad);
        queue->end += wire.at;
        return 0;
}

int frame_queue_write(FrameQueue *queue, int fd)
{
        while (!frame_queue_is_empty(queue)) {
                ssize_t n = send(fd, queue->data + queue->start, frame_queue_size(queue),
                                 MSG_NOSIGNAL | MSG_DONTWAIT);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return errno_neg();
                buffer_consume(&queue->data, &queue->capacity, &queue->start, &queue->end,
                               (size_t)n);
        }
        return 0;
}
