/*
 * Disks: virtio-blk devices, which the host names by their serial. The driver's bind, and so the
 * answer to PLUG, comes after the kernel has made the device and its node (device_add() waits for
 * devtmpfs): one that isn't there now isn't plugged in.
 */
#pragma once

#include <stddef.h>
#include <sys/types.h>

/* Where block devices are listed; for tests. Default: /sys/block. */
void disk_set_directory(const char *directory);

#define DISK_PATH_SIZE 64

/* The device file of the disk, "/dev/vdb". Asks the devices, so only a child may: 0, -ENODEV: there
 * is no such disk, another -errno. */
int disk_find(const char *serial, char path[DISK_PATH_SIZE]);

/* Its number. As above. */
int disk_number(const char *serial, dev_t *ret);

#define DISK_SERIAL_SIZE 21 /* with its NUL */

typedef struct Disk {
        char serial[DISK_SERIAL_SIZE];
        dev_t number;
} Disk;

/* All that have a serial, at most @max of them. As above. */
int disk_list(Disk *ret, size_t max, size_t *ret_n);
