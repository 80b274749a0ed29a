/*
 * What is done to a container's files from outside: CopyIn, CopyOut, Commit and GetChanges. One at a
 * time for a container, which is made in the guest for it if it isn't there.
 *
 *      waiting → exporting → exported → plugging → asking → unplugging
 *
 * The directory that a copy comes from or goes to is a 9p device of the guest for so long. The answer
 * comes when that is gone again: what the caller gets is nobody else's any more. When
 * the caller leaves the guest leaves off; what was copied by then stays.
 */
#pragma once

#include <systemd/sd-bus.h>

#include "uvmd/export.h"
#include "uvmd/image/importer.h"

typedef struct Container Container;
typedef struct Transfer Transfer;

typedef struct TransferCaller {
        uint32_t uid;
        pid_t pid;
} TransferCaller;

/* Each: 0 and @call is answered late, or -errno with @error. @directory is borrowed. */
int transfer_copy_in(Container *container, const TransferCaller *caller, int directory,
                     const char *name, const char *path, bool into, sd_bus_message *call,
                     sd_bus_error *error);
int transfer_copy_out(Container *container, const TransferCaller *caller, int directory,
                      const char *path, const char *name, bool follow, bool root_only,
                      sd_bus_message *call, sd_bus_error *error);
int transfer_changes(Container *container, sd_bus_message *call, sd_bus_error *error);

/* @options are consumed on success; what they leave open is the container's image's. */
int transfer_commit(Container *container, const char *image, ImporterOptions *options,
                    sd_bus_message *call, sd_bus_error *error);

/* Answers with an error and forgets it. Accepts NULL, returns NULL. */
Transfer *transfer_free(Transfer *transfer, int r, const sd_bus_error *error);

/* The container is there; or can't be. */
void transfer_on_ready(Container *container);
void transfer_on_failure(Container *container, int r, const sd_bus_error *error);
void transfer_on_guest_gone(Container *container);
