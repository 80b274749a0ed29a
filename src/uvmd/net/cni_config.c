/* CNI configurations; see cni_config.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "uvmd/errors.h"
#include "uvmd/json.h"
#include "uvmd/net/cni_config.h"
#include "uvmd/net/port_spec.h"

#define BURST_MIN (128 * 1024) /* bytes */

static const char *text_of(json_object *json, const char *key)
{
        json_object *value;

        if (!json_object_object_get_ex(json, key, &value) ||
            !json_object_is_type(value, json_type_string) ||
            strlen(json_object_get_string(value)) != (size_t)json_object_get_string_len(value))
                return NULL;
        return json_object_get_string(value);
}

/* The array under @key, or NULL. */
static json_object *array_of(json_object *json, const char *key)
{
        json_object *value;

        if (!json_object_object_get_ex(json, key, &value) ||
            !json_object_is_type(value, json_type_array))
                return NULL;
        return value;
}

/* ------------------------------------------------------------------ lists */

/* The type is the name of a program in CNI_PATH. */
static int check_plugin(json_object *plugin, const char *file, sd_bus_error *error)
{
        const char *type = json_object_is_type(plugin, json_type_object) ? text_of(plugin, "type")
                                                                         : NULL;

        if (!type || !network_name_is_valid(type))
                return error_set(error, -EBADMSG, ERROR_FAILED,
                                 "%s is no network configuration: a plugin in it has no type, or "
                                 "one that is no name.",
                                 file);
        return 0;
}

static json_object *wrap_plugin(json_object *plugin)
{
        json_object *list = json_object_new_object(), *plugins = json_object_new_array();

        json_object_array_add(plugins, json_object_get(plugin));
        json_object_object_add(list, "plugins", plugins);
        json_object_object_add(list, "name", json_object_new_string(text_of(plugin, "name") ?: ""));
        json_object_object_add(
                list, "cniVersion",
                json_object_new_string(text_of(plugin, "cniVersion") ?: CNI_VERSION));
        return list;
}

static int check_list(json_object *list, const char *file, sd_bus_error *error)
{
        const char *name = text_of(list, "name"), *version = text_of(list, "cniVersion");
        json_object *plugins = array_of(list, "plugins");
        size_t n = plugins ? json_object_array_length(plugins) : 0;

        if (!name || !network_name_is_valid(name))
                return error_set(
                        error, -EBADMSG, ERROR_FAILED,
                        "%s is no network configuration: it has no name, or one with other "
                        "characters than letters, digits, '-', '_' and '.'.",
                        file);
        if (version && strlen(version) > 16)
                return error_set(error, -EBADMSG, ERROR_FAILED, "%s has an odd cniVersion.", file);
        if (n == 0 || n > CNI_PLUGINS_MAX)
                return error_set(error, -EBADMSG, ERROR_FAILED,
                                 "%s is no network configuration: it has %zu plugins; 1 to %d are "
                                 "allowed.",
                                 file, n, CNI_PLUGINS_MAX);
        for (size_t i = 0; i < n; i++) {
                int r = check_plugin(json_object_array_get_idx(plugins, i), file, error);

                if (r < 0)
                        return r;
        }
        return 0;
}

int cni_list_new(json_object **ret, json_object *file, const char *name, sd_bus_error *error)
{
        _cleanup_(json_putp) json_object *list = NULL;
        int r;

        if (!json_object_is_type(file, json_type_object))
                return error_set(error, -EBADMSG, ERROR_FAILED, "%s is no JSON object.", name);
        list = json_object_object_get_ex(file, "plugins", NULL) ? json_object_get(file)
                                                                : wrap_plugin(file);
        r = list ? check_list(list, name, error) : -ENOMEM;
        if (r < 0)
                return r;
        *ret = TAKE_PTR(list);
        return 0;
}

bool cni_list_allows_check(json_object *list)
{
        const char *version = text_of(list, "cniVersion");
        json_object *disabled;

        if (json_object_object_get_ex(list, "disableCheck", &disabled) &&
            json_object_get_boolean(disabled))
                return false;
        /* 0.1.0, 0.2.0, 0.3.0 and 0.3.1 came before. */
        return !version || strncmp(version, "0.", 2) != 0 || strcmp(version, "0.4") >= 0;
}

