/* CNI configurations and results: what is taken, what a plugin gets, what is told of its errors. */
#include <stdlib.h>

#include "base/cleanup.h"
#include "test/unit.h"
#include "uvmd/json.h"
#include "uvmd/jsonfile.h"
#include "uvmd/net/cni_bridge.h"
#include "uvmd/net/cni_config.h"
#include "uvmd/net/cni_result.h"

static json_object *parse(const char *text)
{
        json_object *json = NULL;

        unit_assert_int(jsonfile_parse(text, strlen(text), &json), 0);
        return json;
}

static json_object *list_of(const char *text)
{
        _cleanup_(json_putp) json_object *file = parse(text);
        json_object *list = NULL;

        unit_assert_int(cni_list_new(&list, file, "file", NULL), 0);
        return list;
}

static void lists(void)
{
        static const char *const bad[] = {
                "[]",
                "{}",
                "{\"name\": \"n\"}",
                "{\"name\": \"n\", \"type\": \"../bridge\"}",
                "{\"name\": \"n\", \"type\": 5}",
                "{\"type\": \"bridge\"}",
                "{\"name\": \"a b\", \"type\": \"bridge\"}",
                "{\"name\": \"n\", \"plugins\": []}",
                "{\"name\": \"n\", \"plugins\": {}}",
                "{\"name\": \"n\", \"plugins\": [5]}",
                "{\"name\": \"n\", \"plugins\": [{\"type\": \"a\"}, {\"type\": \"\"}]}",
                "{\"name\": \"n\\u0000x\", \"plugins\": [{\"type\": \"a\"}]}",
                "{\"name\": \"n\", \"plugins\": [{\"type\": \"a\\u0000b\"}]}",
        };
        _cleanup_(json_putp) json_object *one = list_of("{\"name\": \"n\", \"type\": \"ptp\"}");

        unit_assert_int(cni_list_count(one), 1);
        unit_assert_string(cni_list_name(one), "n");
        unit_assert_string(cni_list_type(one, 0), "ptp");
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
                _cleanup_(json_putp) json_object *file = parse(bad[i]), *list = NULL;

                unit_assert_int(cni_list_new(&list, file, "some.conf", &error), -EBADMSG);
                unit_assert(strstr(error.message, "some.conf"));
        }
}

static char port[] = "127.0.0.1:8080:80", port6[] = "[::1]:53:5353/udp", address[] = "10.0.0.9";
static char mac[] = "02:00:00:00:00:09", network[] = "n";

static void what_a_plugin_gets(void)
{
        char *ports[] = {port, port6, NULL}, *addresses[] = {address, NULL};
        NetworkConfig config = {
                .network = network,
                .mac = mac,
                .ports = ports,
                .addresses = addresses,
        };
        _cleanup_(json_putp) json_object *list = list_of(
                "{\"name\": \"n\", \"cniVersion\": \"0.4.0\", \"plugins\": ["
                "{\"type\": \"a\", \"x\": 1, \"capabilities\": {\"mac\": true, \"ips\": true}},"
                "{\"type\": \"b\", \"capabilities\": {\"portMappings\": true, \"mac\": false}}]}");
        _cleanup_(json_putp) json_object *runtime = cni_runtime_new(&config);
        _cleanup_(json_putp) json_object *previous = parse("{\"cniVersion\": \"0.4.0\"}");
        _cleanup_(json_putp) json_object *first = cni_plugin_config(list, 0, runtime, NULL);
        _cleanup_(json_putp) json_object *second = cni_plugin_config(list, 1, runtime, previous);

        unit_assert_int(cni_runtime_check(list, runtime, NULL), 0);
        unit_assert_string(json_object_to_json_string_ext(
                                   first, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE),
                           "{\"type\":\"a\",\"x\":1,\"capabilities\":{\"mac\":true,\"ips\":true},"
                           "\"name\":\"n\",\"cniVersion\":\"0.4.0\",\"runtimeConfig\":{"
                           "\"ips\":[\"10.0.0.9\"],\"mac\":\"02:00:00:00:00:09\"}}");
        unit_assert_string(
                json_object_to_json_string_ext(second, JSON_C_TO_STRING_PLAIN),
                "{\"type\":\"b\",\"capabilities\":{\"portMappings\":true,\"mac\":false},"
                "\"name\":\"n\",\"cniVersion\":\"0.4.0\",\"runtimeConfig\":{\"portMappings\":["
                "{\"hostPort\":8080,\"containerPort\":80,\"protocol\":\"tcp\",\"hostIP\":"
                "\"127.0.0.1\"},{\"hostPort\":53,\"containerPort\":5353,\"protocol\":\"udp\","
                "\"hostIP\":\"::1\"}]},\"prevResult\":{\"cniVersion\":\"0.4.0\"}}");
}

static char alias[] = "db", argument[] = "K=V";

