/* Text from people and files to values. All: 0, or -EINVAL (no such form), -ERANGE (out of range).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Decimal, no sign, no blanks, nothing behind. @min and @max are inclusive. */
int parse_u64(const char *text, uint64_t min, uint64_t max, uint64_t *ret);
int parse_u32(const char *text, uint32_t min, uint32_t max, uint32_t *ret);

/*
 * Bytes with an optional suffix as podman takes it: b, k, m, g, t (any case; "KiB", "kb" … too),
 * all powers of 1024; a fraction ("1.5g") is allowed.
 */
int parse_bytes(const char *text, uint64_t *ret);

/* "1", "0.5", "2.25": thousandths, 1 to @max_milli. */
int parse_milli(const char *text, uint64_t max_milli, uint64_t *ret);

int parse_bool(const char *text, bool *ret); /* yes/no, true/false, on/off, 1/0 as systemd does */

/*
 * A name of a sandbox, container, image or volume: 1 to 64 bytes of [A-Za-z0-9_.-], the first one
 * of [A-Za-z0-9]: what podman accepts, capped.
 */
#define NAME_SIZE_MAX 64
bool name_is_valid(const char *name);

/* An id of ours: 16 lower-case hexadecimal digits. */
#define ID_SIZE 16
bool id_is_valid(const char *id);

/* A fresh random id, NUL-terminated. 0 or -errno. */
int id_generate(char ret[ID_SIZE + 1]);
