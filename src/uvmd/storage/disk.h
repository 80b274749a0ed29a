/*
 * Disks: files and block devices of the host that a guest has as virtio-blk. A caller's fd is looked
 * at and opened anew by a worker, with the access that the caller showed to have and no more, so that
 * its flags and locks are ours. Who writes to a disk has it alone, by a lock that goes with the last
 * fd; a block device that the host has mounted is not given away either.
 */
#pragma once

#include "uvmd/export.h"

/*
 * As export_start(): of the options source, path, expect, read_only and probe matter. The answer's
 * payload is for export_read_found(), with one fd, open and locked, unless it only probes.
 */
int disk_open(Worker **ret, sd_event *event, const ExportOptions *options, WorkerHandler handler,
              void *userdata);
