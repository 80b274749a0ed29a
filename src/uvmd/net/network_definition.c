/* Networks that are to be made; see network_definition.h. */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "proto/agent_network.h"
#include "uvmd/errors.h"
#include "uvmd/net/cni_config.h"
#include "uvmd/net/network_definition.h"
#include "uvmd/net/network_spec.h"
#include "uvmd/strv.h"

#define MTU_MIN 1280 /* of IPv6, RFC 8200 */
#define MTU_MAX 65535

ENUM_TABLE(network_driver, NetworkDriver, NETWORK_DRIVER_MAX_)
= {
        [NETWORK_DRIVER_BRIDGE] = "bridge",
        [NETWORK_DRIVER_MACVLAN] = "macvlan",
        [NETWORK_DRIVER_IPVLAN] = "ipvlan",
        [NETWORK_DRIVER_OVS] = "ovs",
};

static bool driver_is_valid(const char *text)
{
        return network_driver_from_string(text) >= 0;
}

#define DEFINITION(key_, type_, member_, ...)                                                   \
        {                                                                                       \
                .key = (key_), .type = (type_), .offset = offsetof(NetworkDefinition, member_), \
                __VA_ARGS__                                                                     \
        }

const Option network_definition_options[] = {
        DEFINITION("Driver", OPTION_STRING, driver, .is_valid = driver_is_valid,
                   .expected = "\"bridge\", \"macvlan\", \"ipvlan\" or \"ovs\""),
        DEFINITION("Subnets", OPTION_STRINGS, subnets, .max = NETWORK_SUBNETS_MAX,
                   .is_valid = network_cidr_is_valid,
                   .expected = "a list of subnets, like \"10.89.0.0/24\""),
        DEFINITION("Gateways", OPTION_STRINGS, gateways, .max = NETWORK_SUBNETS_MAX,
                   .is_valid = network_address_is_valid,
                   .expected = "a list of addresses, like \"10.89.0.1\""),
        DEFINITION("Ranges", OPTION_STRINGS, ranges, .max = NETWORK_SUBNETS_MAX,
                   .is_valid = network_cidr_is_valid,
                   .expected = "a list of parts of the subnets, like \"10.89.0.128/25\""),
        DEFINITION("Internal", OPTION_BOOL, internal),
        DEFINITION("IPv6", OPTION_BOOL, ipv6),
        DEFINITION("MTU", OPTION_U32, mtu, .min = MTU_MIN, .max = MTU_MAX),
        DEFINITION("Options", OPTION_MAP, options, .max = 16),
};
const size_t network_definition_options_n = ELEMENTSOF(network_definition_options);

void network_definition_done(NetworkDefinition *definition)
{
        options_done(network_definition_options, network_definition_options_n, definition);
}

NetworkDriver network_definition_driver(const NetworkDefinition *definition)
{
        return definition->driver ? (NetworkDriver)network_driver_from_string(definition->driver)
                                  : NETWORK_DRIVER_BRIDGE;
}

static bool has_family(const NetworkDefinition *definition, int family)
{
        for (char **at = definition->subnets; at && *at; at++)
                if (!!strchr(*at, ':') == (family == AF_INET6))
                        return true;
        return false;
}

bool network_definition_wants(const NetworkDefinition *definition, int family)
{
        if (has_family(definition, family))
                return false;
        if (family == AF_INET6)
                return definition->ipv6;
        return !definition->subnets || !definition->subnets[0];
}

/* ------------------------------------------------------------------ the driver's options */

static bool is_flag(const char *value)
{
        return strcmp(value, "true") == 0 || strcmp(value, "false") == 0;
}

static bool is_vlan(const char *value)
{
        uint32_t number;

        return parse_u32(value, 1, 4094, &number) >= 0;
}

static bool is_macvlan_mode(const char *value)
{
        return strcmp(value, "bridge") == 0 || strcmp(value, "private") == 0 ||
               strcmp(value, "vepa") == 0 || strcmp(value, "passthru") == 0;
}

static bool is_ipvlan_mode(const char *value)
{
        return strcmp(value, "l2") == 0 || strcmp(value, "l3") == 0 || strcmp(value, "l3s") == 0;
}

