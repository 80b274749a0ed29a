/*
 * Makes a root file system from what a caller handed in: the work of an import, done in a forked
 * worker (uvmd/worker.h) that has locked itself up first. Every byte of the source is hostile.
 *
 * The answer's payload is a JSON object:
 *
 *      { "Size": bytes in regular files, "Entries": number of them all, "Config": { … } }
 *
 * where Config has the keys of image_config_options (Command, Entrypoint, Environment,
 * WorkingDirectory, User, StopSignal, Labels, Architecture), those that the source says.
 */
#pragma once

#include <stdint.h>
#include <systemd/sd-bus.h>

#include "base/enum.h"

typedef enum ImportFormat {
        IMPORT_AUTO,
        IMPORT_DIRECTORY,      /* a root file system as it is */
        IMPORT_TAR,            /* the same in a tar archive of any compression */
        IMPORT_OCI_LAYOUT,     /* a directory or tar archive, OCI image-spec "image layout" */
        IMPORT_DOCKER_ARCHIVE, /* what "docker save" writes */
        IMPORT_FORMAT_MAX_,
} ImportFormat;
ENUM_DECLARE(import_format, ImportFormat); /* "auto", "directory", "tar", … as on the bus */

typedef struct ImportTask {
        int source;      /* O_PATH or readable directory, or a file open for reading at offset 0 */
        int destination; /* an existing, empty directory, open for reading: becomes the root */
        ImportFormat format;
        const char *tag; /* which image of several; NULL: the only one */
} ImportTask;

/* Limits of one import; an archive beyond them is refused with LimitExceeded. */
#define IMPORT_ENTRIES_MAX (4U << 20)
#define IMPORT_SIZE_MAX    (256ULL << 30)

/*
 * A WorkerMain: @task is an ImportTask. Locks itself up, fills the destination and answers. Errors
 * are named: BadArchive says which entry is wrong, NotSupported what can't be read.
 */
int import_main(int socket, void *task, sd_bus_error *error);
