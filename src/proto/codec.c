/* Messages from one description; see codec.h. A message is only written to when it is decoded
 * or freed: one to be encoded may be a constant. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#include "proto/codec.h"

void codec_fail(Codec *codec)
{
        codec->reader.bad = true;
        codec->writer.bad = true;
}

bool codec_is_bad(const Codec *codec)
{
        switch (codec->mode) {
        case CODEC_ENCODE:
                return codec->writer.bad;
        case CODEC_DECODE:
                return codec->reader.bad;
        case CODEC_FREE:
                break;
        }
        return false;
}

#define CODEC_INTEGER(name, type)                                 \
        void codec_##name(Codec *codec, type *value)              \
        {                                                         \
                switch (codec->mode) {                            \
                case CODEC_ENCODE:                                \
                        wire_put_##name(&codec->writer, *value);  \
                        break;                                    \
                case CODEC_DECODE:                                \
                        *value = wire_get_##name(&codec->reader); \
                        break;                                    \
                case CODEC_FREE:                                  \
                        break;                                    \
                }                                                 \
        }

CODEC_INTEGER(u8, uint8_t)
CODEC_INTEGER(u16, uint16_t)
CODEC_INTEGER(u32, uint32_t)
CODEC_INTEGER(u64, uint64_t)

void codec_i32(Codec *codec, int32_t *value)
{
        uint32_t bits = (uint32_t)*value;

        codec_u32(codec, &bits);
        if (codec->mode == CODEC_DECODE)
                *value = (int32_t)bits;
}

void codec_bool(Codec *codec, bool *value)
{
        uint8_t byte = *value;

        codec_u8(codec, &byte);
        if (byte > 1)
                codec_fail(codec);
        if (codec->mode == CODEC_DECODE)
                *value = byte == 1;
}

void codec_u32_max(Codec *codec, uint32_t *value, uint32_t max)
{
        codec_u32(codec, value);
        if (*value > max)
                codec_fail(codec);
}

void codec_string(Codec *codec, char **value, size_t max)
{
        switch (codec->mode) {
        case CODEC_ENCODE:
                if (*value && strlen(*value) > max)
                        codec_fail(codec);
                wire_put_string(&codec->writer, *value);
                break;
        case CODEC_DECODE:
                *value = wire_get_string(&codec->reader, max);
                break;
        case CODEC_FREE:
                free(*value);
                *value = NULL;
                break;
        }
}

void codec_blob(Codec *codec, uint8_t **data, uint32_t *size, size_t max)
{
        const uint8_t *bytes;
        size_t n;

        switch (codec->mode) {
        case CODEC_ENCODE:
                if (*size > max)
                        codec_fail(codec);
                wire_put_blob(&codec->writer, *data, *size);
                break;
        case CODEC_DECODE:
                bytes = wire_get_blob(&codec->reader, MIN(max, (size_t)UINT32_MAX), &n);
                if (!bytes || n == 0)
                        break;
                *data = malloc(n);
                if (!*data) {
                        codec_fail(codec);
                        break;
                }
                memcpy(*data, bytes, n);
                *size = (uint32_t)n;
                break;
        case CODEC_FREE:
                free(*data);
                *data = NULL;
                *size = 0;
                break;
        }
}

/* Makes room for item number @n (zeroed) in an array that doubles. */
static void *array_grow(void **items, uint32_t n, size_t item_size)
{
        void *grown;

        /* Powers of two are where the array is full. */
        if ((n & (n - 1)) == 0) {
                size_t bytes;

                if (__builtin_mul_overflow(n ? (size_t)n * 2 : 1, item_size, &bytes))
                        return NULL;
                grown = realloc(*items, bytes);
                if (!grown)
                        return NULL;
                *items = grown;
        }
        return memset((char *)*items + n * item_size, 0, item_size);
}

void codec_array(Codec *codec, void **items, uint32_t *n, uint32_t max, size_t item_size,
                 CodecVisitor visit)
{
        uint32_t count = *n;

        codec_u32_max(codec, &count, max);
        if (codec->mode == CODEC_DECODE) {
                while (*n < count && !codec_is_bad(codec)) {
                        void *item = array_grow(items, *n, item_size);

                        if (!item) {
                                codec_fail(codec);
                                break;
                        }
                        (*n)++;
                        visit(codec, item);
                }
                return;
        }
        for (uint32_t i = 0; i < count; i++)
                visit(codec, (char *)*items + i * item_size);
        if (codec->mode == CODEC_FREE) {
                free(*items);
                *items = NULL;
                *n = 0;
        }
}

/* Apart from the NULL at the end an array of strings is like any other. */
void codec_strings(Codec *codec, CodecStrings *strings, uint32_t max_items, size_t max_size)
{
        uint32_t count = strings->n;

        codec_u32_max(codec, &count, max_items);
        if (codec->mode == CODEC_DECODE) {
                while (!codec_is_bad(codec)) {
                        char **item = array_grow((void **)&strings->items, strings->n,
                                                 sizeof(char *));

                        if (!item) {
                                codec_fail(codec);
                                break;
                        }
                        if (strings->n == count)
                                break;
                        strings->n++;
                        codec_string(codec, item, max_size);
                }
                return;
        }
        for (uint32_t i = 0; i < count; i++)
                codec_string(codec, &strings->items[i], max_size);
        if (codec->mode == CODEC_FREE) {
                free(strings->items);
                *strings = (CodecStrings){};
        }
}

int codec_encode(CodecVisitor visit, const void *message, void *buffer, size_t capacity,
                 size_t *ret_size)
{
        Codec codec = {.mode = CODEC_ENCODE, .writer = wire_writer(buffer, capacity)};

        /* Encoding only reads: the visitor is not const because it decodes too. */
        visit(&codec, (void *)message);
        /* codec_fail() marks both cursors, a full buffer only the writer. */
        if (codec.reader.bad)
                return -EINVAL;
        return wire_writer_end(&codec.writer, ret_size);
}

int codec_decode(CodecVisitor visit, const void *data, size_t size, void *message,
                 size_t message_size)
{
        Codec codec = {.mode = CODEC_DECODE, .reader = wire_reader(data, size)};
        int r;

        memset(message, 0, message_size);
        visit(&codec, message);
        r = wire_reader_end(&codec.reader);
        if (r < 0)
                codec_free(visit, message, message_size);
        return r;
}

void codec_free(CodecVisitor visit, void *message, size_t message_size)
{
        Codec codec = {.mode = CODEC_FREE};

        visit(&codec, message);
        memset(message, 0, message_size);
}