typedef struct DriverOption {
        NetworkDriver driver;
        const char *key;
        bool (*is_valid)(const char *value);
        const char *expected;
        const char *member; /* of the first plugin; NULL: something else */
        bool required;
} DriverOption;

static const DriverOption driver_options[] = {
        {NETWORK_DRIVER_BRIDGE, "bridge", agent_interface_name_is_valid, "an interface's name",
         NULL, false},
        {NETWORK_DRIVER_BRIDGE, "vlan", is_vlan, "1 to 4094", "vlan", false},
        {NETWORK_DRIVER_BRIDGE, "isolate", is_flag, "true or false", NULL, false},
        {NETWORK_DRIVER_BRIDGE, "macspoofchk", is_flag, "true or false", "macspoofchk", false},
        {NETWORK_DRIVER_MACVLAN, "parent", agent_interface_name_is_valid,
         "an interface of the host", "master", true},
        {NETWORK_DRIVER_MACVLAN, "mode", is_macvlan_mode, "bridge, private, vepa or passthru",
         "mode", false},
        {NETWORK_DRIVER_IPVLAN, "parent", agent_interface_name_is_valid, "an interface of the host",
         "master", true},
        {NETWORK_DRIVER_IPVLAN, "mode", is_ipvlan_mode, "l2, l3 or l3s", "mode", false},
        {NETWORK_DRIVER_OVS, "bridge", network_name_is_valid, "an Open vSwitch bridge", "bridge",
         true},
        {NETWORK_DRIVER_OVS, "vlan", is_vlan, "1 to 4094", "vlan", false},
};

static const DriverOption *find_option(NetworkDriver driver, const char *key)
{
        for (size_t i = 0; i < ELEMENTSOF(driver_options); i++)
                if (driver_options[i].driver == driver && strcmp(driver_options[i].key, key) == 0)
                        return &driver_options[i];
        return NULL;
}

static int check_options(const NetworkDefinition *definition, sd_bus_error *error)
{
        NetworkDriver driver = network_definition_driver(definition);

        for (char **at = definition->options; at && *at; at += 2) {
                const DriverOption *option = find_option(driver, at[0]);

                if (!option)
                        return error_set(error, -EINVAL, ERROR_INVALID_ARGUMENT,
                                         "The driver %s has no option \"%s\".",
                                         network_driver_to_string(driver), at[0]);
                if (!option->is_valid(at[1]))
                        return error_set(error, -EINVAL, ERROR_INVALID_ARGUMENT,
                                         "The option \"%s\" must be %s, not \"%s\".", at[0],
                                         option->expected, at[1]);
        }
        for (size_t i = 0; i < ELEMENTSOF(driver_options); i++)
                if (driver_options[i].driver == driver && driver_options[i].required &&
                    !strv_map_get(definition->options, driver_options[i].key))
                        return error_set(error, -EINVAL, ERROR_INVALID_ARGUMENT,
                                         "The driver %s needs the option \"%s\": %s.",
                                         network_driver_to_string(driver), driver_options[i].key,
                                         driver_options[i].expected);
        return 0;
}

/* ------------------------------------------------------------------ subnets */

/* Whether one of the definition's subnets has @address in it. */
static bool is_inside(const NetworkDefinition *definition, const char *address)
{
        for (char **at = definition->subnets; at && *at; at++) {
                Subnet subnet;

                if (subnet_parse(&subnet, *at) >= 0 && subnet_contains(&subnet, address))
                        return true;
        }
        return false;
}

static int check_subnet(const NetworkDefinition *definition, char *const *at, sd_bus_error *error)
{
        Subnet subnet, other;

        if (subnet_parse(&subnet, *at) < 0)
                return -EINVAL;
        if (subnet.prefix > (subnet.family == AF_INET6 ? 126U : 30U))
                return error_set(error, -EINVAL, ERROR_INVALID_ARGUMENT,
                                 "The subnet %s has no room for a gateway and a container.", *at);
        for (char **before = definition->subnets; before != at; before++)
                if (subnet_parse(&other, *before) >= 0 && subnet_overlaps(&subnet, &other))
                        return error_set(error, -EINVAL, ERROR_INVALID_ARGUMENT,
                                         "The subnets %s and %s have addresses in common.", *before,
                                         *at);
        return 0;
}

