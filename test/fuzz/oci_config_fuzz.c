/*
 * The JSON of images: manifests, indexes and configurations, each document read as all of them; then
 * the configuration through the option table, as the store reads it.
 */
#include <stdlib.h>

#include "test/fuzz/fuzz.h"
#include "uvmd/image/image.h"
#include "uvmd/image/oci_config.h"

static void select_image(json_object *json, const char *tag)
{
        OciImage image = {};
        char *name = NULL;
        bool is_index;

        if (oci_image_from_docker(json, tag, &image, NULL) >= 0)
                oci_image_done(&image);
        if (oci_index_select(json, tag, "amd64", &name, &is_index, NULL) >= 0)
                free(name);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        json_object *json = oci_json_parse((const char *)data, size), *translated;
        OciImage image = {};
        ImageConfig config = {};

        if (!json)
                return 0;
        select_image(json, NULL);
        select_image(json, "t");
        if (oci_image_from_manifest(json, &image, NULL) >= 0)
                oci_image_done(&image);
        translated = oci_config_translate(json);
        options_from_json(image_config_options, image_config_options_n, &config, translated);
        image_config_done(&config);
        options_from_json(image_config_options, image_config_options_n, &config, json);
        image_config_done(&config);
        json_object_put(translated);
        json_object_put(json);
        return 0;
}
