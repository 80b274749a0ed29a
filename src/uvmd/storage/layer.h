/*
 * The writable layer of a container on the host's disk: STATEDIR/layers/ID, a sparse file with an ext4
 * file system, which only the guest ever reads. Its sandbox gets it as an fd; one machine at a time,
 * by a lock that goes with the last fd.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "uvmd/worker.h"

#define LAYER_SIZE_MIN     (16ULL << 20)
#define LAYER_SIZE_MAX     (4ULL << 40)
#define LAYER_SIZE_DEFAULT (10ULL << 30)
#define LAYER_SIZE_STEP    (1ULL << 20)

/*
 * Starts a worker that opens the layer of container @id, made of @size bytes unless @exists says that
 * it was made before. Its answer has one fd, open for reading and writing and locked. Errors are
 * named: WrongState, it is in use; Failed, it is gone, or can't be made. 0 or -errno.
 */
int layer_open(Worker **ret, sd_event *event, const char *state_dir, const char *id, uint64_t size,
               bool exists, WorkerHandler handler, void *userdata);

/* Removes it; nothing there is fine. Its blocks are freed by a worker. Failures are logged. */
void layer_remove(sd_event *event, const char *state_dir, const char *id);

/* Removes what interrupted beginnings and removals have left. */
void layer_sweep(sd_event *event, const char *state_dir);
