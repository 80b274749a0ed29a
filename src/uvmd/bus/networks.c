/* AttachNetwork, DetachNetwork, SetNetworkThrottle and Networks of org.uvm1.Sandbox; see networks.h. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>

#include "uvmd/bus/networks.h"
#include "uvmd/errors.h"
#include "uvmd/net/network.h"
#include "uvmd/net/network_guest.h"
#include "uvmd/sandbox.h"
#include "uvmd/strv.h"
#include "uvmd/throttle.h"

/* ------------------------------------------------------------------ who may */

static int check_network(const BusCall *call, const char *network, sd_bus_error *error)
{
        NetworkSpec spec;

        if (call->uid == 0 || !network || network_spec_parse(&spec, network) < 0 ||
            spec.kind != NETWORK_SPEC_HOST)
                return 0;
        return error_set(error, -EACCES, SD_BUS_ERROR_ACCESS_DENIED,
                         "Only root can give a guest an interface of the host.");
}

int bus_check_networks(const BusCall *call, const SandboxConfig *config, sd_bus_error *error)
{
        if (config->network_namespace >= 0 && call->uid != 0)
                return error_set(error, -EACCES, SD_BUS_ERROR_ACCESS_DENIED,
                                 "Only root can give a guest a network namespace that is there "
                                 "already; \"private\" makes a new one.");
        return check_network(call, config->network.network, error);
}

/* ------------------------------------------------------------------ methods */

int bus_attach_network(BusCall *call, void *sandbox, sd_bus_error *error)
{
        _cleanup_(network_config_done) NetworkConfig config = {};
        int r = options_read(call->message, network_options, network_options_n, &config, error);

        if (r >= 0)
                r = network_config_check(&config, error);
        if (r >= 0)
                r = check_network(call, config.network, error);
        return r < 0 ? r : network_attach(sandbox, &config, call->message, error);
}

int bus_detach_network(BusCall *call, void *sandbox, sd_bus_error *error)
{
        const char *name;
        int r = sd_bus_message_read(call->message, "s", &name);

        return r < 0 ? r : network_detach(sandbox, name, call->message, error);
}

int bus_set_network_throttle(BusCall *call, void *sandbox, sd_bus_error *error)
{
        ThrottleLimits limits = {};
        const char *name, *direction;
        int r = sd_bus_message_read(call->message, "ss", &name, &direction);

        if (r >= 0)
                r = options_read(call->message, throttle_options, throttle_options_n, &limits,
                                 error);
        return r < 0 ? r
                     : network_set_throttle(sandbox, name, direction, &limits, call->message,
                                            error);
}

/* ------------------------------------------------------------------ properties */

int bus_get_network_namespace(sd_bus *bus, const char *path, const char *interface,
                              const char *property, sd_bus_message *reply, void *sandbox,
                              sd_bus_error *error)
{
        _cleanup_(freep) char *place = network_path(sandbox);

        if (!place)
                return -ENOMEM;
        return sd_bus_message_append(reply, "s", network_has_namespace(sandbox) ? place : "");
}

static int format_address(const AgentAddress *address, char *ret, size_t size)
{
        char text[INET6_ADDRSTRLEN];

        if (!inet_ntop(address->size == 4 ? AF_INET : AF_INET6, address->bytes, text, sizeof(text)))
                return -EINVAL;
        snprintf(ret, size, "%s/%u", text, address->prefix);
        return 0;
}

static int append_addresses(sd_bus_message *reply, const AgentNetwork *network)
{
        int r = sd_bus_message_open_container(reply, 'e', "sv");

        if (r >= 0)
                r = sd_bus_message_append(reply, "s", "Addresses");
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'v', "as");
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "s");
        for (uint32_t i = 0; r >= 0 && i < network->n_addresses; i++) {
                char text[INET6_ADDRSTRLEN + 8];

                r = format_address(&network->addresses[i], text, sizeof(text));
                if (r >= 0)
                        r = sd_bus_message_append(reply, "s", text);
        }
        for (unsigned depth = 0; r >= 0 && depth < 3; depth++)
                r = sd_bus_message_close_container(reply);
        return r;
}

