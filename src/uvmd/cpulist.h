/*
 * Lists of CPUs as the kernel and systemd write them: "0-3,8", numbers below CPULIST_MAX, in any
 * order; and as the bit masks that systemd takes, bit n % 8 of byte n / 8. Pure; the text may be
 * anybody's.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CPULIST_MAX       1024
#define CPULIST_MASK_SIZE (CPULIST_MAX / 8)
#define CPULIST_TEXT_MAX  4096 /* of the longest list that cpulist_format() writes, with its end */

/* 0 and how many bytes of the mask are in use, or -EINVAL: no such list, or an empty one. */
int cpulist_parse(const char *text, uint8_t mask[CPULIST_MASK_SIZE], size_t *ret_size);

/* The shortest list of a mask, "" for an empty one. What is above CPULIST_MAX is left out. */
void cpulist_format(const uint8_t *mask, size_t size, char text[CPULIST_TEXT_MAX]);

/* For option tables: a list, or "": no limit. */
bool cpulist_is_valid(const char *text);
