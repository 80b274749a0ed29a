/* JSON about networks: read as a configuration, as a plugin's result and as its error. */
#include <stdlib.h>

#include "test/fuzz/fuzz.h"
#include "uvmd/json.h"
#include "uvmd/jsonfile.h"
#include "uvmd/net/cni_config.h"
#include "uvmd/net/cni_result.h"

static void count(const char *text, void *userdata)
{
        (*(size_t *)userdata)++;
}

static void count_route(const char *to, const char *gateway, void *userdata)
{
        count(to, userdata);
}

static void use_list(json_object *list)
{
        char port[] = "80:80", *ports[] = {port, NULL};
        NetworkConfig config = {.ports = ports};
        json_object *runtime = cni_runtime_new(&config);
        size_t n = 0;

        cni_runtime_check(list, runtime, NULL);
        for (size_t i = 0; i < cni_list_count(list); i++) {
                if (!cni_list_type(list, i))
                        abort();
                json_object_put(cni_plugin_config(list, i, runtime, list));
        }
        cni_list_subnets(list, count, &n);
        json_object_put(runtime);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static const char *const keys[] = {"nameservers", "search", "options"};
        const char *text = (const char *)data;
        json_object *json = NULL, *list = NULL, *result = NULL;
        size_t n = 0;

        cni_error_explain("plugin", text, size, "", 256, NULL);
        if (cni_result_parse(&result, text, size) >= 0) {
                cni_result_addresses(result, count, &n);
                cni_result_routes(result, count_route, &n);
                cni_result_gateway(result, true);
                json_object_put(cni_result_with_interface(result, "peer", "eth0"));
                for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
                        cni_result_dns(result, keys[i], count, &n);
                json_object_put(result);
        }
        if (jsonfile_parse(text, size, &json) < 0)
                return 0;
        if (cni_list_new(&list, json, "file", NULL) >= 0) {
                use_list(list);
                json_object_put(list);
        }
        json_object_put(json);
        return 0;
}
