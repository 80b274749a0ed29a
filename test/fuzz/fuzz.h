/*
 * What every fuzz target defines, once: libFuzzer calls it with inputs of its own making, and
 * replay.c with the committed corpus. It must bear any bytes at all, and return 0.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
