/* The agent protocol's messages about the network; see agent.h. Pure. */
#include <string.h>

#include "base/cleanup.h"

#include "proto/agent_codec.h"

#define IPV4_SIZE 4
#define IPV6_SIZE 16
#define MTU_MAX   65535
#define SCOPE_MAX 255

/* An address; with @may_be_none also none at all. */
static void codec_address(Codec *codec, AgentAddress *address, bool may_be_none)
{
        codec_blob(codec, &address->bytes, &address->size, IPV6_SIZE);
        codec_u32(codec, &address->prefix);
        if (codec->mode == CODEC_FREE)
                return;
        if (address->size != IPV4_SIZE && address->size != IPV6_SIZE &&
            !(may_be_none && address->size == 0))
                codec_fail(codec);
        if (address->prefix > 8 * address->size)
                codec_fail(codec);
}

static void codec_interface_address(Codec *codec, void *item)
{
        codec_address(codec, item, false);
}

/* Gateway and source are of the destination's family, but an IPv4 network may be behind an IPv6
 * gateway (RFC 5549). */
static bool route_is_valid(const AgentRoute *route)
{
        if (route->gateway.size == IPV4_SIZE && route->destination.size == IPV6_SIZE)
                return false;
        return route->source.size == 0 || route->source.size == route->destination.size;
}

static void codec_route(Codec *codec, void *item)
{
        AgentRoute *route = item;

        codec_address(codec, &route->destination, false);
        codec_address(codec, &route->gateway, true);
        codec_address(codec, &route->source, true);
        codec_u32(codec, &route->metric);
        codec_u32_max(codec, &route->mtu, MTU_MAX);
        codec_u32_max(codec, &route->scope, SCOPE_MAX);
        codec_bool(codec, &route->onlink);
        if (codec->mode != CODEC_FREE && !route_is_valid(route))
                codec_fail(codec);
}

static void codec_mac(Codec *codec, uint8_t mac[AGENT_MAC_SIZE])
{
        for (unsigned i = 0; i < AGENT_MAC_SIZE; i++)
                codec_u8(codec, &mac[i]);
}

static void codec_neighbour(Codec *codec, void *item)
{
        AgentNeighbour *neighbour = item;

        codec_address(codec, &neighbour->address, false);
        codec_mac(codec, neighbour->mac);
}

bool agent_interface_name_is_valid(const char *name)
{
        size_t size = strlen(name);

        return size > 0 && size <= AGENT_NAME_MAX && strcmp(name, ".") != 0 &&
               strcmp(name, "..") != 0 && strcmp(name, "lo") != 0 &&
               strcspn(name, "/:% \t\n\v\f\r") == size;
}

static void codec_network(Codec *codec, AgentNetwork *network)
{
        codec_mac(codec, network->mac);
        codec_string(codec, &network->name, AGENT_NAME_MAX);
        if (codec->mode != CODEC_FREE &&
            (!network->name || !agent_interface_name_is_valid(network->name)))
                codec_fail(codec);
        codec_u32_max(codec, &network->mtu, MTU_MAX);
        codec_array(codec, (void **)&network->addresses, &network->n_addresses, AGENT_LIST_MAX,
                    sizeof(*network->addresses), codec_interface_address);
        codec_array(codec, (void **)&network->routes, &network->n_routes, AGENT_LIST_MAX,
                    sizeof(*network->routes), codec_route);
        codec_array(codec, (void **)&network->neighbours, &network->n_neighbours, AGENT_LIST_MAX,
                    sizeof(*network->neighbours), codec_neighbour);
}

static void codec_resolver(Codec *codec, AgentResolver *resolver)
{
        codec_strings(codec, &resolver->nameservers, AGENT_LIST_MAX, AGENT_PATH_MAX);
        codec_strings(codec, &resolver->search, AGENT_LIST_MAX, AGENT_PATH_MAX);
        codec_strings(codec, &resolver->options, AGENT_LIST_MAX, AGENT_PATH_MAX);
        codec_strings(codec, &resolver->hosts, AGENT_LIST_MAX, AGENT_PATH_MAX);
}

AGENT_MESSAGE_DEFINE(network, AgentNetwork)
AGENT_MESSAGE_DEFINE(resolver, AgentResolver)