static int append_throttle(sd_bus_message *reply, const char *key, const ThrottleLimits *limits)
{
        int r = sd_bus_message_open_container(reply, 'e', "sv");

        if (r >= 0)
                r = sd_bus_message_append(reply, "s", key);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'v', "a{sv}");
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "{sv}");
        if (r >= 0)
                r = options_append(reply, throttle_options, throttle_options_n, limits);
        for (unsigned depth = 0; r >= 0 && depth < 3; depth++)
                r = sd_bus_message_close_container(reply);
        return r;
}

static int append_limits(sd_bus_message *reply, const Sandbox *sandbox, const char *name)
{
        const NetworkThrottle *throttle = network_find_throttle(sandbox, name);
        int r;

        if (!throttle)
                return 0;
        r = append_throttle(reply, "Transmit", &throttle->transmit);
        return r < 0 ? r : append_throttle(reply, "Receive", &throttle->receive);
}

static int append_strings(sd_bus_message *reply, const char *key, char **strings)
{
        int r;

        if (!strings)
                return 0;
        r = sd_bus_message_open_container(reply, 'e', "sv");
        if (r >= 0)
                r = sd_bus_message_append(reply, "s", key);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'v', "as");
        if (r >= 0)
                r = sd_bus_message_append_strv(reply, strings);
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int append_attachment(sd_bus_message *reply, const NetworkAttachment *attachment)
{
        const NetworkConfig *config = &attachment->config;
        int r = sd_bus_message_append(reply, "{sv}", "Network", "s", config->network);

        if (r >= 0)
                r = append_strings(reply, "Ports", config->ports);
        return r < 0 ? r : append_strings(reply, "Aliases", config->aliases);
}

static int append_nic(sd_bus_message *reply, const Nic *nic)
{
        const NetworkAttachment *attachment = network_find_attachment(nic->sandbox,
                                                                      nic->network.name);
        char mac[NETWORK_MAC_SIZE];
        int r = sd_bus_message_open_container(reply, 'a', "{sv}");

        network_format_mac(nic->network.mac, mac);
        if (r >= 0 && attachment)
                r = append_attachment(reply, attachment);
        if (r >= 0)
                r = sd_bus_message_append(reply, "{sv}{sv}{sv}{sv}{sv}", "Interface", "s",
                                          nic->network.name, "Kind", "s", nic->kind, "MACAddress",
                                          "s", mac, "MTU", "u", nic->network.mtu, "State", "s",
                                          nic_state_to_string(nic->state));
        if (r >= 0 && nic->refusal)
                r = sd_bus_message_append(reply, "{sv}", "Reason", "s", nic->refusal);
        if (r >= 0)
                r = append_addresses(reply, &nic->network);
        if (r >= 0)
                r = append_limits(reply, nic->sandbox, nic->network.name);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

/* One that is there and in no guest. */
static int append_left(sd_bus_message *reply, const NetLeft *left)
{
        int r = sd_bus_message_open_container(reply, 'a', "{sv}");

        if (r >= 0)
                r = sd_bus_message_append(reply, "{sv}{sv}{sv}{sv}", "Interface", "s", left->name,
                                          "Kind", "s", left->kind, "State", "s", "left-out",
                                          "Reason", "s", net_reason_to_text(left->reason));
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

/* One that is in no guest now, or not yet. */
static int append_absent(sd_bus_message *reply, const NetworkAttachment *attachment)
{
        int r = sd_bus_message_open_container(reply, 'a', "{sv}");

        if (r >= 0)
                r = append_attachment(reply, attachment);
        if (r >= 0)
                r = sd_bus_message_append(reply, "{sv}{sv}", "Interface", "s",
                                          attachment->config.interface, "State", "s",
                                          attachment_state_to_string(attachment->state));
        if (r >= 0)
                r = append_limits(reply, attachment->sandbox, attachment->config.interface);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

int bus_get_networks(sd_bus *bus, const char *path, const char *interface, const char *property,
                     sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        const Sandbox *sandbox = userdata;
        int r = sd_bus_message_open_container(reply, 'a', "a{sv}");

        for_each_nic (nic, &sandbox->network)
                if (r >= 0 && nic->state != NIC_GONE)
                        r = append_nic(reply, nic);
        for_each_attachment (attachment, &sandbox->network)
                if (r >= 0 && !network_find_nic(sandbox, attachment->config.interface))
                        r = append_absent(reply, attachment);
        for (uint32_t i = 0; r >= 0 && i < sandbox->network.n_left; i++)
                if (!network_find_nic(sandbox, sandbox->network.left[i].name))
                        r = append_left(reply, &sandbox->network.left[i]);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}
