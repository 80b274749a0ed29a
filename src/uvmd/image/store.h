/* The store's inside, for its own files: image.c, import.c, remove.c. */
#pragma once

#include <json-c/json.h>

#include "uvmd/image/image.h"

struct ImageStore {
        sd_event *event;
        char *path;
        int fd;
        Image *images;      /* hash by id */
        unsigned n_workers; /* imports and removals under way */
        ImageHandler on_import;
        void *userdata;
};

/* Reads ID/image.json and adds the image. 0, -EBADMSG, -errno. */
int image_load(ImageStore *store, const char *id, Image **ret);

/* Writes image.json into @directory of the store. 0 or -errno; image_save() logs it. */
int image_write(const Image *image, const char *directory);
void image_save(const Image *image);

/* @image, the newest with its name, keeps it; the others lose it. */
void image_take_name(Image *image);

/* The description as it is written. NULL: out of memory. */
json_object *image_to_json(const Image *image);
int image_from_json(ImageStore *store, const char *id, json_object *json, Image **ret);
