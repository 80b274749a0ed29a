/* Ports of Open vSwitch bridges; see ovs.h. */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/fd.h"
#include "uvmd/errors.h"
#include "uvmd/net/cni_result.h"
#include "uvmd/net/netlink.h"
#include "uvmd/net/ovs.h"
#include "uvmd/net/program.h"
#include "uvmd/net/veth.h"
#include "uvmd/strv.h"

#define OVS_OUTPUT_MAX 4096
#define OVS_PORT_SIZE  16

/* Keys of an entry. */
#define ENTRY_BRIDGE "OvsBridge"
#define ENTRY_PORT   "OvsPort"
#define ENTRY_RESULT "Result"

static const char *entry_text(json_object *entry, const char *key)
{
        json_object *value;

        if (!json_object_object_get_ex(entry, key, &value) ||
            !json_object_is_type(value, json_type_string))
                return NULL;
        return json_object_get_string(value);
}

bool ovs_owns(json_object *entry)
{
        return json_object_object_get_ex(entry, ENTRY_BRIDGE, NULL);
}

/* ------------------------------------------------------------------ ovs-vsctl */

/* @arguments end in NULL. It waits for ovs-vswitchd itself, so no longer than --timeout. */
static int vsctl(const char *const *arguments, sd_bus_error *error)
{
        static const char *const programs[] = {"/usr/bin/ovs-vsctl", "/usr/local/bin/ovs-vsctl"};
        static const char *const environment[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C",
                                                  NULL};
        _cleanup_(program_end_done) ProgramEnd end = {};
        const char *all[16] = {"ovs-vsctl", "--timeout=10"};
        Program program = {
                .arguments = all,
                .environment = environment,
                .output_max = OVS_OUTPUT_MAX,
        };
        int r = -ENOENT;

        for (size_t n = 2; n + 1 < ELEMENTSOF(all) && *arguments; n++)
                all[n] = *arguments++;
        for (size_t i = 0; r == -ENOENT && i < ELEMENTSOF(programs); i++) {
                program.path = programs[i];
                r = program_run(&program, &end);
        }
        if (r == -ENOENT)
                return error_set(error, r, ERROR_NOT_SUPPORTED,
                                 "There is no ovs-vsctl here: install the package "
                                 "openvswitch-switch.");
        if (r < 0)
                return error_set(error, r, ERROR_FAILED, "Can't run ovs-vsctl: %s.", strerror(-r));
        if (end.status != 0)
                return error_set(error, -EIO, ERROR_FAILED, "ovs-vsctl failed: %s.",
                                 end.words[0] ? end.words : "it said nothing");
        return 0;
}

int ovs_check(sd_bus_error *error)
{
        static const char *const arguments[] = {"--version", NULL};

        return vsctl(arguments, error);
}

/* Unique among sandboxes and their interfaces; the same when it is made again. */
static void port_name(const Ledger *ledger, char ret[OVS_PORT_SIZE])
{
        uint64_t hash = 0xcbf29ce484222325; /* FNV-1a */
        const char *parts[] = {ledger->id, ".", ledger->interface};

        for (size_t i = 0; i < ELEMENTSOF(parts); i++)
                for (const char *at = parts[i]; *at; at++)
                        hash = (hash ^ (uint8_t)*at) * 0x100000001b3;
        snprintf(ret, OVS_PORT_SIZE, "uvm%011llx", (unsigned long long)hash & 0xfffffffffffULL);
}

/* ------------------------------------------------------------------ the work */

static json_object *one_named(const char *first, const char *second)
{
        json_object *array = json_object_new_array();

        for (int i = 0; i < 2; i++) {
                json_object *object = json_object_new_object();

                json_object_object_add(object, "name",
                                       json_object_new_string(i == 0 ? first : second));
                json_object_array_add(array, object);
        }
        return array;
}

