/* Results of CNI plugins; see cni_result.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "uvmd/errors.h"
#include "uvmd/json.h"
#include "uvmd/jsonfile.h"
#include "uvmd/net/cni_result.h"
#include "uvmd/net/network_spec.h"

#define CNI_WORDS_MAX 1024 /* bytes of a plugin's words that an error tells */

static const char *text_of(json_object *json, const char *key)
{
        json_object *value;

        if (!json_object_is_type(json, json_type_object) ||
            !json_object_object_get_ex(json, key, &value) ||
            !json_object_is_type(value, json_type_string) ||
            strlen(json_object_get_string(value)) != (size_t)json_object_get_string_len(value))
                return NULL;
        return json_object_get_string(value);
}

/* The list under @key; *ret NULL: there is none. 0 or -EBADMSG: it is none, or too long. */
static int get_list(json_object *json, const char *key, json_object **ret)
{
        json_object *list;

        *ret = NULL;
        if (!json_object_object_get_ex(json, key, &list) || !list)
                return 0;
        if (!json_object_is_type(list, json_type_array) ||
            json_object_array_length(list) > CNI_RESULT_LIST)
                return -EBADMSG;
        *ret = list;
        return 0;
}

static int check_objects(json_object *result, const char *key, const char *member)
{
        json_object *list;
        int r = get_list(result, key, &list);

        for (size_t i = 0; r >= 0 && list && i < json_object_array_length(list); i++) {
                const char *text = text_of(json_object_array_get_idx(list, i), member);

                if (!text || (strcmp(member, "name") != 0 && !network_cidr_is_valid(text) &&
                              strcmp(key, "routes") != 0))
                        r = -EBADMSG;
        }
        return r;
}

static int check_dns(json_object *result)
{
        static const char *const keys[] = {"nameservers", "search", "options"};
        json_object *dns, *list;
        int r = 0;

        if (!json_object_object_get_ex(result, "dns", &dns) || !dns)
                return 0;
        if (!json_object_is_type(dns, json_type_object))
                return -EBADMSG;
        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(keys); i++)
                r = get_list(dns, keys[i], &list);
        return r;
}

int cni_result_check(json_object *result)
{
        int r;

        if (!json_object_is_type(result, json_type_object))
                return -EBADMSG;
        r = check_objects(result, "ips", "address");
        if (r >= 0)
                r = check_objects(result, "interfaces", "name");
        if (r >= 0)
                r = check_objects(result, "routes", "dst");
        return r < 0 ? r : check_dns(result);
}

int cni_result_parse(json_object **ret, const char *text, size_t size)
{
        _cleanup_(json_putp) json_object *result = NULL;
        int r = size > CNI_OUTPUT_MAX ? -EBADMSG : jsonfile_parse(text, size, &result);

        if (r >= 0)
                r = cni_result_check(result);
        if (r < 0)
                return r == -ENOMEM ? r : -EBADMSG;
        *ret = TAKE_PTR(result);
        return 0;
}

/* What helps where a plugin's own words are only for those who know it. */
static const char *hint(const char *words)
{
        if (strstr(words, "\"iptables\"") || strstr(words, "\"ip6tables\""))
                return " (install the package iptables)";
        return "";
}

