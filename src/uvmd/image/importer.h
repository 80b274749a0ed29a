/*
 * Imports into the store: a worker (import.h) fills the root file system of a directory that is not an
 * image yet; when it is done its description is written and one rename makes it one.
 */
#pragma once

#include <systemd/sd-bus.h>

#include "uvmd/image/image.h"

/* What ImportImage's options say; what is given wins over the image's own configuration. */
typedef struct ImporterOptions {
        char *tag;
        char **command;
        char **entrypoint;
        char **environment;
        char *working_directory;
        char *user;
} ImporterOptions;

extern const Option importer_options[];
extern const size_t importer_options_n;
void importer_options_done(ImporterOptions *options);

/*
 * Borrows @source; @options are consumed on success. @call is answered late with the image's id.
 * 0 or -errno with @error.
 */
int importer_start(ImageStore *store, const char *name, int source, const char *format,
                   ImporterOptions *options, sd_bus_message *call, sd_bus_error *error);
