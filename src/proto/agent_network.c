/* The agent protocol's messages about the network; see agent.h. Pure. */
#include <string.h>

#include "base/cleanup.h"

#include "proto/agent_codec.h"

#define IPV4_SIZE 4
#define IPV6_SIZE 16
#define MTU_MAX   65535

#define TYPE_MIN       1 /* RTN_UNICAST */
#define TYPE_MAX       9 /* RTN_THROW */
#define ACTION_MAX     8 /* FR_ACT_PROHIBIT */
#define PORT_MAX       65535
#define METRIC_CC_ALGO 16

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
        for (uint32_t i = 0; i < route->n_hops; i++)
                if (route->hops[i].gateway.size == IPV4_SIZE &&
                    route->destination.size == IPV6_SIZE)
                        return false;
        return route->table != 0 && route->type >= TYPE_MIN &&
               (route->source.size == 0 || route->source.size == route->destination.size);
}

static void codec_metric(Codec *codec, void *item)
{
        AgentMetric *metric = item;

        codec_u32_max(codec, &metric->type, AGENT_METRIC_MAX);
        codec_u32(codec, &metric->value);
        if (codec->mode != CODEC_FREE && (metric->type == 0 || metric->type == METRIC_CC_ALGO))
                codec_fail(codec);
}

/* @may_be: "lo", or "" for none, is one too. */
static void codec_device(Codec *codec, char **name, const char *may_be)
{
        codec_string(codec, name, AGENT_NAME_MAX);
        if (codec->mode == CODEC_FREE || (*name && strcmp(*name, "lo") == 0))
                return;
        if (!(may_be && (!*name || strcmp(*name, may_be) == 0)) &&
            !(*name && agent_interface_name_is_valid(*name)))
                codec_fail(codec);
}

static void codec_hop(Codec *codec, void *item)
{
        AgentHop *hop = item;

        codec_device(codec, &hop->device, NULL);
        codec_address(codec, &hop->gateway, true);
        codec_u32_max(codec, &hop->weight, UINT8_MAX);
        codec_bool(codec, &hop->onlink);
}

static void codec_route(Codec *codec, void *item)
{
        AgentRoute *route = item;

        codec_address(codec, &route->destination, false);
        codec_address(codec, &route->gateway, true);
        codec_address(codec, &route->source, true);
        codec_u32(codec, &route->table);
        codec_u32(codec, &route->metric);
        codec_u32_max(codec, &route->type, TYPE_MAX);
        codec_u32_max(codec, &route->tos, UINT8_MAX);
        codec_u32_max(codec, &route->scope, UINT8_MAX);
        codec_bool(codec, &route->onlink);
        codec_array(codec, (void **)&route->metrics, &route->n_metrics, AGENT_METRIC_MAX,
                    sizeof(*route->metrics), codec_metric);
        codec_array(codec, (void **)&route->hops, &route->n_hops, AGENT_HOPS_MAX,
                    sizeof(*route->hops), codec_hop);
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

bool agent_setting_is_valid(const char *setting)
{
        const char *value = strchr(setting, '=');

        return value && strncmp(setting, "net/", strlen("net/")) == 0 &&
               strlen(setting) <= AGENT_SETTING_MAX && !strstr(setting, "..") &&
               !strchr(setting, '\n');
}

static void codec_settings(Codec *codec, CodecStrings *settings)
{
        codec_strings(codec, settings, AGENT_LIST_MAX, AGENT_SETTING_MAX);
        if (codec->mode == CODEC_FREE)
                return;
        for (uint32_t i = 0; i < settings->n; i++)
                if (!settings->items[i] || !agent_setting_is_valid(settings->items[i]))
                        codec_fail(codec);
}

static void codec_span(Codec *codec, AgentSpan *span, uint32_t max)
{
        codec_u32_max(codec, &span->first, max);
        codec_u32_max(codec, &span->last, max);
}

static bool rule_is_valid(const AgentRule *rule)
{
        uint32_t size = rule->flags & AGENT_RULE_IPV6 ? IPV6_SIZE : IPV4_SIZE;

        return rule->action > 0 && (rule->source.size == 0 || rule->source.size == size) &&
               (rule->destination.size == 0 || rule->destination.size == size);
}

static void codec_rule(Codec *codec, void *item)
{
        AgentRule *rule = item;

        codec_flags(codec, &rule->flags, AGENT_RULE_FLAGS);
        codec_u32(codec, &rule->priority);
        codec_u32_max(codec, &rule->action, ACTION_MAX);
        codec_u32(codec, &rule->table);
        codec_address(codec, &rule->source, true);
        codec_address(codec, &rule->destination, true);
        codec_device(codec, &rule->input, "");
        codec_device(codec, &rule->output, "");
        codec_u32_max(codec, &rule->tos, UINT8_MAX);
        codec_u32(codec, &rule->mark);
        codec_u32(codec, &rule->mask);
        codec_u32(codec, &rule->realms);
        codec_u32(codec, &rule->target);
        codec_u32(codec, &rule->suppress_prefix);
        codec_u32(codec, &rule->suppress_group);
        codec_u32_max(codec, &rule->protocol, UINT8_MAX);
        codec_span(codec, &rule->uids, UINT32_MAX);
        codec_span(codec, &rule->source_ports, PORT_MAX);
        codec_span(codec, &rule->ports, PORT_MAX);
        if (codec->mode != CODEC_FREE && !rule_is_valid(rule))
                codec_fail(codec);
}

static void codec_routing(Codec *codec, AgentRouting *routing)
{
        codec_settings(codec, &routing->settings);
        codec_array(codec, (void **)&routing->loopback, &routing->n_loopback, AGENT_LIST_MAX,
                    sizeof(*routing->loopback), codec_interface_address);
        codec_array(codec, (void **)&routing->routes, &routing->n_routes, AGENT_LIST_MAX,
                    sizeof(*routing->routes), codec_route);
        codec_array(codec, (void **)&routing->rules, &routing->n_rules, AGENT_LIST_MAX,
                    sizeof(*routing->rules), codec_rule);
}

static void codec_network(Codec *codec, AgentNetwork *network)
{
        codec_mac(codec, network->mac);
        codec_string(codec, &network->name, AGENT_NAME_MAX);
        if (codec->mode != CODEC_FREE &&
            (!network->name || !agent_interface_name_is_valid(network->name)))
                codec_fail(codec);
        codec_u32_max(codec, &network->mtu, MTU_MAX);
        codec_bool(codec, &network->noarp);
        codec_u32(codec, &network->queue_length);
        codec_string(codec, &network->alias, AGENT_ALIAS_MAX);
        codec_settings(codec, &network->settings);
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
AGENT_MESSAGE_DEFINE(routing, AgentRouting)
AGENT_MESSAGE_DEFINE(resolver, AgentResolver)
