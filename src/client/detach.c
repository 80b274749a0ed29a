/* Detach keys; see detach.h. Pure. */
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "client/detach.h"

/* One key of the notation, of @size bytes. The byte, or -EINVAL. */
static int detach_key_parse(const char *text, size_t size)
{
        if (size == 1)
                return (unsigned char)text[0];
        if (size == 6 && strncmp(text, "ctrl-", 5) == 0) {
                int key = toupper((unsigned char)text[5]);

                return key >= '@' && key <= '_' ? key - '@' : -EINVAL;
        }
        return -EINVAL;
}

int detach_keys_parse(DetachKeys *keys, const char *text)
{
        DetachKeys parsed = {0};

        while (*text) {
                size_t size = strcspn(text + 1, ",") + 1; /* a comma itself may be a key */
                int key = detach_key_parse(text, size);

                if (key < 0 || parsed.n_keys == DETACH_KEYS_MAX)
                        return -EINVAL;
                parsed.keys[parsed.n_keys++] = (uint8_t)key;
                text += size;
                if (*text == ',' && !*++text)
                        return -EINVAL;
        }
        *keys = parsed;
        return 0;
}

/* The longest proper beginning of the sequence that ends the @n keys matched so far plus @byte. */
static size_t detach_keys_fall_back(const DetachKeys *keys, size_t n, uint8_t byte)
{
        uint8_t typed[DETACH_KEYS_MAX + 1];

        memcpy(typed, keys->keys, n);
        typed[n] = byte;
        for (size_t skip = 1; skip <= n; skip++)
                if (memcmp(typed + skip, keys->keys, n + 1 - skip) == 0)
                        return n + 1 - skip;
        return 0;
}

bool detach_keys_feed(DetachKeys *keys, const uint8_t *in, size_t size, uint8_t *out,
                      size_t *ret_size)
{
        size_t n_out = 0;

        for (size_t i = 0; i < size; i++) {
                size_t held = keys->n_matched, keep;

                if (keys->n_keys > 0 && in[i] == keys->keys[held]) {
                        if (++keys->n_matched == keys->n_keys) {
                                keys->n_matched = 0;
                                *ret_size = n_out;
                                return true;
                        }
                        continue;
                }
                /* What was held back and cannot belong to the sequence any more goes on. */
                keep = held > 0 ? detach_keys_fall_back(keys, held, in[i]) : 0;
                for (size_t j = 0; j < held + 1 - keep; j++)
                        out[n_out++] = j < held ? keys->keys[j] : in[i];
                keys->n_matched = keep;
        }
        *ret_size = n_out;
        return false;
}
