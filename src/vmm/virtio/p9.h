/*
 * virtio-9p (device id 9; Linux: include/uapi/linux/virtio_9p.h, net/9p/trans_virtio.c): one directory
 * tree or file, served by vmm/p9. One queue; a request is a T-message in the readable spans and room
 * for its answer in the writable ones. The config space is the mount tag:
 *
 *   tag_len[2] tag[tag_len]      not terminated
 *
 * Linux mounts a device once at a time. Take it away only after the guest has unmounted it: the
 * driver waits for ever otherwise.
 *
 * Saved state: the tag alone. The host's files that a session has open can't be put into a
 * template, so a device that is mounted isn't saved (-EBUSY), and after loading the guest mounts.
 */
#pragma once

#include <stdbool.h>

#include "vmm/virtio/device.h"

#define VIRTIO_P9_TAG_MAX 32

typedef struct VirtioP9Config {
        const char *tag; /* 1 to VIRTIO_P9_TAG_MAX bytes; copied */
        int root_fd;     /* O_PATH is enough; consumed, also on failure. FD_NONE: a made-up root
                            directory (vmm/p9/binds.h) */
        int proc_fd;     /* of the process's own /proc/self/fd; borrowed, outlives the device */
        bool read_only;  /* every change is refused with EROFS */
} VirtioP9Config;

/* 0, -EINVAL for the tag, or -errno. */
int virtio_p9_new(Loop *loop, const GuestMemory *memory, const VirtioP9Config *config,
                  VirtioDevice **ret);

/* Entries of a made-up root, as p9_server_add_bind() and p9_server_remove_bind(). -EINVAL also for a
 * device that isn't 9p. */
int virtio_p9_add_bind(VirtioDevice *device, const char *name, int root_fd, bool read_only);
int virtio_p9_remove_bind(VirtioDevice *device, const char *name);
