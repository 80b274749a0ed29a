/*
 * Detach keys: the sequence that leaves an attached session without ending it, in podman's notation:
 * "ctrl-p,ctrl-q" (the default), single characters and ctrl-@ … ctrl-_ joined by commas, "" for none.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DETACH_KEYS_MAX     8
#define DETACH_KEYS_DEFAULT "ctrl-p,ctrl-q"

typedef struct DetachKeys {
        uint8_t keys[DETACH_KEYS_MAX];
        size_t n_keys;
        size_t n_matched; /* a beginning that was typed and is held back */
} DetachKeys;

/* 0, or -EINVAL. */
int detach_keys_parse(DetachKeys *keys, const char *text);

/*
 * Feeds typed bytes: writes what is to be passed on to @out, which has room for
 * @size + DETACH_KEYS_MAX bytes, and its length to @ret_size. True once the sequence is complete:
 * what was typed behind it is dropped.
 */
bool detach_keys_feed(DetachKeys *keys, const uint8_t *in, size_t size, uint8_t *out,
                      size_t *ret_size);