static void what_else_a_plugin_gets(void)
{
        char *aliases[] = {alias, NULL}, *arguments[] = {argument, NULL};
        NetworkConfig config = {
                .network = network,
                .aliases = aliases,
                .arguments = arguments,
                .ingress_rate = 1 << 20,
                .egress_rate = 10 << 20,
                .egress_burst = 1000,
        };
        _cleanup_(json_putp) json_object *list = list_of(
                "{\"name\": \"n\", \"plugins\": [{\"type\": \"bandwidth\", \"capabilities\": "
                "{\"bandwidth\": true}}, {\"type\": \"dnsname\", \"capabilities\": {\"aliases\": "
                "true}}, {\"type\": \"x\", \"capabilities\": {\"aliases\": true}}]}");
        _cleanup_(json_putp) json_object *other = list_of("{\"name\": \"n\", \"type\": \"ptp\"}");
        _cleanup_(json_putp) json_object *runtime = cni_runtime_new(&config);
        _cleanup_(freep) char *text = cni_arguments_new(&config, "box");
        static const char *const expected[] = {
                ("{\"bandwidth\":{\"ingressRate\":8388608,\"ingressBurst\":1048576,"
                 "\"egressRate\":83886080,\"egressBurst\":8000}}"),
                "{\"aliases\":{\"n\":[\"db\"]}}",
                "{\"aliases\":[\"db\"]}",
        };

        unit_assert_int(cni_runtime_check(list, runtime, NULL), 0);
        unit_assert_int(cni_runtime_check(other, runtime, NULL), -EINVAL);
        unit_assert_string(text, "IgnoreUnknown=1;K8S_POD_NAME=box;K=V");
        for (size_t i = 0; i < ELEMENTSOF(expected); i++) {
                _cleanup_(json_putp) json_object *gets = cni_plugin_config(list, i, runtime, NULL);
                json_object *part;

                unit_assert(json_object_object_get_ex(gets, "runtimeConfig", &part));
                unit_assert_string(json_object_to_json_string_ext(part, JSON_C_TO_STRING_PLAIN),
                                   expected[i]);
        }
}

static void what_nobody_takes(void)
{
        char *ports[] = {port, NULL}, *none[] = {NULL};
        NetworkConfig wanting = {.network = network, .ports = ports};
        NetworkConfig modest = {.network = network, .ports = none, .addresses = none};
        _cleanup_(json_putp) json_object *list = list_of("{\"name\": \"n\", \"type\": \"ptp\"}");
        _cleanup_(json_putp) json_object *runtime = cni_runtime_new(&wanting);
        _cleanup_(json_putp) json_object *nothing = cni_runtime_new(&modest);
        _cleanup_(json_putp) json_object *config = cni_plugin_config(list, 0, nothing, NULL);
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;

        unit_assert_int(cni_runtime_check(list, nothing, NULL), 0);
        unit_assert(!json_object_object_get_ex(config, "runtimeConfig", NULL));
        unit_assert_int(cni_runtime_check(list, runtime, &error), -EINVAL);
        unit_assert(strstr(error.message, "publishes no ports"));
}

static void which_may_be_checked(void)
{
        static const struct {
                const char *text;
                bool allowed;
        } cases[] = {
                {"{\"name\": \"n\", \"cniVersion\": \"0.3.1\", \"type\": \"a\"}", false},
                {"{\"name\": \"n\", \"cniVersion\": \"0.4.0\", \"type\": \"a\"}", true},
                {"{\"name\": \"n\", \"cniVersion\": \"1.0.0\", \"type\": \"a\"}", true},
                {"{\"name\": \"n\", \"disableCheck\": true, \"plugins\": [{\"type\": \"a\"}]}",
                 false},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(json_putp) json_object *list = list_of(cases[i].text);

                unit_assert_int(cni_list_allows_check(list), cases[i].allowed);
        }
}

static void bridge(void)
{
        _cleanup_(json_putp)
                json_object *made = cni_bridge_make("/run/x", "10.9.0.0/16", "fd00::/64");
        _cleanup_(json_putp) json_object *list = NULL;

        unit_assert_int(cni_list_new(&list, made, "built in", NULL), 0);
        unit_assert_int(cni_list_count(list), 3);
        unit_assert_string(cni_list_text(list, 0, "bridge"), CNI_BRIDGE_DEVICE);
}

static void append(const char *text, void *userdata)
{
        strcat(strcat(userdata, text), " ");
}

