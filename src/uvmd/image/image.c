/* The image store; see image.h. What is in it was written by the import worker; the root file
 * systems are their makers', and are only ever opened as a whole. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "uvmd/image/image.h"
#include "uvmd/image/remove.h"
#include "uvmd/image/store.h"
#include "uvmd/jsonfile.h"

#define CONFIG(key_, type_, member_)                                                     \
        {                                                                                \
                .key = (key_), .type = (type_), .offset = offsetof(ImageConfig, member_) \
        }

const Option image_config_options[] = {
        CONFIG("Command", OPTION_STRINGS, command),
        CONFIG("Entrypoint", OPTION_STRINGS, entrypoint),
        CONFIG("Environment", OPTION_STRINGS, environment),
        CONFIG("WorkingDirectory", OPTION_STRING, working_directory),
        CONFIG("User", OPTION_STRING, user),
        CONFIG("StopSignal", OPTION_I32, stop_signal),
        CONFIG("Labels", OPTION_MAP, labels),
        CONFIG("Architecture", OPTION_STRING, architecture),
        CONFIG("ExposedPorts", OPTION_STRINGS, exposed_ports),
        CONFIG("Volumes", OPTION_STRINGS, volumes),
};
const size_t image_config_options_n = ELEMENTSOF(image_config_options);

void image_config_done(ImageConfig *config)
{
        options_done(image_config_options, image_config_options_n, config);
}

static void image_free(Image *image)
{
        HASH_DEL(image->store->images, image);
        image_config_done(&image->config);
        free(image->name);
        free(image);
}

/* ------------------------------------------------------------------ use */

Image *image_store_find(ImageStore *store, const char *name)
{
        Image *image, *next;

        HASH_FIND_STR(store->images, name, image);
        if (image)
                return image;
        HASH_ITER (hh, store->images, image, next)
                if (image->name && strcmp(image->name, name) == 0)
                        return image;
        return NULL;
}

Image *image_store_all(ImageStore *store)
{
        return store->images;
}

bool image_store_is_busy(const ImageStore *store)
{
        return store->n_workers > 0;
}

void image_use(Image *image)
{
        image->n_users++;
}

/* An image without name and users goes: first out of the way by a rename, then file by file. */
static void image_collect(Image *image)
{
        if (image->name || image->n_users > 0)
                return;
        log_info("Image %s: removed", image->id);
        image_remove_directory(image->store, image->id);
        image_free(image);
}

void image_unuse(Image *image)
{
        image->n_users--;
        image_collect(image);
}

void image_remove(Image *image)
{
        free(image->name);
        image->name = NULL;
        image_save(image);
        image_collect(image);
}

