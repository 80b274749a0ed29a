/* Imports into the store; see importer.h. The worker has read hostile bytes: its answer is checked as
 * a record from disk is. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "uvmd/errors.h"
#include "uvmd/image/import.h"
#include "uvmd/image/importer.h"
#include "uvmd/image/remove.h"
#include "uvmd/image/store.h"
#include "uvmd/jsonfile.h"
#include "uvmd/worker.h"

#define IMPORTER_USEC (1800 * USEC_PER_SEC)

static bool is_absolute(const char *text)
{
        return text[0] == '/';
}

static bool is_assignment(const char *text)
{
        return text[0] != '=' && strchr(text, '=');
}

#define OPTION(key_, type_, member_, ...)                                                     \
        {                                                                                     \
                .key = (key_), .type = (type_), .offset = offsetof(ImporterOptions, member_), \
                __VA_ARGS__                                                                   \
        }

const Option importer_options[] = {
        OPTION("Tag", OPTION_STRING, tag, .max = 256),
        OPTION("Command", OPTION_STRINGS, command),
        OPTION("Entrypoint", OPTION_STRINGS, entrypoint),
        OPTION("Environment", OPTION_STRINGS, environment, .is_valid = is_assignment,
               .expected = "a list of \"NAME=value\""),
        OPTION("WorkingDirectory", OPTION_STRING, working_directory, .is_valid = is_absolute,
               .expected = "an absolute path"),
        OPTION("User", OPTION_STRING, user, .max = 256),
        OPTION("StopSignal", OPTION_I32, stop_signal, .min = 1, .max = 64),
        OPTION("Labels", OPTION_MAP, labels, .max = 64),
        OPTION("Volumes", OPTION_STRINGS, volumes, .max = 64, .is_valid = is_absolute,
               .expected = "a list of absolute paths"),
};
const size_t importer_options_n = ELEMENTSOF(importer_options);

void importer_options_done(ImporterOptions *options)
{
        options_done(importer_options, importer_options_n, options);
}

typedef struct Importer {
        ImageStore *store;
        char directory[IMPORTER_STAGE_SIZE]; /* tmp-…, in the store */
        char stage[IMPORTER_STAGE_SIZE];     /* where the source is, if that is in the store too */
        char *name;
        ImporterOptions options;
        sd_bus_message *call;
} Importer;

static void importer_free(Importer *importer)
{
        if (importer->stage[0])
                image_remove_directory(importer->store, importer->stage);
        sd_bus_message_unref(importer->call);
        importer_options_done(&importer->options);
        free(importer->name);
        free(importer);
}

/* ------------------------------------------------------------------ the end */

/* The caller's word over the image's own: the two structs' members change places. */
static void importer_apply_options(ImageConfig *config, ImporterOptions *options)
{
        struct {
                void *from, *to;
        } members[] = {
                {&options->command, &config->command},
                {&options->entrypoint, &config->entrypoint},
                {&options->environment, &config->environment},
                {&options->working_directory, &config->working_directory},
                {&options->user, &config->user},
                {&options->labels, &config->labels},
                {&options->volumes, &config->volumes},
        };

        if (options->stop_signal)
                config->stop_signal = options->stop_signal;
        for (size_t i = 0; i < ELEMENTSOF(members); i++) {
                void *from, *to;

                memcpy(&from, members[i].from, sizeof(from));
                if (!from)
                        continue;
                memcpy(&to, members[i].to, sizeof(to));
                memcpy(members[i].to, &from, sizeof(from));
                memcpy(members[i].from, &to, sizeof(to));
        }
}

/* Writes image.json beside the root file system that @payload tells of. 0, -EBADMSG or -errno. */
static int importer_describe(Importer *importer, const uint8_t *payload, size_t size)
{
        Image image = {.store = importer->store, .name = importer->name};
        json_object *json = NULL, *config, *bytes;
        int r = jsonfile_parse((const char *)payload, size, &json);

        if (r < 0)
                return r;
        if (!json_object_object_get_ex(json, "Config", &config) ||
            !json_object_object_get_ex(json, "Size", &bytes))
                r = -EBADMSG;
        if (r >= 0)
                r = options_from_json(image_config_options, image_config_options_n, &image.config,
                                      config);
        if (r >= 0) {
                image.size = json_object_get_uint64(bytes);
                image.created = clock_realtime_usec();
                importer_apply_options(&image.config, &importer->options);
                r = image_write(&image, importer->directory);
        }
        image_config_done(&image.config);
        json_object_put(json);
        return r;
}