const char *cni_list_name(json_object *list)
{
        return text_of(list, "name");
}

size_t cni_list_count(json_object *list)
{
        return json_object_array_length(array_of(list, "plugins"));
}

static json_object *list_plugin(json_object *list, size_t i)
{
        return json_object_array_get_idx(array_of(list, "plugins"), i);
}

const char *cni_list_type(json_object *list, size_t i)
{
        return text_of(list_plugin(list, i), "type");
}

const char *cni_list_text(json_object *list, size_t i, const char *key)
{
        return text_of(list_plugin(list, i), key);
}

const char *cni_list_ipam(json_object *list, size_t i)
{
        json_object *ipam;
        const char *type;

        if (!json_object_object_get_ex(list_plugin(list, i), "ipam", &ipam) ||
            !json_object_is_type(ipam, json_type_object))
                return NULL;
        type = text_of(ipam, "type");
        return type && network_name_is_valid(type) ? type : NULL;
}

uint32_t cni_list_number(json_object *list, size_t i, const char *key)
{
        json_object *value;
        int64_t number;

        if (!json_object_object_get_ex(list_plugin(list, i), key, &value) ||
            !json_object_is_type(value, json_type_int))
                return 0;
        number = json_object_get_int64(value);
        return number > 0 && number <= UINT32_MAX ? (uint32_t)number : 0;
}

/* ------------------------------------------------------------------ what is wanted */

static json_object *port_mapping(const PortSpec *spec, int i)
{
        json_object *mapping = json_object_new_object();

        json_object_object_add(mapping, "hostPort", json_object_new_int(spec->host + i));
        json_object_object_add(mapping, "containerPort", json_object_new_int(spec->guest + i));
        json_object_object_add(mapping, "protocol",
                               json_object_new_string(spec->udp ? "udp" : "tcp"));
        if (spec->address[0])
                json_object_object_add(mapping, "hostIP", json_object_new_string(spec->address));
        return mapping;
}

/* Those that are still open lead nowhere yet. */
static json_object *port_mappings(char *const *ports)
{
        json_object *array = json_object_new_array();

        for (; ports && *ports; ports++) {
                PortSpec spec;

                if (port_spec_parse(&spec, *ports) < 0 || !spec.host)
                        continue;
                for (int i = 0; i < spec.n; i++)
                        json_object_array_add(array, port_mapping(&spec, i));
        }
        return array;
}

static json_object *strings(char *const *texts)
{
        json_object *array = json_object_new_array();

        for (; texts && *texts; texts++)
                json_object_array_add(array, json_object_new_string(*texts));
        return array;
}

/* In bits. A burst holds a tenth of a second, and at least a frame of the largest size that is segmented later. */
static void add_rate(json_object *to, const char *key, const char *burst_key, uint64_t rate,
                     uint64_t burst)
{
        if (!rate)
                return;
        if (!burst)
                burst = MIN(MAX(rate / 10, (uint64_t)BURST_MIN), (uint64_t)NETWORK_BURST_MAX);
        json_object_object_add(to, key, json_object_new_int64((int64_t)rate * 8));
        json_object_object_add(to, burst_key, json_object_new_int64((int64_t)burst * 8));
}

static json_object *bandwidth(const NetworkConfig *config)
{
        json_object *object = json_object_new_object();

        add_rate(object, "ingressRate", "ingressBurst", config->ingress_rate,
                 config->ingress_burst);
        add_rate(object, "egressRate", "egressBurst", config->egress_rate, config->egress_burst);
        return object;
}

json_object *cni_runtime_new(const NetworkConfig *config)
{
        json_object *runtime = json_object_new_object();

        if (config->ports && config->ports[0])
                json_object_object_add(runtime, "portMappings", port_mappings(config->ports));
        if (config->addresses && config->addresses[0])
                json_object_object_add(runtime, "ips", strings(config->addresses));
        if (config->mac)
                json_object_object_add(runtime, "mac", json_object_new_string(config->mac));
        if (config->ingress_rate || config->egress_rate)
                json_object_object_add(runtime, "bandwidth", bandwidth(config));
        if (config->aliases && config->aliases[0])
                json_object_object_add(runtime, "aliases", strings(config->aliases));
        return runtime;
}