/* In the form of a CNI result, which is what everybody reads. */
static json_object *make_result(const char *port, const char *interface, char *const *addresses)
{
        json_object *result = json_object_new_object(), *ips = json_object_new_array();

        for (; addresses && *addresses; addresses++) {
                json_object *ip = json_object_new_object();

                json_object_object_add(ip, "address", json_object_new_string(*addresses));
                json_object_object_add(ip, "interface", json_object_new_int(1));
                json_object_array_add(ips, ip);
        }
        json_object_object_add(result, "cniVersion", json_object_new_string("1.0.0"));
        json_object_object_add(result, "interfaces", one_named(port, interface));
        json_object_object_add(result, "ips", ips);
        return result;
}

static int ovs_make(Ledger *ledger, const NetworkConfig *config, const char *bridge,
                    const char *port, const char *namespace, sd_bus_error *error)
{
        _cleanup_(fd_closep) int fd = open(namespace, O_RDONLY | O_CLOEXEC);
        _cleanup_(nl_socket_freep) struct nl_sock *socket = NULL;
        char id[ID_SIZE + 32];
        const char *arguments[] = {"--",  "add-port",  bridge, port, "--",
                                   "set", "Interface", port,   id,   NULL};
        int r = fd < 0 ? errno_neg() : netlink_open(&socket);

        snprintf(id, sizeof(id), "external_ids:uvm-id=%s", ledger->id);
        if (r >= 0)
                r = veth_add(socket, port, ledger->interface, config->mac, fd);
        if (r < 0)
                return error_set(error, r, ERROR_FAILED,
                                 "Can't make a pair of interfaces for the bridge %s: %s.", bridge,
                                 strerror(-r));
        r = vsctl(arguments, error);
        if (r >= 0)
                r = veth_set_up(fd, ledger->interface, config->addresses);
        return r < 0 ? r
                     : ledger_update(ledger, ENTRY_RESULT,
                                     make_result(port, ledger->interface, config->addresses));
}

int ovs_add(Ledger *ledger, const NetworkConfig *config, const char *namespace, sd_bus_error *error)
{
        json_object *entry = json_object_new_object();
        char port[OVS_PORT_SIZE];
        NetworkSpec spec;
        int r = network_spec_parse(&spec, config->network);

        port_name(ledger, port);
        json_object_object_add(entry, ENTRY_BRIDGE, json_object_new_string(spec.name));
        json_object_object_add(entry, ENTRY_PORT, json_object_new_string(port));
        if (r >= 0)
                r = ledger_write(ledger, entry);
        if (r >= 0)
                r = ovs_make(ledger, config, spec.name, port, namespace, error);
        if (r < 0 && ledger->entry)
                ovs_delete(ledger, NULL);
        return r;
}

int ovs_delete(Ledger *ledger, sd_bus_error *error)
{
        const char *port = entry_text(ledger->entry, ENTRY_PORT);
        const char *arguments[] = {"--", "--if-exists", "del-port", port, NULL};
        int r, s;

        if (!port || strncmp(port, "uvm", 3) != 0 || !agent_interface_name_is_valid(port))
                return error_set(error, -EBADMSG, ERROR_FAILED, "%s.json makes no sense.",
                                 ledger->path);
        r = vsctl(arguments, error);
        s = veth_delete(port);
        if (r >= 0 && s < 0)
                r = s;
        return r < 0 ? r : ledger_clear(ledger);
}

/* ------------------------------------------------------------------ as a plugin of a list */

typedef struct Plumbing {
        const OvsPlug *plug;
        const char *interface;
        int namespace;
        char **addresses;
        int r;
} Plumbing;

static void take_address(const char *address, void *userdata)
{
        Plumbing *plumbing = userdata;

        if (plumbing->r >= 0)
                plumbing->r = strv_append(&plumbing->addresses, address);
}

