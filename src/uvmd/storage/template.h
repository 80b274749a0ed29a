/*
 * Empty ext4 file systems, made once for each size by mke2fs and kept as sparse files that are copied
 * from then on. A kept one may be lost at any time; it is made again. Blocks: for workers.
 */
#pragma once

#include <stdint.h>
#include <systemd/sd-bus.h>

/*
 * Opens the one of @size bytes (a multiple of a MiB, 16 MiB or more) for reading in @directory, an
 * fd; made if missing. 0, or -errno with @error.
 */
int template_open(int directory, uint64_t size, int *ret, sd_bus_error *error);
