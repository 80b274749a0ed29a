/* Little-endian cursors; see wire.h. Pure: no state, no system calls but the allocator. */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/wire.h"

const uint8_t *wire_get_bytes(WireReader *reader, size_t size)
{
        const uint8_t *at;

        if (reader->bad || size > reader->size - reader->at) {
                reader->bad = true;
                return NULL;
        }
        at = reader->data + reader->at;
        reader->at += size;
        return at;
}

static uint64_t wire_get(WireReader *reader, size_t size)
{
        const uint8_t *bytes = wire_get_bytes(reader, size);
        uint64_t value = 0;

        if (bytes)
                memcpy(&value, bytes, size);
        return le64toh(value);
}

uint8_t wire_get_u8(WireReader *reader)
{
        return (uint8_t)wire_get(reader, 1);
}

uint16_t wire_get_u16(WireReader *reader)
{
        return (uint16_t)wire_get(reader, 2);
}

uint32_t wire_get_u32(WireReader *reader)
{
        return (uint32_t)wire_get(reader, 4);
}

uint64_t wire_get_u64(WireReader *reader)
{
        return wire_get(reader, 8);
}

const uint8_t *wire_get_blob(WireReader *reader, size_t max, size_t *ret_size)
{
        size_t size = wire_get_u32(reader);
        const uint8_t *bytes;

        if (size > max)
                reader->bad = true;
        bytes = wire_get_bytes(reader, size);
        *ret_size = bytes ? size : 0;
        return bytes;
}

char *wire_get_string(WireReader *reader, size_t max)
{
        size_t size;
        const uint8_t *bytes = wire_get_blob(reader, max, &size);
        char *string;

        if (!bytes)
                return NULL;
        if (memchr(bytes, 0, size)) {
                reader->bad = true;
                return NULL;
        }
        string = strndup((const char *)bytes, size);
        if (!string)
                reader->bad = true;
        return string;
}

size_t wire_left(const WireReader *reader)
{
        return reader->bad ? 0 : reader->size - reader->at;
}

int wire_reader_end(const WireReader *reader)
{
        return reader->bad || reader->at != reader->size ? -EBADMSG : 0;
}

void wire_put_bytes(WireWriter *writer, const void *bytes, size_t size)
{
        if (writer->bad || size > writer->size - writer->at) {
                writer->bad = true;
                return;
        }
        if (size > 0)
                memcpy(writer->data + writer->at, bytes, size);
        writer->at += size;
}

static void wire_put(WireWriter *writer, uint64_t value, size_t size)
{
        uint64_t bytes = htole64(value); /* the lowest come first */

        wire_put_bytes(writer, &bytes, size);
}

void wire_put_u8(WireWriter *writer, uint8_t value)
{
        wire_put(writer, value, 1);
}

void wire_put_u16(WireWriter *writer, uint16_t value)
{
        wire_put(writer, value, 2);
}

void wire_put_u32(WireWriter *writer, uint32_t value)
{
        wire_put(writer, value, 4);
}

void wire_put_u64(WireWriter *writer, uint64_t value)
{
        wire_put(writer, value, 8);
}

void wire_put_blob(WireWriter *writer, const void *bytes, size_t size)
{
        if (size > UINT32_MAX) {
                writer->bad = true;
                return;
        }
        wire_put_u32(writer, (uint32_t)size);
        wire_put_bytes(writer, bytes, size);
}

void wire_put_string(WireWriter *writer, const char *string)
{
        wire_put_blob(writer, string, string ? strlen(string) : 0);
}

int wire_writer_end(const WireWriter *writer, size_t *ret_size)
{
        if (writer->bad)
                return -ENOBUFS;
        *ret_size = writer->at;
        return 0;
}
