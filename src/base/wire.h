/*
 * Little-endian cursors for everything that crosses a trust boundary.
 *
 * Both are sticky: the first overrun marks the cursor bad, later calls read zeros or write nothing,
 * and one check at the end (wire_reader_end, wire_writer_end) decides. No byte outside
 * [data, data + size) is ever touched.
 *
 * A "string" is u32 length + bytes, no NUL inside or behind; a "blob" is the same with any bytes.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct WireReader {
        const uint8_t *data;
        size_t size;
        size_t at;
        bool bad;
} WireReader;

static inline WireReader wire_reader(const void *data, size_t size)
{
        return (WireReader){.data = data, .size = size};
}

uint8_t wire_get_u8(WireReader *reader);
uint16_t wire_get_u16(WireReader *reader);
uint32_t wire_get_u32(WireReader *reader);
uint64_t wire_get_u64(WireReader *reader);

/* Borrows @size bytes of the input; NULL (and bad) if there are fewer. */
const uint8_t *wire_get_bytes(WireReader *reader, size_t size);

/* Borrows a blob of at most @max bytes. Bad if longer. */
const uint8_t *wire_get_blob(WireReader *reader, size_t max, size_t *ret_size);

/* Copies a string of at most @max bytes into new memory (free() it). NULL and bad if it is longer
 * or holds a NUL; NULL and bad too when out of memory. */
char *wire_get_string(WireReader *reader, size_t max);

size_t wire_left(const WireReader *reader);

/* 0 if all was read and nothing was missing, else -EBADMSG. */
int wire_reader_end(const WireReader *reader);

typedef struct WireWriter {
        uint8_t *data;
        size_t size;
        size_t at;
        bool bad;
} WireWriter;

static inline WireWriter wire_writer(void *data, size_t size)
{
        return (WireWriter){.data = data, .size = size};
}

void wire_put_u8(WireWriter *writer, uint8_t value);
void wire_put_u16(WireWriter *writer, uint16_t value);
void wire_put_u32(WireWriter *writer, uint32_t value);
void wire_put_u64(WireWriter *writer, uint64_t value);
void wire_put_bytes(WireWriter *writer, const void *bytes, size_t size);
void wire_put_blob(WireWriter *writer, const void *bytes, size_t size);
void wire_put_string(WireWriter *writer, const char *string); /* NULL is written as "" */

/* 0 and the number of bytes written, or -ENOBUFS. */
int wire_writer_end(const WireWriter *writer, size_t *ret_size);
