/*
 * The boot parameters ("zero page") as Linux's Documentation/x86/zero-page.rst has them: memory
 * map, command line, initial RAM disk and the seed of the random number generator.
 */
#pragma once

#include <asm/bootparam.h>
#include <stdint.h>

#include "proto/handoff.h"
#include "stub/image.h"

/* struct setup_data with its data: SETUP_RNG_SEED, which Linux wipes when it has used it. */
typedef struct SeedData {
        uint64_t next;
        uint32_t type;
        uint32_t length;
        uint8_t seed[HANDOFF_SEED_SIZE];
} SeedData;

/* Takes the seed out of @block: only the kernel is to know it. */
void seed_build(SeedData *data, HandoffBlock *block);

/* @cmdline and @seed are physical addresses, of a C string and of a SeedData. */
void bootparams_build(struct boot_params *params, const HandoffBlock *block, const StubImage *image,
                      uint32_t cmdline, uint32_t seed);