/* A route without a gateway of its own goes over the one of the address of its family. */
static void take_route(const char *to, const char *gateway, void *userdata)
{
        Plumbing *plumbing = userdata;

        if (!gateway)
                gateway = cni_result_gateway(plumbing->plug->ipam, strchr(to, ':') != NULL);
        if (plumbing->r >= 0)
                plumbing->r = veth_add_route(plumbing->namespace, plumbing->interface, to, gateway);
}

static int plumb(Plumbing *plumbing)
{
        plumbing->addresses = strv_new();
        if (!plumbing->addresses)
                return -ENOMEM;
        cni_result_addresses(plumbing->plug->ipam, take_address, plumbing);
        if (plumbing->r >= 0)
                plumbing->r = veth_set_up(plumbing->namespace, plumbing->interface,
                                          plumbing->addresses);
        if (plumbing->r >= 0)
                cni_result_routes(plumbing->plug->ipam, take_route, plumbing);
        strv_free(plumbing->addresses);
        return plumbing->r;
}

static int add_port(const Ledger *ledger, const OvsPlug *plug, const char *port,
                    sd_bus_error *error)
{
        char id[ID_SIZE + 32], mtu[32], tag[16];
        const char *arguments[14] = {"--",  "add-port",  plug->bridge, port, "--",
                                     "set", "Interface", port,         id};
        size_t n = 9;

        snprintf(id, sizeof(id), "external_ids:uvm-id=%s", ledger->id);
        snprintf(mtu, sizeof(mtu), "mtu_request=%u", plug->mtu);
        snprintf(tag, sizeof(tag), "tag=%u", plug->vlan);
        if (plug->mtu)
                arguments[n++] = mtu;
        if (plug->vlan) {
                /* Where the column is the port's, it comes with the command that adds it. */
                memmove(arguments + 5, arguments + 4, (n - 4) * sizeof(*arguments));
                arguments[4] = tag;
        }
        return vsctl(arguments, error);
}

int ovs_plug(json_object **ret, const Ledger *ledger, const OvsPlug *plug, const char *namespace,
             sd_bus_error *error)
{
        _cleanup_(fd_closep) int fd = open(namespace, O_RDONLY | O_CLOEXEC);
        _cleanup_(nl_socket_freep) struct nl_sock *socket = NULL;
        Plumbing plumbing = {.plug = plug, .interface = ledger->interface, .namespace = fd};
        char port[OVS_PORT_SIZE];
        int r = fd < 0 ? errno_neg() : netlink_open(&socket);

        port_name(ledger, port);
        if (r >= 0)
                r = veth_add(socket, port, ledger->interface, plug->mac, fd);
        if (r >= 0 && plug->mtu)
                r = veth_set_mtu(fd, ledger->interface, plug->mtu);
        if (r >= 0)
                r = add_port(ledger, plug, port, error);
        if (r >= 0)
                r = plumb(&plumbing);
        if (r < 0)
                return error_set(error, r, ERROR_FAILED, "Can't make a port of the bridge %s: %s.",
                                 plug->bridge, strerror(-r));
        *ret = cni_result_with_interface(plug->ipam, port, ledger->interface);
        return 0;
}

int ovs_check_port(const Ledger *ledger, sd_bus_error *error)
{
        char port[OVS_PORT_SIZE];
        const char *arguments[] = {"--", "port-to-br", port, NULL};
        int r;

        port_name(ledger, port);
        r = vsctl(arguments, error);
        if (r >= 0 && if_nametoindex(port) == 0)
                r = error_set(error, -ENODEV, ERROR_FAILED,
                              "The port %s has lost its interface on the host.", port);
        return r;
}

int ovs_unplug(const Ledger *ledger, sd_bus_error *error)
{
        char port[OVS_PORT_SIZE];
        const char *arguments[] = {"--", "--if-exists", "del-port", port, NULL};
        int r, s;

        port_name(ledger, port);
        r = vsctl(arguments, error);
        s = veth_delete(port);
        return r < 0 ? r : s;
}
