/*
 * Puts the entries of an archive into a root file system: one layer of several, or all of it. Each
 * layer replaces and takes away what those before it have put there (OCI image-spec, "layer").
 */
#pragma once

#include <archive.h>
#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-bus.h>

/* What all layers of one import have made so far. */
typedef struct LayerTotals {
        uint64_t entries;
        uint64_t bytes;
} LayerTotals;

/*
 * Reads @archive to its end. @root is the directory to fill; @whiteouts: the names that begin with
 * ".wh." mean what they mean in a layer, otherwise they are plain. 0, or -errno with @error naming the
 * entry: BadArchive, LimitExceeded, or what the host said.
 */
int layer_apply(struct archive *archive, int root, bool whiteouts, LayerTotals *totals,
                sd_bus_error *error);

/*
 * The same from archive_read_disk(3), standing at a directory: descends into all of it and finds the
 * hard links.
 */
int layer_apply_disk(struct archive *disk, int root, LayerTotals *totals, sd_bus_error *error);
