/*
 * virtio-blk (virtio 1.2 §5.2): one queue, whose requests blk_request.h takes apart and vmm/disk does.
 *
 * A request is done by the device's own thread where that is quick, and else by a pool: reads that the
 * host has cached, and writes while the host takes them quickly, by the thread; what waits for a
 * medium by the pool, so that the other requests go on. See ARCHITECTURE.md for what that was measured
 * against.
 *
 * What was written is in the host's page cache, and on the medium once a FLUSH that came behind it has
 * succeeded. A driver that doesn't know FLUSH, or turns the cache off (CONFIG_WCE), has each write on
 * the medium before it hears of it.
 *
 * Saved state: whether the driver turned the cache off, and what it knows of the disk: after a load
 * the disk must be the same size and have the same serial.
 */
#pragma once

#include <stdbool.h>

#include "vmm/virtio/device.h"

typedef struct VirtioBlkConfig {
        const char *serial; /* 1 to 20 bytes; copied */
        int fd;             /* consumed, also on failure */
        bool read_only;
} VirtioBlkConfig;

/* 0, or -errno with what to tell a person (or NULL): see disk_open(). */
int virtio_blk_new(Loop *loop, const GuestMemory *memory, const VirtioBlkConfig *config,
                   VirtioDevice **ret, const char **ret_problem);