static void results(void)
{
        static const char *const bad[] = {
                "",
                "[]",
                "{",
                "{\"ips\": 5}",
                "{\"ips\": [{}]}",
                "{\"ips\": [\"10.0.0.1/24\"]}",
                "{\"ips\": [{\"address\": \"10.0.0.1\"}]}",
                "{\"interfaces\": [{\"mac\": \"x\"}]}",
                "{\"routes\": [{\"gw\": \"10.0.0.1\"}]}",
                "{\"dns\": []}",
                "{\"dns\": {\"nameservers\": {}}}",
        };
        static const char good[] =
                "{\"cniVersion\": \"1.0.0\", \"interfaces\": [{\"name\": \"eth0\"}], \"ips\": ["
                "{\"address\": \"10.0.0.2/24\", \"gateway\": \"10.0.0.1\", \"interface\": 0},"
                "{\"address\": \"fd00::2/64\"}], \"routes\": [{\"dst\": \"0.0.0.0/0\"}],"
                "\"dns\": {\"nameservers\": [\"10.0.0.1\", 5, \"no\", \"fd00::1\"],"
                "\"search\": [\"example.org\", \"a b\"], \"options\": null}}";
        _cleanup_(json_putp) json_object *result = NULL;
        char text[256] = "";

        unit_assert_int(cni_result_parse(&result, good, sizeof(good) - 1), 0);
        cni_result_addresses(result, append, text);
        cni_result_dns(result, "nameservers", append, text);
        cni_result_dns(result, "search", append, text);
        cni_result_dns(result, "options", append, text);
        unit_assert_string(text, "10.0.0.2/24 fd00::2/64 10.0.0.1 fd00::1 example.org ");
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                json_object *none = NULL;

                if (cni_result_parse(&none, bad[i], strlen(bad[i])) != -EBADMSG)
                        unit_fail("\"%s\" is taken", bad[i]);
        }
}

static void append_route(const char *to, const char *gateway, void *userdata)
{
        append(to, userdata);
        append(gateway ? gateway : "-", userdata);
}

static void routes(void)
{
        _cleanup_(json_putp) json_object *result = parse(
                "{\"ips\": [{\"address\": \"10.0.0.2/24\", \"gateway\": \"10.0.0.1\"},"
                "{\"address\": \"fd00::2/64\"}], \"routes\": [{\"dst\": \"0.0.0.0/0\"},"
                "{\"dst\": \"10.1.0.0/16\", \"gw\": \"10.0.0.9\"}, {\"dst\": \"x\"},"
                "{\"dst\": \"::/0\", \"gw\": \"y\"}]}");
        _cleanup_(json_putp) json_object *full = cni_result_with_interface(result, "p", "eth0");
        char text[256] = "";

        cni_result_routes(result, append_route, text);
        unit_assert_string(text, "0.0.0.0/0 - 10.1.0.0/16 10.0.0.9 ");
        unit_assert_string(cni_result_gateway(result, false), "10.0.0.1");
        unit_assert(!cni_result_gateway(result, true));
        unit_assert_int(cni_result_check(full), 0);
        unit_assert(!json_object_object_get_ex(result, "interfaces", NULL));
}

static void too_long_a_list(void)
{
        static char text[16 * 1024] = "{\"ips\": [{\"address\": \"10.0.0.1/24\"}";
        json_object *result = NULL;

        for (int i = 0; i < CNI_RESULT_LIST; i++)
                strcat(text, ",{\"address\": \"10.0.0.1/24\"}");
        strcat(text, "]}");
        unit_assert_int(cni_result_parse(&result, text, strlen(text)), -EBADMSG);
}

static void errors(void)
{
        static const struct {
                const char *output, *words;
                int status;
                const char *told;
        } cases[] = {
                {"{\"code\": 11, \"msg\": \"no\", \"details\": \"why\"}", "x", 256,
                 "The CNI plugin a failed: no: why."},
                {"{\"code\": 11, \"msg\": \"no\", \"details\": \"\"}", "x", 256,
                 "The CNI plugin a failed: no."},
                {"{\"code\": 7}", "panic: x", 512, "The CNI plugin a failed: panic: x."},
                {"", "", 256, "The CNI plugin a failed (exit code 1)."},
                {"{", "", 9, "The CNI plugin a failed (signal 9)."},
                {"{\"msg\": \"exec: \\\"iptables\\\": not found\"}", "", 256,
                 "The CNI plugin a failed: exec: \"iptables\": not found (install the package "
                 "iptables)."},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;

                unit_assert_int(cni_error_explain("a", cases[i].output, strlen(cases[i].output),
                                                  cases[i].words, cases[i].status, &error),
                                -EIO);
                unit_assert_string(error.message, cases[i].told);
        }
}

UNIT_MAIN(UNIT_TEST(lists), UNIT_TEST(what_a_plugin_gets), UNIT_TEST(what_else_a_plugin_gets),
          UNIT_TEST(what_nobody_takes), UNIT_TEST(which_may_be_checked), UNIT_TEST(bridge),
          UNIT_TEST(results), UNIT_TEST(routes), UNIT_TEST(too_long_a_list), UNIT_TEST(errors))
