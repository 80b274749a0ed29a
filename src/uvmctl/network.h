/*
 * The options of run and create that are about networks, and of network attach: what they are called,
 * how they are parsed, and what uvmd is sent of them.
 */
#pragma once

#include <getopt.h>
#include <stdio.h>

#include "client/bus.h"
#include "client/json.h"
#include "client/network_arg.h"
#include "client/throttle_arg.h"
#include "uvmctl/verbs.h"

/* Where the network is said that is meant when --network is not given; beside the environment. */
#define NETWORK_DEFAULTS_FILE "/etc/default/uvm"

/* … and the one that -p, --ip and their like imply where nothing says which. */
#define NETWORK_IMPLIED "bridge"

/* Strings are borrowed, mostly from the command line. */
typedef struct NetworkTexts {
        const char **texts; /* owned */
        size_t n;
} NetworkTexts;

typedef struct NetworkOptions {
        NetworkArg *networks; /* owned, in the order given; the first is the sandbox's own */
        size_t n_networks;
        NetworkTexts ports, dns, dns_search, dns_options, hosts, ips, aliases;
        ThrottleArg *throttles; /* owned */
        size_t n_throttles;
        const char *mac;
        bool publish_all;
        json_object *images; /* whose exposed ports are published; owned */
} NetworkOptions;

enum {
        NETWORK_OPT_FIRST = 1024,
        NETWORK_OPT_NETWORK = NETWORK_OPT_FIRST,
        NETWORK_OPT_DNS,
        NETWORK_OPT_DNS_SEARCH,
        NETWORK_OPT_DNS_OPTION,
        NETWORK_OPT_ADD_HOST,
        NETWORK_OPT_MAC,
        NETWORK_OPT_IP,
        NETWORK_OPT_ALIAS,
        NETWORK_OPT_THROTTLE,
        NETWORK_OPT_LAST = NETWORK_OPT_THROTTLE,
};

#define NETWORK_OPTIONS                                                              \
        {"network", required_argument, NULL, NETWORK_OPT_NETWORK},                   \
                {"net", required_argument, NULL, NETWORK_OPT_NETWORK},               \
                {"publish", required_argument, NULL, 'p'},                           \
                {"publish-all", no_argument, NULL, 'P'},                             \
                {"dns", required_argument, NULL, NETWORK_OPT_DNS},                   \
                {"dns-search", required_argument, NULL, NETWORK_OPT_DNS_SEARCH},     \
                {"dns-option", required_argument, NULL, NETWORK_OPT_DNS_OPTION},     \
                {"add-host", required_argument, NULL, NETWORK_OPT_ADD_HOST},         \
                {"network-alias", required_argument, NULL, NETWORK_OPT_ALIAS},       \
                {"network-throttle", required_argument, NULL, NETWORK_OPT_THROTTLE}, \
                {"mac-address", required_argument, NULL, NETWORK_OPT_MAC},           \
                {"ip", required_argument, NULL, NETWORK_OPT_IP},                     \
        {                                                                            \
                "ip6", required_argument, NULL, NETWORK_OPT_IP                       \
        }

#define NETWORK_HELP                                                                               \
        "      --network NETWORK[:OPTION=VALUE,…]\n"                                             \
        "                            none, private, bridge, NAME, cni:NAME, host:INTERFACE,\n"     \
        "                            ovs:BRIDGE or ns:PATH; more than once for more interfaces\n"  \
        "  -p, --publish [[ADDRESS:][HOST]:]GUEST[/tcp|udp]\n"                                     \
        "                            have a port of the host lead to one of the container; also\n" \
        "                            ranges; without HOST any that is free\n"                      \
        "  -P, --publish-all         all that the image exposes, to ports that are free\n"         \
        "      --ip ADDRESS, --ip6 ADDRESS, --mac-address MAC\n"                                   \
        "                            of the first network's interface\n"                           \
        "      --network-alias NAME      one more name for it among the others in that network\n"  \
        "      --network-throttle INTERFACE:bps=SIZE,pps=N[,bps-burst=SIZE][,pps-burst=N]\n"       \
        "                            how fast the interface may be, eth0 or another; tx- or rx-\n" \
        "                            in front limits what is sent, or received, only\n"            \
        "      --dns ADDRESS, --dns-search DOMAIN, --dns-option OPTION\n"                          \
        "                            as in resolv.conf(5), instead of the network's\n"             \
        "      --add-host NAME:ADDRESS\n"

/* Takes the option that getopt_long() has found, one of NETWORK_OPTIONS. A status. */
int network_take_option(NetworkOptions *options, const Verb *verb, int option);

/* Once all are parsed: the default network, and what doesn't go together. A status. */
int network_complete(NetworkOptions *options, const Verb *verb);
void network_options_done(NetworkOptions *options);

/* One more to be published; borrowed. */
void network_add_port(NetworkOptions *options, const char *port);

/* Whether any was given. */
bool network_is_given(const NetworkOptions *options);

/* Appends its entries to the open a{sv} of CreateSandbox: r as of sd-bus; -EINVAL has been reported. */
int network_append_sandbox(const NetworkOptions *options, sd_bus_message *message);

/* AttachNetwork for each but the first. A status. */
int network_attach_others(const NetworkOptions *options, sd_bus *bus, const char *sandbox);

/* SetNetworkThrottle for each of them. A status. */
int network_throttle_all(const NetworkOptions *options, sd_bus *bus, const char *sandbox);

/* … for what is said of one. A status. */
int network_throttle_one(sd_bus *bus, const char *sandbox, const char *interface,
                         const ThrottleArg *arg);

/* AttachNetwork; prints the interface's name if @print. A status. */
int network_attach_one(sd_bus *bus, const char *sandbox, const NetworkArg *arg,
                       const NetworkTexts *ports, const ThrottleArg *throttle, bool print);
