/*
 * Host user and group ids: each running sandbox has 65,536 of its own, the n-th block of one
 * configured range. A block is never given out again while it is taken. The default range is one
 * that systemd's list of ids leaves unused (0x70000000 to 0x7fffffff, docs/UIDS-GIDS).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define IDRANGE_SIZE          65536U
#define IDRANGE_DEFAULT_BASE  0x70000000U
#define IDRANGE_DEFAULT_COUNT 4096U

typedef struct IdRanges IdRanges;

/* @count blocks from @base on. 0, -ENOMEM, or -ERANGE: touches id 0 to 65,535 or 2^31 and above. */
int idranges_new(IdRanges **ret, uint32_t base, uint32_t count);
IdRanges *idranges_free(IdRanges *ranges);

/* Takes a free block and gives its first id. 0, or -EUSERS: none is left. */
int idranges_take(IdRanges *ranges, uint32_t *ret_base);

/* Takes the block of an adopted sandbox. 0, -EEXIST: taken, -ERANGE: not a block of this range (it
 * was configured otherwise then; there is nothing to mind: it can't be given out). */
int idranges_take_base(IdRanges *ranges, uint32_t base);

/* Gives it back; @base 0 or of another range is ignored. */
void idranges_release(IdRanges *ranges, uint32_t base);
