/*
 * The request DIFF: what a container's writable layer changes. A worker walks the overlay's upper
 * side beside the lower, in the order of names, as fs/overlayfs writes it: a character device 0:0
 * says that a name is gone, an opaque directory that nothing shows through. Directories that exist
 * below count as modified when they have been copied up, as other engines have it. What was made
 * only to be mounted on is left out.
 *
 * The container may go on meanwhile; an answer that comes in several parts may then miss a change
 * or tell one twice.
 */
#pragma once

#include "agent/container.h"

/* Answers request @request later. */
void diff_start(Container *container, uint32_t request, const AgentDiff *message);