int cni_error_explain(const char *plugin, const char *text, size_t size, const char *words,
                      int status, sd_bus_error *error)
{
        _cleanup_(json_putp) json_object *json = NULL;
        const char *message = NULL, *details = NULL;

        if (size <= CNI_OUTPUT_MAX && jsonfile_parse(text, size, &json) >= 0) {
                message = text_of(json, "msg");
                details = text_of(json, "details");
        }
        if (message && message[0])
                return error_set(error, -EIO, ERROR_FAILED,
                                 "The CNI plugin %s failed: %.*s%s%.*s%s.", plugin, CNI_WORDS_MAX,
                                 message, details && details[0] ? ": " : "", CNI_WORDS_MAX,
                                 details ?: "", hint(message));
        if (words[0])
                return error_set(error, -EIO, ERROR_FAILED, "The CNI plugin %s failed: %.*s%s.",
                                 plugin, CNI_WORDS_MAX, words, hint(words));
        return error_set(error, -EIO, ERROR_FAILED, "The CNI plugin %s failed (%s %d).", plugin,
                         WIFEXITED(status) ? "exit code" : "signal",
                         WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
}

void cni_result_addresses(json_object *result, void (*visit)(const char *text, void *userdata),
                          void *userdata)
{
        json_object *list;

        if (!json_object_is_type(result, json_type_object) || get_list(result, "ips", &list) < 0)
                return;
        for (size_t i = 0; list && i < json_object_array_length(list); i++) {
                const char *text = text_of(json_object_array_get_idx(list, i), "address");

                if (text && network_cidr_is_valid(text))
                        visit(text, userdata);
        }
}

void cni_result_dns(json_object *result, const char *key,
                    void (*visit)(const char *text, void *userdata), void *userdata)
{
        json_object *dns, *list;
        bool addresses = strcmp(key, "nameservers") == 0;

        if (!json_object_is_type(result, json_type_object) ||
            !json_object_object_get_ex(result, "dns", &dns) ||
            !json_object_is_type(dns, json_type_object) || get_list(dns, key, &list) < 0)
                return;
        for (size_t i = 0; list && i < json_object_array_length(list); i++) {
                json_object *item = json_object_array_get_idx(list, i);
                const char *text;

                if (!json_object_is_type(item, json_type_string))
                        continue;
                text = json_object_get_string(item);
                if (strlen(text) == (size_t)json_object_get_string_len(item) &&
                    (addresses ? network_address_is_valid(text) : network_word_is_valid(text)))
                        visit(text, userdata);
        }
}

/* A default route's length is 0, which no interface's address has. */
static bool is_destination(const char *text)
{
        return network_cidr_is_valid(text) || strcmp(text, "0.0.0.0/0") == 0 ||
               strcmp(text, "::/0") == 0;
}

void cni_result_routes(json_object *result,
                       void (*visit)(const char *to, const char *gateway, void *userdata),
                       void *userdata)
{
        json_object *list;

        if (!json_object_is_type(result, json_type_object) || get_list(result, "routes", &list) < 0)
                return;
        for (size_t i = 0; list && i < json_object_array_length(list); i++) {
                json_object *route = json_object_array_get_idx(list, i);
                const char *to = text_of(route, "dst"), *gateway = text_of(route, "gw");

                if (to && is_destination(to) && (!gateway || network_address_is_valid(gateway)))
                        visit(to, gateway, userdata);
        }
}

const char *cni_result_gateway(json_object *result, bool six)
{
        json_object *list;

        if (!json_object_is_type(result, json_type_object) || get_list(result, "ips", &list) < 0)
                return NULL;
        for (size_t i = 0; list && i < json_object_array_length(list); i++) {
                const char *gateway = text_of(json_object_array_get_idx(list, i), "gateway");

                if (gateway && network_address_is_valid(gateway) && !!strchr(gateway, ':') == six)
                        return gateway;
        }
        return NULL;
}

json_object *cni_result_with_interface(json_object *result, const char *peer, const char *name)
{
        json_object *copy = NULL, *interfaces, *list;

        if (json_object_deep_copy(result, &copy, NULL) < 0)
                return NULL;
        interfaces = json_object_new_array();
        for (int i = 0; i < 2; i++) {
                json_object *interface = json_object_new_object();

                json_object_object_add(interface, "name", json_object_new_string(i ? name : peer));
                json_object_array_add(interfaces, interface);
        }
        json_object_object_add(copy, "interfaces", interfaces);
        if (get_list(copy, "ips", &list) >= 0)
                for (size_t i = 0; list && i < json_object_array_length(list); i++)
                        json_object_object_add(json_object_array_get_idx(list, i), "interface",
                                               json_object_new_int(1));
        return copy;
}