static int importer_finish(Importer *importer, const uint8_t *payload, size_t size, Image **ret)
{
        ImageStore *store = importer->store;
        char id[ID_SIZE + 1];
        int r = importer_describe(importer, payload, size);

        if (r >= 0)
                r = id_generate(id);
        if (r < 0)
                return r;
        if (renameat(store->fd, importer->directory, store->fd, id) < 0)
                return errno_neg();
        r = image_load(store, id, ret);
        if (r < 0)
                image_remove_directory(store, id);
        return r;
}

static void importer_on_done(void *userdata, int r, const sd_bus_error *error,
                             const uint8_t *payload, size_t size, IoMessage *message)
{
        Importer *importer = userdata;
        ImageStore *store = importer->store;
        Image *image;

        store->n_workers--;
        if (r >= 0)
                r = importer_finish(importer, payload, size, &image);
        if (r < 0) {
                image_remove_directory(store, importer->directory);
                error_reply(importer->call, r, error);
        } else {
                image_take_name(image);
                image_store_collect(store);
                log_info("Image %s (%s): imported", image->id, image->name);
                if (store->on_import)
                        store->on_import(store->userdata, image);
                sd_bus_reply_method_return(importer->call, "s", image->id);
        }
        importer_free(importer);
}

/* ------------------------------------------------------------------ the begin */

static int importer_open_rootfs(ImageStore *store, const char *directory, int *ret)
{
        char root[ID_SIZE + 16];
        int fd;

        snprintf(root, sizeof(root), "%s/rootfs", directory);
        fd = openat(store->fd, root, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
                return errno_neg();
        *ret = fd;
        return 0;
}

int importer_make_stage(ImageStore *store, char stage[IMPORTER_STAGE_SIZE], int *ret)
{
        char random[ID_SIZE + 1], root[ID_SIZE + 16];
        int r = id_generate(random);

        if (r < 0)
                return r;
        snprintf(stage, IMPORTER_STAGE_SIZE, "tmp-%s", random);
        snprintf(root, sizeof(root), "%s/rootfs", stage);
        if (mkdirat(store->fd, stage, 0700) < 0 || mkdirat(store->fd, root, 0755) < 0)
                return errno_neg();
        return importer_open_rootfs(store, stage, ret);
}

static int importer_begin(Importer *importer, int source, ImportFormat format, const char *tag)
{
        _cleanup_(fd_closep) int root = FD_NONE;
        ImportTask task = {.source = source, .format = format, .tag = tag};
        Worker *worker;
        int r = importer->name ? importer_make_stage(importer->store, importer->directory, &root)
                               : -ENOMEM;

        if (r < 0)
                return r;
        task.destination = root;
        /* It ends by itself, at the latest by its time limit: nobody has to hold it. */
        return worker_start(&worker, importer->store->event, "uvmd-import", import_main, &task,
                            clock_limit_usec(IMPORTER_USEC), importer_on_done, importer);
}

static int importer_start_from(ImageStore *store, const char *name, int source, ImportFormat format,
                               const char *stage, ImporterOptions *options, sd_bus_message *call,
                               sd_bus_error *error)
{
        Importer *importer = calloc(1, sizeof(*importer));
        int r;

        if (!importer)
                return -ENOMEM;
        importer->store = store;
        importer->name = strdup(name);
        r = importer_begin(importer, source, format, options->tag);
        if (r < 0) {
                if (importer->directory[0])
                        image_remove_directory(store, importer->directory);
                importer_free(importer);
                return error_set(error, r, ERROR_FAILED, "Can't begin the import: %s.",
                                 strerror(-r));
        }
        store->n_workers++;
        snprintf(importer->stage, sizeof(importer->stage), "%s", stage);
        importer->options = *options;
        *options = (ImporterOptions){};
        importer->call = sd_bus_message_ref(call);
        return 0;
}

int importer_start(ImageStore *store, const char *name, int source, const char *format,
                   ImporterOptions *options, sd_bus_message *call, sd_bus_error *error)
{
        int format_number = import_format_from_string(format);

        if (format_number < 0)
                return error_set(error, -EINVAL, ERROR_INVALID_ARGUMENT,
                                 "There is no format \"%s\": auto, directory, tar, oci-layout or "
                                 "docker-archive.",
                                 format);
        return importer_start_from(store, name, source, (ImportFormat)format_number, "", options,
                                   call, error);
}

int importer_start_stage(ImageStore *store, const char *name, const char *stage,
                         ImporterOptions *options, sd_bus_message *call, sd_bus_error *error)
{
        _cleanup_(fd_closep) int source = FD_NONE;
        int r = importer_open_rootfs(store, stage, &source);

        return r < 0 ? r
                     : importer_start_from(store, name, source, IMPORT_DIRECTORY, stage, options,
                                           call, error);
}
