/*
 * The kernel's command line: the image's own, then what the machine is made of, then what the
 * monitor adds, so that the last word is the user's.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "proto/handoff.h"

/* False if it does not fit; proto/handoff.c sees to it that it does. */
bool cmdline_build(char *out, size_t size, const char *base, const HandoffBlock *block);
