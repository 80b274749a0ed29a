/* The built-in bridge; see cni_bridge.h. */
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-id128.h>

#include "base/cleanup.h"
#include "uvmd/errors.h"
#include "uvmd/net/cni_bridge.h"
#include "uvmd/net/cni_config.h"
#include "uvmd/net/host_subnets.h"

/* What the application-specific id is made for; any other constant would do. */
#define BRIDGE_ID SD_ID128_MAKE(5c, 1e, 93, 0b, 7d, 6a, 4f, 0e, 9b, 2d, 61, 70, c4, a8, 3f, 15)

static json_object *text(const char *value)
{
        return json_object_new_string(value);
}

static json_object *capabilities(const char *first, const char *second)
{
        json_object *object = json_object_new_object();

        json_object_object_add(object, first, json_object_new_boolean(1));
        if (second)
                json_object_object_add(object, second, json_object_new_boolean(1));
        return object;
}

/* {KEY: VALUE} in an array of its own. */
static json_object *one_item(const char *key, const char *value)
{
        json_object *array = json_object_new_array(), *object = json_object_new_object();

        json_object_object_add(object, key, text(value));
        json_object_array_add(array, object);
        return array;
}

static json_object *make_ipam(const char *run_dir, const char *subnet, const char *subnet6)
{
        json_object *ipam = json_object_new_object(), *ranges = json_object_new_array();
        json_object *routes = one_item("dst", "0.0.0.0/0"), *route6 = json_object_new_object();
        char directory[4096];

        snprintf(directory, sizeof(directory), "%s/leases", run_dir);
        json_object_array_add(ranges, one_item("subnet", subnet));
        json_object_array_add(ranges, one_item("subnet", subnet6));
        json_object_object_add(route6, "dst", text("::/0"));
        json_object_array_add(routes, route6);
        json_object_object_add(ipam, "type", text("host-local"));
        json_object_object_add(ipam, "dataDir", text(directory));
        json_object_object_add(ipam, "ranges", ranges);
        json_object_object_add(ipam, "routes", routes);
        return ipam;
}

/* hairpin: a container reaches its own published port by the host's address. */
json_object *cni_bridge_make(const char *run_dir, const char *subnet, const char *subnet6)
{
        static const char *const switches[] = {"isGateway", "ipMasq", "hairpinMode"};
        json_object *list = json_object_new_object(), *plugins = json_object_new_array();
        json_object *bridge = json_object_new_object(), *portmap = json_object_new_object();
        json_object *firewall = json_object_new_object();

        json_object_object_add(bridge, "type", text("bridge"));
        json_object_object_add(bridge, "bridge", text(CNI_BRIDGE_DEVICE));
        for (size_t i = 0; i < ELEMENTSOF(switches); i++)
                json_object_object_add(bridge, switches[i], json_object_new_boolean(1));
        json_object_object_add(bridge, "capabilities", capabilities("mac", "ips"));
        json_object_object_add(bridge, "ipam", make_ipam(run_dir, subnet, subnet6));
        json_object_object_add(portmap, "type", text("portmap"));
        json_object_object_add(portmap, "capabilities", capabilities("portMappings", NULL));
        json_object_object_add(firewall, "type", text("firewall"));
        json_object_array_add(plugins, bridge);
        json_object_array_add(plugins, portmap);
        json_object_array_add(plugins, firewall);
        json_object_object_add(list, "cniVersion", text(CNI_VERSION));
        json_object_object_add(list, "name", text("uvm"));
        json_object_object_add(list, "plugins", plugins);
        return list;
}

int cni_bridge_own_subnet6(unsigned n, char ret[SUBNET_TEXT_MAX])
{
        sd_id128_t id;
        int r = sd_id128_get_machine_app_specific(BRIDGE_ID, &id);

        if (r < 0)
                return r;
        snprintf(ret, SUBNET_TEXT_MAX, "fd%02x:%02x%02x:%02x%02x:%x::/64", id.bytes[0], id.bytes[1],
                 id.bytes[2], id.bytes[3], id.bytes[4], n & 0xffff);
        return 0;
}

static int take_setting(const char *name, int family, const char **subnet, sd_bus_error *error)
{
        const char *value = getenv(name);

        if (!value || !value[0])
                return 0;
        if (!network_cidr_is_valid(value) || !!strchr(value, ':') != (family == AF_INET6))
                return error_set(error, -EINVAL, ERROR_FAILED,
                                 "%s=%s in /etc/default/uvm is no subnet of IPv%d.", name, value,
                                 family == AF_INET6 ? 6 : 4);
        *subnet = value;
        return 0;
}

int cni_bridge_new(json_object **ret, const char *run_dir, sd_bus_error *error)
{
        char own[SUBNET_TEXT_MAX];
        const char *subnet = CNI_BRIDGE_SUBNET, *subnet6 = NULL;
        int r = take_setting("UVM_BRIDGE_SUBNET", AF_INET, &subnet, error);

        if (r >= 0)
                r = take_setting("UVM_BRIDGE_SUBNET6", AF_INET6, &subnet6, error);
        if (r >= 0 && !subnet6) {
                subnet6 = own;
                r = cni_bridge_own_subnet6(1, own);
                if (r < 0)
                        return error_set(error, r, ERROR_FAILED,
                                         "This machine has no /etc/machine-id to make a subnet of; "
                                         "set UVM_BRIDGE_SUBNET6 in /etc/default/uvm.");
        }
        if (r >= 0)
                *ret = cni_bridge_make(run_dir, subnet, subnet6);
        return r;
}

/* ------------------------------------------------------------------ collisions */

typedef struct Collision {
        json_object *list;
        const Subnet *subnet; /* of an interface */
        char text[SUBNET_TEXT_MAX], interface[IF_NAMESIZE];
} Collision;

static void compare(const char *text, void *userdata)
{
        Collision *collision = userdata;
        Subnet subnet;

        if (!collision->text[0] && subnet_parse(&subnet, text) >= 0 &&
            subnet_overlaps(&subnet, collision->subnet))
                snprintf(collision->text, sizeof(collision->text), "%s", text);
}

static int look_for_collision(const Subnet *subnet, const char *interface, void *userdata)
{
        Collision *collision = userdata;

        if (strcmp(interface, CNI_BRIDGE_DEVICE) == 0)
                return 0;
        collision->subnet = subnet;
        cni_list_subnets(collision->list, compare, collision);
        snprintf(collision->interface, sizeof(collision->interface), "%s", interface);
        return collision->text[0] != 0;
}

int cni_bridge_check_host(json_object *list, sd_bus_error *error)
{
        Collision collision = {.list = list};
        int r = host_subnets_of_addresses(look_for_collision, &collision);

        if (r <= 0)
                return r;
        return error_set(error, -EADDRINUSE, ERROR_FAILED,
                         "The interface %s of this host has addresses in %s, which is the network "
                         "\"bridge\": set UVM_BRIDGE_SUBNET%s in /etc/default/uvm to another one.",
                         collision.interface, collision.text,
                         strchr(collision.text, ':') ? "6" : "");
}
