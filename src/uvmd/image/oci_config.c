/* What OCI and docker files say; see oci_config.h. */
#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/signals.h"
#include "uvmd/errors.h"
#include "uvmd/image/oci_config.h"
#include "uvmd/net/port_spec.h"

#define OCI_JSON_DEPTH 32
#define OCI_REF_NAME   "org.opencontainers.image.ref.name"

void oci_image_done(OciImage *image)
{
        for (size_t i = 0; image->layers && image->layers[i]; i++)
                free(image->layers[i]);
        free(image->layers);
        free(image->config);
        *image = (OciImage){0};
}

json_object *oci_json_parse(const char *text, size_t size)
{
        json_tokener *tokener = json_tokener_new_ex(OCI_JSON_DEPTH);
        json_object *object;

        if (!tokener)
                return NULL;
        object = size <= OCI_JSON_MAX ? json_tokener_parse_ex(tokener, text, (int)size) : NULL;
        if (json_tokener_get_error(tokener) != json_tokener_success) {
                json_object_put(object);
                object = NULL;
        }
        json_tokener_free(tokener);
        return object;
}

/* The member @key if it is of @type, else NULL. */
static json_object *oci_get(json_object *object, const char *key, json_type type)
{
        json_object *member;

        if (!json_object_is_type(object, json_type_object) ||
            !json_object_object_get_ex(object, key, &member) || !json_object_is_type(member, type))
                return NULL;
        return member;
}

static const char *oci_get_string(json_object *object, const char *key)
{
        json_object *member = oci_get(object, key, json_type_string);

        return member ? json_object_get_string(member) : NULL;
}

/* ------------------------------------------------------------------ docker archives */

static bool docker_has_tag(json_object *manifest, const char *tag)
{
        json_object *tags = oci_get(manifest, "RepoTags", json_type_array);

        for (size_t i = 0; tags && i < json_object_array_length(tags); i++) {
                const char *text = json_object_get_string(json_object_array_get_idx(tags, i));

                if (text && strcmp(text, tag) == 0)
                        return true;
        }
        return false;
}

static int oci_take_layers(json_object *names, OciImage *image, char *(*make)(json_object *),
                           sd_bus_error *error)
{
        size_t n = names ? json_object_array_length(names) : 0;

        if (n > OCI_LAYERS_MAX)
                return error_set(error, -E2BIG, ERROR_LIMIT_EXCEEDED,
                                 "the image has %zu layers: at most %d can be imported", n,
                                 OCI_LAYERS_MAX);
        image->layers = calloc(n + 1, sizeof(*image->layers));
        if (!image->layers)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                image->layers[i] = make(json_object_array_get_idx(names, i));
                if (!image->layers[i])
                        return error_set(error, -EBADMSG, ERROR_BAD_ARCHIVE,
                                         "the manifest does not name layer %zu", i);
        }
        return 0;
}

static char *docker_layer_name(json_object *name)
{
        return json_object_is_type(name, json_type_string) ? strdup(json_object_get_string(name))
                                                           : NULL;
}

int oci_image_from_docker(json_object *manifests, const char *tag, OciImage *ret,
                          sd_bus_error *error)
{
        _cleanup_(oci_image_done) OciImage image = {0};
        json_object *found = NULL;
        const char *config;
        size_t n;
        int r;

        if (!json_object_is_type(manifests, json_type_array))
                return error_set(error, -EBADMSG, ERROR_BAD_ARCHIVE,
                                 "manifest.json is not a list of images");
        n = json_object_array_length(manifests);
        for (size_t i = 0; i < n; i++) {
                json_object *manifest = json_object_array_get_idx(manifests, i);

                if (tag ? docker_has_tag(manifest, tag) : n == 1)
                        found = manifest;
        }
        if (!found)
                return error_set(error, -ENOENT, ERROR_BAD_ARCHIVE,
                                 tag ? "the archive has no image with this tag"
                                     : "the archive has several images: say which with a tag");
        config = oci_get_string(found, "Config");
        if (!config)
                return error_set(error, -EBADMSG, ERROR_BAD_ARCHIVE,
                                 "manifest.json does not name the image's configuration");
        image.config = strdup(config);
        if (!image.config)
                return -ENOMEM;
        r = oci_take_layers(oci_get(found, "Layers", json_type_array), &image, docker_layer_name,
                            error);
        if (r < 0)
                return r;
        *ret = image;
        image = (OciImage){0};
        return 0;
}

/* ------------------------------------------------------------------ OCI layouts */

/* "sha256:0123…" to "blobs/sha256/0123…" in new memory (image-spec, "Image Layout"). */
static char *oci_blob_name(json_object *descriptor)
{
        const char *digest = oci_get_string(descriptor, "digest");
        const char *colon = digest ? strchr(digest, ':') : NULL;
        char *name;

        if (!colon || colon == digest ||
            strspn(digest, "abcdefghijklmnopqrstuvwxyz0123456789+._-") != (size_t)(colon - digest))
                return NULL;
        if (strlen(colon + 1) < 32 || strlen(colon + 1) > 128 ||
            strspn(colon + 1, "0123456789abcdef") != strlen(colon + 1))
                return NULL;
        if (digest[0] == '.' ||
            asprintf(&name, "blobs/%.*s/%s", (int)(colon - digest), digest, colon + 1) < 0)
                return NULL;
        return name;
}

static bool oci_is_index(json_object *descriptor)
{
        const char *type = oci_get_string(descriptor, "mediaType");

        return type &&
               (strcmp(type, "application/vnd.oci.image.index.v1+json") == 0 ||
                strcmp(type, "application/vnd.docker.distribution.manifest.list.v2+json") == 0);
}

