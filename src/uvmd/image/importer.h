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
        int32_t stop_signal;
        char **labels;
        char **volumes;
} ImporterOptions;

#define IMPORTER_STAGE_SIZE (ID_SIZE + 8)

extern const Option importer_options[];
extern const size_t importer_options_n;
void importer_options_done(ImporterOptions *options);

/*
 * Borrows @source; @options are consumed on success. @call is answered late with the image's id.
 * 0 or -errno with @error.
 */
int importer_start(ImageStore *store, const char *name, int source, const char *format,
                   ImporterOptions *options, sd_bus_message *call, sd_bus_error *error);

/*
 * A root file system that is filled in the store itself: a fresh directory of the store, with an fd
 * (O_PATH will do) of what is to be filled. What is not handed on is image_remove_directory()'s, or
 * swept away at the next start. 0 or -errno.
 */
int importer_make_stage(ImageStore *store, char stage[IMPORTER_STAGE_SIZE], int *ret);

/* Imports it, checked as a caller's directory is, and removes it; as importer_start(). */
int importer_start_stage(ImageStore *store, const char *name, const char *stage,
                         ImporterOptions *options, sd_bus_message *call, sd_bus_error *error);