int image_open_root(const Image *image, int *ret)
{
        char path[ID_SIZE + 8];
        int fd;

        snprintf(path, sizeof(path), "%s/rootfs", image->id);
        fd = openat(image->store->fd, path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
                return errno_neg();
        *ret = fd;
        return 0;
}

/* ------------------------------------------------------------------ what is on disk */

static char *image_json_path(const ImageStore *store, const char *directory)
{
        char *path;

        return asprintf(&path, "%s/%s/image.json", store->path, directory) < 0 ? NULL : path;
}

json_object *image_to_json(const Image *image)
{
        json_object *json = json_object_new_object();

        if (image->name)
                json_object_object_add(json, "Name", json_object_new_string(image->name));
        json_object_object_add(json, "Size", json_object_new_uint64(image->size));
        json_object_object_add(json, "Created", json_object_new_uint64(image->created));
        json_object_object_add(
                json, "Config",
                options_to_json(image_config_options, image_config_options_n, &image->config));
        return json;
}

int image_write(const Image *image, const char *directory)
{
        _cleanup_(freep) char *path = image_json_path(image->store, directory);
        json_object *json = image_to_json(image);
        int r = path && json ? jsonfile_write(path, json, true) : -ENOMEM;

        json_object_put(json);
        return r;
}

void image_save(const Image *image)
{
        int r = image_write(image, image->id);

        if (r < 0)
                log_error_errno(r, "Image %s: can't write its description", image->id);
}

int image_from_json(ImageStore *store, const char *id, json_object *json, Image **ret)
{
        json_object *name, *size, *created, *config;
        Image *image;
        int r;

        if (!json_object_object_get_ex(json, "Config", &config) ||
            !json_object_object_get_ex(json, "Size", &size) ||
            !json_object_object_get_ex(json, "Created", &created))
                return -EBADMSG;
        image = calloc(1, sizeof(*image));
        if (!image)
                return -ENOMEM;
        image->store = store;
        strcpy(image->id, id);
        HASH_ADD_STR(store->images, id, image);
        image->size = json_object_get_uint64(size);
        image->created = json_object_get_uint64(created);
        r = options_from_json(image_config_options, image_config_options_n, &image->config, config);
        if (r >= 0 && json_object_object_get_ex(json, "Name", &name)) {
                image->name = strdup(json_object_get_string(name));
                r = !image->name ? -ENOMEM : name_is_valid(image->name) ? 0 : -EBADMSG;
        }
        if (r < 0) {
                image_free(image);
                return r;
        }
        *ret = image;
        return 0;
}

void image_take_name(Image *image)
{
        Image *other, *next;

        HASH_ITER (hh, image->store->images, other, next) {
                if (other == image || !other->name || strcmp(other->name, image->name) != 0)
                        continue;
                free(other->name);
                other->name = NULL;
                image_save(other);
        }
}

int image_load(ImageStore *store, const char *id, Image **ret)
{
        _cleanup_(freep) char *path = image_json_path(store, id);
        json_object *json = NULL;
        int r = path ? jsonfile_read(path, &json) : -ENOMEM;

        if (r >= 0)
                r = image_from_json(store, id, json, ret);
        json_object_put(json);
        return r;
}

static int compare_created(const Image *a, const Image *b)
{
        return (a->created > b->created) - (a->created < b->created);
}

/* An import that was interrupted between its two last steps leaves two images of one name. */
static void image_store_keep_newest(ImageStore *store)
{
        Image *image, *next;

        HASH_SORT(store->images, compare_created);
        HASH_ITER (hh, store->images, image, next)
                if (image->name)
                        image_take_name(image);
}

static void image_store_visit(ImageStore *store, const char *name)
{
        Image *image;
        int r;

        if (!id_is_valid(name)) {
                log_info("Removing %s/%s, which was left unfinished", store->path, name);
                image_remove_directory(store, name);
                return;
        }
        r = image_load(store, name, &image);
        if (r < 0)
                log_error_errno(r, "Can't read the image %s/%s", store->path, name);
}

void image_store_watch(ImageStore *store, ImageHandler on_import, void *userdata)
{
        store->on_import = on_import;
        store->userdata = userdata;
}

int image_store_open(ImageStore **ret, sd_event *event, const char *path)
{
        ImageStore *store = calloc(1, sizeof(*store));
        struct dirent *entry;
        DIR *directory;
        int r = -ENOMEM;

        if (!store)
                return -ENOMEM;
        store->fd = FD_NONE;
        store->event = sd_event_ref(event);
        store->path = strdup(path);
        if (!store->path)
                goto fail;
        if (mkdir(path, 0711) < 0 && errno != EEXIST)
                goto fail_errno;
        store->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (store->fd < 0)
                goto fail_errno;
        directory = opendir(path);
        if (!directory)
                goto fail_errno;
        while ((entry = readdir(directory)))
                if (entry->d_name[0] != '.')
                        image_store_visit(store, entry->d_name);
        closedir(directory);
        image_store_keep_newest(store);
        *ret = store;
        return 0;

fail_errno:
        r = errno_neg();
fail:
        image_store_close(store);
        return r;
}

void image_store_collect(ImageStore *store)
{
        Image *image, *next;

        HASH_ITER (hh, store->images, image, next)
                image_collect(image);
}

ImageStore *image_store_close(ImageStore *store)
{
        Image *image, *next;

        if (!store)
                return NULL;
        HASH_ITER (hh, store->images, image, next)
                image_free(image);
        fd_close(store->fd);
        sd_event_unref(store->event);
        free(store->path);
        free(store);
        return NULL;
}