static int check_range(const NetworkDefinition *definition, const char *text, sd_bus_error *error)
{
        char first[INET6_ADDRSTRLEN], last[INET6_ADDRSTRLEN];
        Subnet range;

        if (subnet_parse(&range, text) < 0)
                return -EINVAL;
        subnet_clear(&range);
        subnet_format_address(&range, first);
        subnet_fill(&range);
        subnet_format_address(&range, last);
        if (is_inside(definition, first) && is_inside(definition, last))
                return 0;
        return error_set(error, -EINVAL, ERROR_INVALID_ARGUMENT,
                         "The range %s is in none of the subnets.", text);
}

int network_definition_check(const NetworkDefinition *definition, const char *name,
                             sd_bus_error *error)
{
        int r = 0;

        if (!network_name_is_valid(name))
                return error_set(error, -EINVAL, ERROR_INVALID_NAME,
                                 "\"%s\" is no name for a network: it takes letters, digits, '_', "
                                 "'.' and '-', the first one a letter or digit, at most %d.",
                                 name, NETWORK_NAME_MAX);
        r = check_options(definition, error);
        for (char **at = definition->subnets; r >= 0 && at && *at; at++)
                r = check_subnet(definition, at, error);
        for (char **at = definition->ranges; r >= 0 && at && *at; at++)
                r = check_range(definition, *at, error);
        for (char **at = definition->gateways; r >= 0 && at && *at; at++)
                if (!is_inside(definition, *at))
                        r = error_set(error, -EINVAL, ERROR_INVALID_ARGUMENT,
                                      "The gateway %s is in none of the subnets.", *at);
        if (r >= 0 && strv_map_get(definition->options, "parent") &&
            network_definition_wants(definition, AF_INET))
                r = error_set(error, -EINVAL, ERROR_INVALID_ARGUMENT,
                              "The driver %s needs the subnet of its parent interface.",
                              definition->driver);
        return r;
}

/* ------------------------------------------------------------------ the list */

static void add_text(json_object *to, const char *key, const char *text)
{
        json_object_object_add(to, key, json_object_new_string(text));
}

static void add_true(json_object *to, const char *key)
{
        json_object_object_add(to, key, json_object_new_boolean(1));
}

static void add_capabilities(json_object *to, const char *first, const char *second)
{
        json_object *object = json_object_new_object();

        add_true(object, first);
        if (second)
                add_true(object, second);
        json_object_object_add(to, "capabilities", object);
}

/* host-local's: one range of one subnet, maybe with its gateway. */
static json_object *make_range(const NetworkDefinition *definition, const Subnet *subnet,
                               const char *part)
{
        json_object *range = json_object_new_object();
        char text[SUBNET_TEXT_MAX];
        Subnet ends, last = *subnet;

        subnet_format(subnet, text);
        add_text(range, "subnet", text);
        for (char **at = definition->gateways; at && *at; at++)
                if (subnet_contains(subnet, *at))
                        add_text(range, "gateway", *at);
        if (!part || subnet_parse(&ends, part) < 0)
                return range;
        /* The subnet's own first and last address are nobody's: where they would be ends, the plugin knows. */
        subnet_clear(&ends);
        if (memcmp(ends.bytes, subnet->bytes, sizeof(ends.bytes)) != 0) {
                subnet_format_address(&ends, text);
                add_text(range, "rangeStart", text);
        }
        subnet_fill(&ends);
        subnet_fill(&last);
        if (memcmp(ends.bytes, last.bytes, sizeof(ends.bytes)) != 0) {
                subnet_format_address(&ends, text);
                add_text(range, "rangeEnd", text);
        }
        return range;
}

/* A set of ranges for each subnet: a container gets one address of each set. */
static json_object *make_set(const NetworkDefinition *definition, const Subnet *subnet)
{
        json_object *set = json_object_new_array();

        for (char **at = definition->ranges; at && *at; at++) {
                Subnet part;

                if (subnet_parse(&part, *at) >= 0 && subnet_overlaps(subnet, &part))
                        json_object_array_add(set, make_range(definition, subnet, *at));
        }
        if (json_object_array_length(set) == 0)
                json_object_array_add(set, make_range(definition, subnet, NULL));
        return set;
}