char *cni_arguments_new(const NetworkConfig *config, const char *name)
{
        size_t size = 0;
        char *text = NULL;
        FILE *file = open_memstream(&text, &size);

        if (!file)
                return NULL;
        fprintf(file, "IgnoreUnknown=1;K8S_POD_NAME=%s", name);
        for (char **at = config->arguments; at && *at; at++)
                fprintf(file, ";%s", *at);
        return fclose(file) == 0 ? text : NULL;
}

static bool plugin_takes(json_object *plugin, const char *capability)
{
        json_object *capabilities, *value;

        return json_object_object_get_ex(plugin, "capabilities", &capabilities) &&
               json_object_is_type(capabilities, json_type_object) &&
               json_object_object_get_ex(capabilities, capability, &value) &&
               json_object_is_type(value, json_type_boolean) && json_object_get_boolean(value);
}

int cni_runtime_check(json_object *list, json_object *runtime, sd_bus_error *error)
{
        static const struct {
                const char *capability, *what;
        } words[] = {
                {"portMappings", "publishes no ports"},
                {"ips", "takes no given addresses"},
                {"mac", "takes no given MAC address"},
                {"bandwidth", "limits no bandwidth"},
        };

        for (size_t i = 0; i < ELEMENTSOF(words); i++) {
                bool taken = !json_object_object_get_ex(runtime, words[i].capability, NULL);

                for (size_t j = 0; j < cni_list_count(list) && !taken; j++)
                        taken = plugin_takes(list_plugin(list, j), words[i].capability);
                if (!taken)
                        return error_set(error, -EINVAL, ERROR_NOT_SUPPORTED,
                                         "The network %s %s: no plugin of its configuration has "
                                         "the capability %s.",
                                         cni_list_name(list), words[i].what, words[i].capability);
        }
        return 0;
}

/* The convention for aliases is a list; podman's dnsname, the one plugin that takes them, has one for each network. */
static json_object *runtime_value(json_object *list, json_object *plugin, const char *key,
                                  json_object *value)
{
        const char *type = text_of(plugin, "type");
        json_object *map;

        if (strcmp(key, "aliases") != 0 || !type || strcmp(type, "dnsname") != 0)
                return json_object_get(value);
        map = json_object_new_object();
        json_object_object_add(map, cni_list_name(list), json_object_get(value));
        return map;
}

json_object *cni_plugin_config(json_object *list, size_t i, json_object *runtime,
                               json_object *previous)
{
        json_object *config = NULL, *chosen = json_object_new_object();

        if (json_object_deep_copy(list_plugin(list, i), &config, NULL) < 0) {
                json_object_put(chosen);
                return NULL;
        }
        json_object_object_add(config, "name", json_object_new_string(cni_list_name(list)));
        json_object_object_add(config, "cniVersion",
                               json_object_new_string(text_of(list, "cniVersion") ?: CNI_VERSION));
        json_object_object_foreach (runtime, key, value)
                if (plugin_takes(config, key))
                        json_object_object_add(chosen, key,
                                               runtime_value(list, config, key, value));
        if (json_object_object_length(chosen) > 0)
                json_object_object_add(config, "runtimeConfig", json_object_get(chosen));
        json_object_put(chosen);
        if (previous)
                json_object_object_add(config, "prevResult", json_object_get(previous));
        return config;
}

void cni_list_subnets(json_object *list, void (*visit)(const char *subnet, void *userdata),
                      void *userdata)
{
        for (size_t i = 0; i < cni_list_count(list); i++) {
                json_object *ipam, *ranges;

                if (!json_object_object_get_ex(list_plugin(list, i), "ipam", &ipam) ||
                    !json_object_is_type(ipam, json_type_object))
                        continue;
                if (text_of(ipam, "subnet"))
                        visit(text_of(ipam, "subnet"), userdata);
                ranges = array_of(ipam, "ranges");
                for (size_t j = 0; ranges && j < json_object_array_length(ranges); j++) {
                        json_object *set = json_object_array_get_idx(ranges, j);

                        if (!json_object_is_type(set, json_type_array))
                                continue;
                        for (size_t k = 0; k < json_object_array_length(set); k++) {
                                json_object *range = json_object_array_get_idx(set, k);

                                if (json_object_is_type(range, json_type_object) &&
                                    text_of(range, "subnet"))
                                        visit(text_of(range, "subnet"), userdata);
                        }
                }
        }
}
