/*
 * Whatever may block or may be booby-trapped happens in a forked worker with a time limit. The child
 * keeps standard streams and its socket and whatever its function closes over; it answers with one
 * message: an error with a name and a text, or a payload with fds. When it says nothing in time it
 * is killed. uvmd's loop never waits.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "base/cleanup.h"
#include "base/io.h"

#define WORKER_PAYLOAD_MAX (64 * 1024)

typedef struct Worker Worker;

/* In the child. Answers by worker_answer() and returns 0, or returns a negative errno having set
 * @error if there is more to say: the worker's frame sends that. */
typedef int (*WorkerMain)(int socket, void *task, sd_bus_error *error);

/*
 * In the parent, once: @r 0 with the payload and fds (the handler takes what it wants and leaves
 * FD_NONE), or a negative errno with @error set; -ETIMEDOUT, -ECANCELED (it died without a word).
 * The worker is freed after its handler returns.
 */
typedef void (*WorkerHandler)(void *userdata, int r, const sd_bus_error *error,
                              const uint8_t *payload, size_t size, IoMessage *message);

/* @name appears in logs and as the process's name. @limit_usec is scaled already. 0 or -errno. */
int worker_start(Worker **ret, sd_event *event, const char *name, WorkerMain main, void *task,
                 uint64_t limit_usec, WorkerHandler handler, void *userdata);

/* Kills it; its handler isn't called. Accepts NULL, returns NULL. */
Worker *worker_free(Worker *worker);
DEFINE_CLEANUP(Worker *, worker_free)

/* In the child: 0 or -errno. */
int worker_answer(int socket, const void *payload, size_t size, const int *fds, unsigned n_fds);
