/*
 * Disks: virtio-blk devices, which the host names by their serial. The driver's bind, and so the
 * answer to PLUG, comes after the kernel has made the device and its node (device_add() waits for
 * devtmpfs): one that isn't there now isn't plugged in.
 */
#pragma once

#include <sys/types.h>

/* Where block devices are listed; for tests. Default: /sys/block. */
void disk_set_directory(const char *directory);

#define DISK_PATH_SIZE 64

/* The device file of the disk, "/dev/vdb". Asks the devices, so only a child may: 0, -ENODEV: there
 * is no such disk, another -errno. */
int disk_find(const char *serial, char path[DISK_PATH_SIZE]);

/* Its number. As above. */
int disk_number(const char *serial, dev_t *ret);
