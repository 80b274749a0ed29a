/* uvmctl network create and rm: networks that uvmd describes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "client/late.h"
#include "uvmctl/listing.h"
#include "uvmctl/verbs.h"

#define NETWORK_TEXTS_MAX 16 /* of one option */

typedef struct NetworkList {
        const char *key;
        char *texts[NETWORK_TEXTS_MAX];
        size_t n;
} NetworkList;

typedef struct NetworkMake {
        const char *driver;
        NetworkList subnets, gateways, ranges, options;
        uint64_t mtu;
        int internal, ipv6;
} NetworkMake;

/* ------------------------------------------------------------------ the command line */

static int take_text(NetworkList *list)
{
        if (list->n == NETWORK_TEXTS_MAX)
                return verb_usage_error(&verb_network_create, "that is too many %s", list->key);
        list->texts[list->n++] = optarg;
        return 0;
}

static int take_mtu(NetworkMake *make, const char *text)
{
        return parse_u64(text, 1, UINT16_MAX, &make->mtu) >= 0
                       ? 0
                       : verb_usage_error(&verb_network_create, "\"%s\" is no MTU", text);
}

static int take(NetworkMake *make, int option)
{
        switch (option) {
        case 'd':
                make->driver = optarg;
                return 0;
        case 's':
                return take_text(&make->subnets);
        case 'g':
                return take_text(&make->gateways);
        case 'r':
                return take_text(&make->ranges);
        case 'M':
                return take_mtu(make, optarg);
        case 'o':
                /* As podman has it. */
                if (strncmp(optarg, "mtu=", 4) == 0)
                        return take_mtu(make, optarg + 4);
                if (!strchr(optarg, '='))
                        return verb_usage_error(&verb_network_create,
                                                "\"%s\" is not of the form OPTION=VALUE", optarg);
                return take_text(&make->options);
        case 'i':
                make->internal = 1;
                return 0;
        case '6':
                make->ipv6 = 1;
                return 0;
        default:
                return verb_usage_error(&verb_network_create, "these options are not understood");
        }
}

static int parse(NetworkMake *make, int argc, char **argv)
{
        static const struct option options[] = {
                {"driver", required_argument, NULL, 'd'},
                {"subnet", required_argument, NULL, 's'},
                {"gateway", required_argument, NULL, 'g'},
                {"ip-range", required_argument, NULL, 'r'},
                {"ipv6", no_argument, NULL, '6'},
                {"internal", no_argument, NULL, 'i'},
                {"mtu", required_argument, NULL, 'M'},
                {"opt", required_argument, NULL, 'o'},
                {0},
        };
        int option;

        while ((option = getopt_long(argc, argv, "d:o:", options, NULL)) >= 0) {
                int r = take(make, option);

                if (r)
                        return r;
        }
        return optind + 1 == argc ? 0 : verb_usage_error(&verb_network_create, "which name?");
}

/* ------------------------------------------------------------------ the call */

static int append_list(sd_bus_message *message, const NetworkList *list)
{
        int r;

        if (list->n == 0)
                return 0;
        r = sd_bus_message_open_container(message, 'e', "sv");
        if (r >= 0)
                r = sd_bus_message_append(message, "s", list->key);
        if (r >= 0)
                r = sd_bus_message_open_container(message, 'v', "as");
        if (r >= 0)
                r = sd_bus_message_open_container(message, 'a', "s");
        for (size_t i = 0; r >= 0 && i < list->n; i++)
                r = sd_bus_message_append(message, "s", list->texts[i]);
        for (int depth = 0; r >= 0 && depth < 3; depth++)
                r = sd_bus_message_close_container(message);
        return r;
}

static int append_options(sd_bus_message *message, NetworkList *list)
{
        int r;

        if (list->n == 0)
                return 0;
        r = sd_bus_message_open_container(message, 'e', "sv");
        if (r >= 0)
                r = sd_bus_message_append(message, "s", list->key);
        if (r >= 0)
                r = sd_bus_message_open_container(message, 'v', "a{ss}");
        if (r >= 0)
                r = sd_bus_message_open_container(message, 'a', "{ss}");
        for (size_t i = 0; r >= 0 && i < list->n; i++) {
                char *value = strchr(list->texts[i], '=');

                *value++ = 0;
                r = sd_bus_message_append(message, "{ss}", list->texts[i], value);
        }
        for (int depth = 0; r >= 0 && depth < 3; depth++)
                r = sd_bus_message_close_container(message);
        return r;
}

static int append(sd_bus_message *message, const char *name, NetworkMake *make)
{
        int r = sd_bus_message_append(message, "s", name);

        if (r >= 0)
                r = sd_bus_message_open_container(message, 'a', "{sv}");
        if (r >= 0 && make->driver)
                r = sd_bus_message_append(message, "{sv}", "Driver", "s", make->driver);
        if (r >= 0)
                r = append_list(message, &make->subnets);
        if (r >= 0)
                r = append_list(message, &make->gateways);
        if (r >= 0)
                r = append_list(message, &make->ranges);
        if (r >= 0)
                r = append_options(message, &make->options);
        if (r >= 0 && make->mtu)
                r = sd_bus_message_append(message, "{sv}", "MTU", "u", (uint32_t)make->mtu);
        if (r >= 0 && make->internal)
                r = sd_bus_message_append(message, "{sv}", "Internal", "b", 1);
        if (r >= 0 && make->ipv6)
                r = sd_bus_message_append(message, "{sv}", "IPv6", "b", 1);
        return r < 0 ? r : sd_bus_message_close_container(message);
}

static int create(int argc, char **argv)
{
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL;
        NetworkMake make = {
                .subnets.key = "Subnets",
                .gateways.key = "Gateways",
                .ranges.key = "Ranges",
                .options.key = "Options",
        };
        int r = parse(&make, argc, argv);

        if (!r)
                r = client_bus_open(&bus);
        if (!r)
                r = client_message_new(bus, CLIENT_MANAGER_PATH, CLIENT_MANAGER, "CreateNetwork",
                                       &message);
        if (r)
                return r;
        if (append(message, argv[optind], &make) < 0)
                return client_fail("the call can't be made");
        r = client_send_late(bus, message, NULL, NULL);
        if (!r)
                puts(argv[optind]);
        return r;
}

static int rm(int argc, char **argv)
{
        return listing_remove(&verb_network_rm, argc, argv, "RemoveNetwork", "which network?");
}

const Verb verb_network_create = {
        .name = "network create",
        .arguments = "[OPTION…] NAME",
        .summary = "describe a network of this host",
        .help = "  -d, --driver bridge|macvlan|ipvlan|ovs\n"
                "                        what it is made of (bridge)\n"
                "      --subnet SUBNET   its addresses, one of IPv4, one of IPv6 (a free one)\n"
                "      --gateway ADDRESS the host's own address in a subnet (its first one)\n"
                "      --ip-range SUBNET what part of a subnet addresses are taken from\n"
                "      --ipv6            an IPv6 subnet as well\n"
                "      --internal        no way out, nor to this host\n"
                "      --mtu N           how large packets may be\n"
                "  -o, --opt OPTION=VALUE\n"
                "                        of bridge: vlan, isolate, macspoofchk, bridge; of "
                "macvlan\n"
                "                        and ipvlan: parent, mode; of ovs: bridge, vlan\n",
        .run = create,
};

const Verb verb_network_rm = {
        .name = "network rm",
        .arguments = "[OPTION…] NETWORK…",
        .summary = "remove networks that network create has made",
        .help = "  -f, --force           also where a container that does not run is to have it\n",
        .run = rm,
};
