/* The options of a network; see network_config.h. */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "base/cleanup.h"
#include "proto/agent_network.h"
#include "uvmd/errors.h"
#include "uvmd/net/network_config.h"
#include "uvmd/net/port_spec.h"

#define NETWORK(key_, type_, member_, ...)                                                  \
        {                                                                                   \
                .key = (key_), .type = (type_), .offset = offsetof(NetworkConfig, member_), \
                __VA_ARGS__                                                                 \
        }

const Option network_options[] = {
        NETWORK("Network", OPTION_STRING, network, .max = NETWORK_TEXT_MAX,
                .is_valid = network_spec_is_valid, .expected = NETWORK_SPEC_EXPECTED),
        NETWORK("Interface", OPTION_STRING, interface, .max = AGENT_NAME_MAX,
                .is_valid = agent_interface_name_is_valid,
                .expected = "the name of an interface, at most 15 bytes"),
        NETWORK("MACAddress", OPTION_STRING, mac, .max = 17, .is_valid = network_mac_is_valid,
                .expected = NETWORK_MAC_EXPECTED),
        NETWORK("Addresses", OPTION_STRINGS, addresses, .max = NETWORK_ADDRESSES_MAX,
                .is_valid = network_any_address_is_valid, .expected = NETWORK_ADDRESSES_EXPECTED),
        NETWORK("Ports", OPTION_STRINGS, ports, .max = NETWORK_PORTS_MAX,
                .is_valid = port_spec_is_valid, .expected = NETWORK_PORTS_EXPECTED),
        NETWORK("Aliases", OPTION_STRINGS, aliases, .max = NETWORK_ALIASES_MAX,
                .is_valid = network_alias_is_valid, .expected = NETWORK_ALIASES_EXPECTED),
        NETWORK("IngressRate", OPTION_U64, ingress_rate, .max = NETWORK_RATE_MAX),
        NETWORK("IngressBurst", OPTION_U64, ingress_burst, .max = NETWORK_BURST_MAX),
        NETWORK("EgressRate", OPTION_U64, egress_rate, .max = NETWORK_RATE_MAX),
        NETWORK("EgressBurst", OPTION_U64, egress_burst, .max = NETWORK_BURST_MAX),
        NETWORK("PluginArguments", OPTION_STRINGS, arguments, .max = NETWORK_ARGUMENTS_MAX,
                .is_valid = network_argument_is_valid, .expected = NETWORK_ARGUMENTS_EXPECTED),
};
const size_t network_options_n = ELEMENTSOF(network_options);

void network_config_done(NetworkConfig *config)
{
        options_done(network_options, network_options_n, config);
}

static int count_ports(char *const *ports, sd_bus_error *error)
{
        unsigned n = 0;

        for (; ports && *ports; ports++) {
                PortSpec spec;

                if (port_spec_parse(&spec, *ports) < 0)
                        return -EINVAL;
                n += spec.n;
        }
        if (n > NETWORK_PORTS_TOTAL)
                return error_set(error, -EINVAL, ERROR_INVALID_ARGUMENT,
                                 "Ports: these are %u ports; a network publishes at most %d.", n,
                                 NETWORK_PORTS_TOTAL);
        return 0;
}

static int check_ports(const NetworkConfig *config, sd_bus_error *error)
{
        for (char **a = config->ports; a && *a; a++)
                for (char **b = config->ports; b != a; b++) {
                        PortSpec first, second;

                        if (port_spec_parse(&first, *b) < 0 || port_spec_parse(&second, *a) < 0)
                                return -EINVAL;
                        if (port_spec_collides(&first, &second))
                                return error_set(error, -EINVAL, ERROR_INVALID_ARGUMENT,
                                                 "Ports: \"%s\" and \"%s\" want the same port of "
                                                 "the host.",
                                                 *b, *a);
                }
        return count_ports(config->ports, error);
}

/* Plugins get addresses of the network's own ranges; on a bare port nothing else says how long the
 * prefix is. */
static int check_addresses(const NetworkConfig *config, NetworkSpecKind kind, sd_bus_error *error)
{
        for (char **at = config->addresses; at && *at; at++)
                if (kind == NETWORK_SPEC_OVS && !network_cidr_is_valid(*at))
                        return error_set(error, -EINVAL, ERROR_INVALID_ARGUMENT,
                                         "Addresses: \"%s\" needs a prefix length, like %s/24.",
                                         *at, *at);
        return 0;
}

int network_config_check(const NetworkConfig *config, sd_bus_error *error)
{
        NetworkSpec spec;
        int r;

        if (!config->network)
                return error_set(error, -EINVAL, ERROR_INVALID_ARGUMENT, "Network is required.");
        if (network_spec_parse(&spec, config->network) < 0)
                return -EINVAL;
        if (config->ports && config->ports[0] && spec.kind != NETWORK_SPEC_NAMED &&
            spec.kind != NETWORK_SPEC_CNI)
                return error_set(error, -EINVAL, ERROR_INVALID_ARGUMENT,
                                 "Ports are published on a network made by CNI plugins, such as "
                                 "\"bridge\"; this sandbox has \"%s\".",
                                 config->network);
        if ((config->mac || (config->addresses && config->addresses[0])) &&
            !network_spec_kind_is_attached(spec.kind))
                return error_set(error, -EINVAL, ERROR_INVALID_ARGUMENT,
                                 "MACAddress and Addresses are for interfaces that uvmd makes; "
                                 "\"%s\" has none.",
                                 config->network);
        r = check_ports(config, error);
        return r < 0 ? r : check_addresses(config, spec.kind, error);
}
