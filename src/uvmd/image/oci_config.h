/*
 * What OCI and docker files say, as JSON: which image of several, its layers, its configuration. Pure;
 * all of it is hostile.
 */
#pragma once

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <systemd/sd-bus.h>

#define OCI_JSON_MAX   (4U << 20) /* bytes of one document */
#define OCI_LAYERS_MAX 512

/* One image: the name of its configuration's blob and those of its layers, lowest first. */
typedef struct OciImage {
        char *config;
        char **layers; /* ends in NULL */
} OciImage;

void oci_image_done(OciImage *image);

/* Parses a document of @size bytes. NULL: it is no JSON object or array. */
json_object *oci_json_parse(const char *text, size_t size);

/*
 * From manifest.json of a docker archive: the image with @tag, or the only one. 0, or -errno with a
 * BadArchive that lists the tags there are.
 */
int oci_image_from_docker(json_object *manifests, const char *tag, OciImage *ret,
                          sd_bus_error *error);

/*
 * From an OCI index: the name of the blob that describes the image with @tag (annotation
 * org.opencontainers.image.ref.name) for @architecture, or of the only one. *@ret_is_index: it is
 * another index. New memory.
 */
int oci_index_select(json_object *index, const char *tag, const char *architecture, char **ret,
                     bool *ret_is_index, sd_bus_error *error);

/* From an OCI image manifest. */
int oci_image_from_manifest(json_object *manifest, OciImage *ret, sd_bus_error *error);

/* An OCI or docker image configuration with the keys of import.h. New object; NULL: out of memory. */
json_object *oci_config_translate(json_object *config);
