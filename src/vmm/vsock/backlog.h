/*
 * Bytes of a guest that its host socket did not take yet: a ring of fixed size, whose memory exists
 * only while something is in it.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

typedef struct VsockBacklog {
        uint8_t *bytes; /* NULL while empty */
        uint32_t size;  /* the most bytes it holds */
        uint32_t head;  /* where the oldest byte is, below size */
        uint32_t used;
} VsockBacklog;

/*
 * Appends @length bytes of @spans from byte @offset on, which must fit. Copied once: a guest that
 * changes them meanwhile harms its own stream only. 0 or -ENOMEM.
 */
int vsock_backlog_append(VsockBacklog *backlog, const struct iovec *spans, unsigned n_spans,
                         size_t offset, uint32_t length);

/* The bytes in order, as one or two spans; returns how many spans. */
unsigned vsock_backlog_peek(const VsockBacklog *backlog, struct iovec ret[2]);

/* Forgets the oldest @length bytes. */
void vsock_backlog_drop(VsockBacklog *backlog, uint32_t length);
void vsock_backlog_done(VsockBacklog *backlog);
