/* The built-in bridge; see cni_bridge.h. */
#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-id128.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "uvmd/errors.h"
#include "uvmd/net/cni_bridge.h"
#include "uvmd/net/cni_config.h"

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

/* RFC 4193: 40 bits that no other site is likely to have. */
static int own_subnet6(char ret[INET6_ADDRSTRLEN + 4])
{
        sd_id128_t id;
        int r = sd_id128_get_machine_app_specific(BRIDGE_ID, &id);

        if (r < 0)
                return r;
        sprintf(ret, "fd%02x:%02x%02x:%02x%02x:1::/64", id.bytes[0], id.bytes[1], id.bytes[2],
                id.bytes[3], id.bytes[4]);
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
        char own[INET6_ADDRSTRLEN + 4];
        const char *subnet = CNI_BRIDGE_SUBNET, *subnet6 = NULL;
        int r = take_setting("UVM_BRIDGE_SUBNET", AF_INET, &subnet, error);

        if (r >= 0)
                r = take_setting("UVM_BRIDGE_SUBNET6", AF_INET6, &subnet6, error);
        if (r >= 0 && !subnet6) {
                subnet6 = own;
                r = own_subnet6(own);
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

typedef struct Subnet {
        uint8_t bytes[sizeof(struct in6_addr)];
        int family;
        uint32_t prefix;
} Subnet;

static bool read_subnet(const char *subnet, Subnet *ret)
{
        char copy[INET6_ADDRSTRLEN + 4];
        char *slash;

        if (!network_cidr_is_valid(subnet))
                return false;
        strcpy(copy, subnet);
        slash = strchr(copy, '/');
        *slash++ = 0;
        ret->family = strchr(copy, ':') ? AF_INET6 : AF_INET;
        return inet_pton(ret->family, copy, ret->bytes) == 1 &&
               parse_u32(slash, 0, 128, &ret->prefix) >= 0;
}

bool cni_subnets_overlap(const char *a, const char *b)
{
        Subnet first, second;
        uint32_t bits;

        if (!read_subnet(a, &first) || !read_subnet(b, &second) || first.family != second.family)
                return false;
        bits = MIN(first.prefix, second.prefix);
        if (memcmp(first.bytes, second.bytes, bits / 8) != 0)
                return false;
        return bits % 8 == 0 ||
               ((first.bytes[bits / 8] ^ second.bytes[bits / 8]) >> (8 - bits % 8)) == 0;
}

typedef struct Collision {
        const struct ifaddrs *addresses;
        const char *subnet, *interface;
} Collision;

static void count_bits(const struct sockaddr *mask, size_t size, size_t offset, uint32_t *ret)
{
        const uint8_t *bytes = (const uint8_t *)mask + offset;

        *ret = 0;
        for (size_t i = 0; i < size; i++)
                *ret += (uint32_t)__builtin_popcount(bytes[i]);
}

/* "10.0.0.1/24" of an interface's address; false: it has none of IP. */
static bool write_subnet(const struct ifaddrs *at, char ret[INET6_ADDRSTRLEN + 4])
{
        bool six = at->ifa_addr && at->ifa_addr->sa_family == AF_INET6;
        size_t offset = six ? offsetof(struct sockaddr_in6, sin6_addr)
                            : offsetof(struct sockaddr_in, sin_addr);
        char address[INET6_ADDRSTRLEN];
        uint32_t prefix;

        if (!at->ifa_addr || !at->ifa_netmask || (!six && at->ifa_addr->sa_family != AF_INET))
                return false;
        count_bits(at->ifa_netmask, six ? 16 : 4, offset, &prefix);
        inet_ntop(six ? AF_INET6 : AF_INET, (const uint8_t *)at->ifa_addr + offset, address,
                  sizeof(address));
        snprintf(ret, INET6_ADDRSTRLEN + 4, "%s/%u", address, prefix);
        return true;
}

static void look_for_collision(const char *subnet, void *userdata)
{
        Collision *collision = userdata;
        char other[INET6_ADDRSTRLEN + 4];

        for (const struct ifaddrs *at = collision->addresses; at && !collision->subnet;
             at = at->ifa_next)
                if (strcmp(at->ifa_name, CNI_BRIDGE_DEVICE) != 0 && write_subnet(at, other) &&
                    cni_subnets_overlap(subnet, other)) {
                        collision->subnet = subnet;
                        collision->interface = at->ifa_name;
                }
}

int cni_bridge_check_host(json_object *list, sd_bus_error *error)
{
        struct ifaddrs *addresses;
        Collision collision = {};
        int r = 0;

        if (getifaddrs(&addresses) < 0)
                return -errno;
        collision.addresses = addresses;
        cni_list_subnets(list, look_for_collision, &collision);
        if (collision.subnet)
                r = error_set(error, -EADDRINUSE, ERROR_FAILED,
                              "The interface %s of this host has addresses in %s, which is the "
                              "network \"bridge\": set UVM_BRIDGE_SUBNET%s in /etc/default/uvm to "
                              "another one.",
                              collision.interface, collision.subnet,
                              strchr(collision.subnet, ':') ? "6" : "");
        freeifaddrs(addresses);
        return r;
}
