/*
 * Exports: a directory as a detached mount that a sandbox's monitor can serve. Read-only, without
 * set-user-id programs and device nodes in effect, its ids mapped so that the tree's id 0 is the
 * first of the sandbox's range. There is no ".." to climb from it, and it goes when its fd is closed.
 */
#pragma once

#include "uvmd/worker.h"

/*
 * Starts a worker that makes the export of @directory (borrowed; an fd of uvmd's own mount
 * namespace). Its answer has no payload and one fd. 0 or -errno.
 */
int export_start(Worker **ret, sd_event *event, int directory, uint32_t range_base,
                 uint32_t range_size, WorkerHandler handler, void *userdata);
