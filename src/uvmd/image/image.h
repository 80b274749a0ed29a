/*
 * The image store: one directory per image under STATEDIR/images:
 *
 *      ID/rootfs/          the root file system, ids as in the image
 *      ID/image.json       name, size, time of import, configuration
 *      tmp-…/              an import under way; what is found at start is swept away
 *
 * An import is complete once its directory was renamed to its id. Of two images of one name the
 * newer one has it; the older is removed when no container uses it any more.
 */
#pragma once

#include <stdint.h>
#include <systemd/sd-event.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "uvmd/hash.h"
#include "uvmd/options.h"

/* What an image says about the containers made from it: the part of an OCI configuration that
 * matters here. */
typedef struct ImageConfig {
        char **command;
        char **entrypoint;
        char **environment;
        char *working_directory;
        char *user;
        int32_t stop_signal; /* 0: SIGTERM */
        char **labels;
        char *architecture;   /* as OCI has it: "amd64" */
        char **exposed_ports; /* PortSpecs without the host's side: "80", "53/udp" */
        char **volumes;       /* paths that are volumes in its containers; not checked */
} ImageConfig;

extern const Option image_config_options[];
extern const size_t image_config_options_n;

void image_config_done(ImageConfig *config);

typedef struct ImageStore ImageStore;

typedef struct Image {
        ImageStore *store;
        char id[ID_SIZE + 1];
        char *name; /* NULL: replaced by a newer one, or removed by force */
        ImageConfig config;
        uint64_t size;    /* bytes in regular files */
        uint64_t created; /* CLOCK_REALTIME µs of the import */
        unsigned n_users; /* containers */
        UT_hash_handle hh;
} Image;

/* Opens @path, made if missing, and loads what is there. 0 or -errno. */
int image_store_open(ImageStore **ret, sd_event *event, const char *path);
ImageStore *image_store_close(ImageStore *store);

/* By name or id; borrowed. NULL: there is none. */
Image *image_store_find(ImageStore *store, const char *name);

/* All of them: HASH_ITER(hh, …) over it. */
Image *image_store_all(ImageStore *store);

/* Calls @on_import for each image that is imported from now on. */
typedef void (*ImageHandler)(void *userdata, const Image *image);
void image_store_watch(ImageStore *store, ImageHandler on_import, void *userdata);

/* A container begins and ends to use an image. */
void image_use(Image *image);
void image_unuse(Image *image);

/* Takes the name off; the files go once no container uses them. */
void image_remove(Image *image);

/* Removes what has neither name nor users. Once the records are loaded, and after each import. */
void image_store_collect(ImageStore *store);

/* An fd of the root file system (O_PATH). 0 or -errno. */
int image_open_root(const Image *image, int *ret);

/* Imports under way keep uvmd from going idle. */
bool image_store_is_busy(const ImageStore *store);