static json_object *make_ipam(const NetworkDefinition *definition, const char *run_dir)
{
        json_object *ipam = json_object_new_object(), *ranges = json_object_new_array();
        json_object *routes = json_object_new_array();
        char directory[4096];

        snprintf(directory, sizeof(directory), "%s/leases", run_dir);
        for (char **at = definition->subnets; at && *at; at++) {
                Subnet subnet;

                if (subnet_parse(&subnet, *at) < 0)
                        continue;
                subnet_clear(&subnet);
                json_object_array_add(ranges, make_set(definition, &subnet));
        }
        for (int i = 0; i < 2 && !definition->internal; i++) {
                json_object *route = json_object_new_object();

                add_text(route, "dst", i ? "::/0" : "0.0.0.0/0");
                if (has_family(definition, i ? AF_INET6 : AF_INET))
                        json_object_array_add(routes, json_object_get(route));
                json_object_put(route);
        }
        add_text(ipam, "type", "host-local");
        add_text(ipam, "dataDir", directory);
        json_object_object_add(ipam, "ranges", ranges);
        json_object_object_add(ipam, "routes", routes);
        return ipam;
}

/* The members that the driver's options are. */
static void add_options(json_object *plugin, const NetworkDefinition *definition)
{
        for (char **at = definition->options; at && *at; at += 2) {
                const DriverOption *option = find_option(network_definition_driver(definition),
                                                         at[0]);
                uint32_t number;

                if (!option || !option->member)
                        continue;
                if (is_flag(at[1]))
                        json_object_object_add(plugin, option->member,
                                               json_object_new_boolean(at[1][0] == 't'));
                else if (parse_u32(at[1], 0, UINT32_MAX, &number) >= 0)
                        json_object_object_add(plugin, option->member,
                                               json_object_new_int64(number));
                else
                        add_text(plugin, option->member, at[1]);
        }
}

/* hairpinMode: a container reaches its own published port by the host's address. */
static json_object *make_first(const NetworkDefinition *definition, const char *device,
                               const char *run_dir)
{
        NetworkDriver driver = network_definition_driver(definition);
        json_object *plugin = json_object_new_object();

        add_text(plugin, "type", network_driver_to_string(driver));
        if (driver == NETWORK_DRIVER_BRIDGE) {
                add_text(plugin, "bridge", device);
                add_true(plugin, "hairpinMode");
        }
        if (driver == NETWORK_DRIVER_BRIDGE && !definition->internal) {
                add_true(plugin, "isGateway");
                add_true(plugin, "ipMasq");
        }
        if (definition->mtu)
                json_object_object_add(plugin, "mtu", json_object_new_int((int)definition->mtu));
        add_options(plugin, definition);
        add_capabilities(plugin, "ips", driver == NETWORK_DRIVER_IPVLAN ? NULL : "mac");
        json_object_object_add(plugin, "ipam", make_ipam(definition, run_dir));
        return plugin;
}

static json_object *make_portmap(void)
{
        json_object *plugin = json_object_new_object();

        add_text(plugin, "type", "portmap");
        add_capabilities(plugin, "portMappings", NULL);
        return plugin;
}

static json_object *make_firewall(const NetworkDefinition *definition)
{
        const char *isolate = strv_map_get(definition->options, "isolate");
        json_object *plugin = json_object_new_object();

        add_text(plugin, "type", "firewall");
        if (isolate && strcmp(isolate, "true") == 0)
                add_text(plugin, "ingressPolicy", "same-bridge");
        return plugin;
}

json_object *network_definition_list(const NetworkDefinition *definition, const char *name,
                                     const char *device, const char *run_dir)
{
        json_object *list = json_object_new_object(), *plugins = json_object_new_array();
        json_object *mark = json_object_new_object();
        bool is_bridge = network_definition_driver(definition) == NETWORK_DRIVER_BRIDGE;

        json_object_array_add(plugins, make_first(definition, device, run_dir));
        if (is_bridge && !definition->internal)
                json_object_array_add(plugins, make_portmap());
        if (is_bridge)
                json_object_array_add(plugins, make_firewall(definition));
        if (is_bridge && !strv_map_get(definition->options, "bridge"))
                add_true(mark, "OwnsBridge");
        add_text(list, "cniVersion", CNI_VERSION);
        add_text(list, "name", name);
        json_object_object_add(list, NETWORK_DEFINITION_MARK, mark);
        json_object_object_add(list, "plugins", plugins);
        return list;
}