static bool oci_descriptor_matches(json_object *descriptor, const char *tag,
                                   const char *architecture)
{
        json_object *annotations = oci_get(descriptor, "annotations", json_type_object);
        json_object *platform = oci_get(descriptor, "platform", json_type_object);
        const char *name = oci_get_string(annotations, OCI_REF_NAME);
        const char *wanted = oci_get_string(platform, "architecture");
        const char *os = oci_get_string(platform, "os");

        if (tag && (!name || strcmp(name, tag) != 0))
                return false;
        if (os && strcmp(os, "linux") != 0)
                return false;
        return !wanted || strcmp(wanted, architecture) == 0;
}

int oci_index_select(json_object *index, const char *tag, const char *architecture, char **ret,
                     bool *ret_is_index, sd_bus_error *error)
{
        json_object *manifests = oci_get(index, "manifests", json_type_array), *found = NULL;
        size_t n_found = 0;

        for (size_t i = 0; manifests && i < json_object_array_length(manifests); i++) {
                json_object *descriptor = json_object_array_get_idx(manifests, i);

                if (oci_descriptor_matches(descriptor, tag, architecture)) {
                        found = descriptor;
                        n_found++;
                }
        }
        if (n_found == 0)
                return error_set(error, -ENOENT, ERROR_BAD_ARCHIVE,
                                 "the layout has no image %sfor linux on %s",
                                 tag ? "with this tag " : "", architecture);
        if (n_found > 1)
                return error_set(error, -ENOTUNIQ, ERROR_BAD_ARCHIVE,
                                 "the layout has several images: say which with a tag");
        *ret = oci_blob_name(found);
        if (!*ret)
                return error_set(error, -EBADMSG, ERROR_BAD_ARCHIVE,
                                 "the layout's index has a digest that is none");
        *ret_is_index = oci_is_index(found);
        return 0;
}

int oci_image_from_manifest(json_object *manifest, OciImage *ret, sd_bus_error *error)
{
        _cleanup_(oci_image_done) OciImage image = {0};
        int r;

        image.config = oci_blob_name(oci_get(manifest, "config", json_type_object));
        if (!image.config)
                return error_set(error, -EBADMSG, ERROR_BAD_ARCHIVE,
                                 "the image's manifest does not name its configuration");
        r = oci_take_layers(oci_get(manifest, "layers", json_type_array), &image, oci_blob_name,
                            error);
        if (r < 0)
                return r;
        *ret = image;
        image = (OciImage){0};
        return 0;
}

/* ------------------------------------------------------------------ configuration */

/* Adds the strings of a list under our @key; what is no string is left out. */
static void translate_strings(json_object *to, const char *key, json_object *list)
{
        json_object *strings;

        if (!list || json_object_array_length(list) == 0)
                return;
        strings = json_object_new_array();
        for (size_t i = 0; i < json_object_array_length(list); i++) {
                json_object *item = json_object_array_get_idx(list, i);

                if (json_object_is_type(item, json_type_string))
                        json_object_array_add(strings, json_object_get(item));
        }
        json_object_object_add(to, key, strings);
}

static void translate_string(json_object *to, const char *key, const char *text)
{
        if (text && *text)
                json_object_object_add(to, key, json_object_new_string(text));
}

static void translate_labels(json_object *to, json_object *labels)
{
        json_object *copy;

        if (!labels || json_object_object_length(labels) == 0)
                return;
        copy = json_object_new_object();
        json_object_object_foreach (labels, key, value) {
                if (json_object_is_type(value, json_type_string))
                        json_object_object_add(copy, key, json_object_get(value));
        }
        json_object_object_add(to, "Labels", copy);
}

/* The keys are ports; what makes no sense as one, sctp too, is left out. */
static void translate_ports(json_object *to, json_object *ports)
{
        json_object *list;

        if (!ports || json_object_object_length(ports) == 0)
                return;
        list = json_object_new_array();
        json_object_object_foreach (ports, key, value) {
                if (!strchr(key, ':') && port_spec_is_valid(key))
                        json_object_array_add(list, json_object_new_string(key));
                (void)value;
        }
        json_object_object_add(to, "ExposedPorts", list);
}

/* Volumes are an object whose keys count. */
static void translate_volumes(json_object *to, json_object *volumes)
{
        json_object *paths;

        if (!volumes || json_object_object_length(volumes) == 0)
                return;
        paths = json_object_new_array();
        json_object_object_foreach (volumes, path, value) {
                size_t n = strlen(path);

                (void)value;
                while (n > 1 && path[n - 1] == '/')
                        n--;
                json_object_array_add(paths, json_object_new_string_len(path, (int)n));
        }
        json_object_object_add(to, "Volumes", paths);
}

json_object *oci_config_translate(json_object *config)
{
        json_object *from = oci_get(config, "config", json_type_object);
        json_object *to = json_object_new_object();
        const char *stop = oci_get_string(from, "StopSignal");
        int number = stop ? signal_parse(stop) : 0;

        if (!to)
                return NULL;
        translate_strings(to, "Command", oci_get(from, "Cmd", json_type_array));
        translate_strings(to, "Entrypoint", oci_get(from, "Entrypoint", json_type_array));
        translate_strings(to, "Environment", oci_get(from, "Env", json_type_array));
        translate_string(to, "WorkingDirectory", oci_get_string(from, "WorkingDir"));
        translate_string(to, "User", oci_get_string(from, "User"));
        translate_string(to, "Architecture", oci_get_string(config, "architecture"));
        translate_labels(to, oci_get(from, "Labels", json_type_object));
        translate_ports(to, oci_get(from, "ExposedPorts", json_type_object));
        translate_volumes(to, oci_get(from, "Volumes", json_type_object));
        if (number > 0)
                json_object_object_add(to, "StopSignal", json_object_new_int(number));
        return to;
}
