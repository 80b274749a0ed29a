/*
 * One description of a message serves every direction: a function that visits each field of a
 * struct in wire order encodes it, decodes it or frees it, whichever the Codec says. So the two
 * ends can't disagree, and nothing that was decoded is forgotten when it is freed.
 *
 *   static void codec_slot(Codec *codec, AgentSlot *slot)
 *   {
 *           codec_u32(codec, &slot->slot);
 *   }
 *
 * Bounds hold in both directions: a value that may not be received can't be sent. The cursors are
 * sticky as in base/wire.h, so a visitor needs no checks of its own; what it decoded up to the
 * first fault is freed by the same visitor. Pure; any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/wire.h"

typedef enum CodecMode {
        CODEC_ENCODE,
        CODEC_DECODE,
        CODEC_FREE,
} CodecMode;

typedef struct Codec {
        CodecMode mode;
        WireReader reader;
        WireWriter writer;
} Codec;

/* NULL-terminated for execve(); @n doesn't count the NULL. All zero is empty. */
typedef struct CodecStrings {
        char **items;
        uint32_t n;
} CodecStrings;

/* Marks the message as impossible: the decoder answers -EBADMSG, the encoder -EINVAL. */
void codec_fail(Codec *codec);
bool codec_is_bad(const Codec *codec);

void codec_u8(Codec *codec, uint8_t *value);
void codec_u16(Codec *codec, uint16_t *value);
void codec_u32(Codec *codec, uint32_t *value);
void codec_u64(Codec *codec, uint64_t *value);
void codec_i32(Codec *codec, int32_t *value);
void codec_bool(Codec *codec, bool *value); /* u8, 0 or 1 */

/* u32 with a bound: at most @max. */
void codec_u32_max(Codec *codec, uint32_t *value, uint32_t max);

/* Owned, decoded into fresh memory; NULL is encoded as "". At most @max bytes. */
void codec_string(Codec *codec, char **value, size_t max);

/* u32 count, then each. At most @max_items strings of at most @max_size bytes. */
void codec_strings(Codec *codec, CodecStrings *strings, uint32_t max_items, size_t max_size);

/* A byte string with its length: owned; at most @max bytes. */
void codec_blob(Codec *codec, uint8_t **data, uint32_t *size, size_t max);

/*
 * An array of structs: u32 count, at most @max, then each item by @visit. The array is allocated
 * when decoding, grown as items arrive so that a count alone claims no memory.
 */
typedef void (*CodecVisitor)(Codec *codec, void *item);
void codec_array(Codec *codec, void **items, uint32_t *n, uint32_t max, size_t item_size,
                 CodecVisitor visit);

/*
 * Whole messages. codec_encode: 0 and the size, -ENOBUFS: does not fit into @capacity, -EINVAL: a
 * bound is broken. codec_decode: 0, or -EBADMSG (then *@message of @message_size bytes is all
 * zero and owns nothing).
 */
int codec_encode(CodecVisitor visit, const void *message, void *buffer, size_t capacity,
                 size_t *ret_size);
int codec_decode(CodecVisitor visit, const void *data, size_t size, void *message,
                 size_t message_size);
void codec_free(CodecVisitor visit, void *message, size_t message_size);
