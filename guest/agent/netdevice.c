/* A network device of the machine; see netdevice.h. */
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/error.h"

#include "agent/netdevice.h"
#include "agent/netsettings.h"

/* The kernel puts a number in (dev_alloc_name()). */
#define NAME_ASIDE "moved%d"

/* How well a device suits an address; 0: not at all. */
enum {
        SUITS_NOW = 1,    /* has it, and is made on top of something, or by hand */
        SUITS_DEVICE = 2, /* has it, and is a device */
        SUITS_ALWAYS = 3, /* came with it */
};

static bool has_mac(const NetlinkReader *attributes, uint16_t type, const uint8_t *mac)
{
        NetlinkAttribute attribute;

        return netlink_find(attributes, type, &attribute) && attribute.size == AGENT_MAC_SIZE &&
               memcmp(attribute.data, mac, AGENT_MAC_SIZE) == 0;
}

static int suits(const struct ifinfomsg *info, const NetlinkReader *attributes, const uint8_t *mac)
{
        NetlinkAttribute kind;

        if (info->ifi_flags & IFF_LOOPBACK)
                return 0;
        if (has_mac(attributes, IFLA_PERM_ADDRESS, mac))
                return SUITS_ALWAYS;
        if (!has_mac(attributes, IFLA_ADDRESS, mac))
                return 0;
        return netlink_find(attributes, IFLA_LINKINFO, &kind) ? SUITS_NOW : SUITS_DEVICE;
}

static void describe(const struct ifinfomsg *info, const NetlinkReader *attributes, NetDevice *ret)
{
        NetlinkAttribute attribute;

        *ret = (NetDevice){
                .index = info->ifi_index,
                .flags = info->ifi_flags,
                .mtu = netlink_find_u32(attributes, IFLA_MTU, 0),
                .queue_length = netlink_find_u32(attributes, IFLA_TXQLEN, 0),
        };
        if (netlink_find(attributes, IFLA_IFNAME, &attribute) &&
            attribute.size <= sizeof(ret->name))
                memcpy(ret->name, attribute.data, attribute.size);
        ret->name[sizeof(ret->name) - 1] = '\0';
        if (netlink_find(attributes, IFLA_ADDRESS, &attribute) &&
            attribute.size == sizeof(ret->mac))
                memcpy(ret->mac, attribute.data, attribute.size);
}

int netdevice_find(Rtnetlink *rtnetlink, const uint8_t mac[AGENT_MAC_SIZE], NetDevice *ret)
{
        _cleanup_(rtnetlink_dump_done) RtnetlinkDump dump = {};
        NetlinkMessage message;
        NetlinkReader reader;
        int best = 0, r = rtnetlink_dump(rtnetlink, RTM_GETLINK, AF_UNSPEC, &dump);

        if (r < 0)
                return r;
        reader = netlink_reader(dump.data, dump.size);
        while (netlink_next(&reader, &message)) {
                NetlinkReader attributes;
                struct ifinfomsg info;
                int suit;

                if (message.type != RTM_NEWLINK ||
                    netlink_body(&message, &info, sizeof(info), &attributes) < 0)
                        continue;
                suit = suits(&info, &attributes, mac);
                if (suit > best) {
                        describe(&info, &attributes, ret);
                        best = suit;
                }
        }
        return best > 0 ? 0 : -ENODEV;
}

static void begin(NetlinkRequest *request, int index, unsigned flags, unsigned change)
{
        struct ifinfomsg info = {
                .ifi_family = AF_UNSPEC,
                .ifi_index = index,
                .ifi_flags = flags,
                .ifi_change = change,
        };

        netlink_begin(request, RTM_NEWLINK, NLM_F_ACK, &info, sizeof(info));
}

static int set_flags(Rtnetlink *rtnetlink, int index, unsigned flags)
{
        NetlinkRequest request;

        begin(&request, index, flags, IFF_UP);
        return rtnetlink_request(rtnetlink, &request);
}

static int set_name(Rtnetlink *rtnetlink, int index, const char *name)
{
        NetlinkRequest request;

        begin(&request, index, 0, 0);
        netlink_put(&request, IFLA_IFNAME, name, strlen(name) + 1);
        return rtnetlink_request(rtnetlink, &request);
}

/* The interface that has @name, unless it is in use. */
static int move_aside(Rtnetlink *rtnetlink, const char *name)
{
        struct ifreq interface = {};

        memcpy(interface.ifr_name, name, strlen(name) + 1);
        if (ioctl(rtnetlink->fd, SIOCGIFFLAGS, &interface) < 0)
                return errno_neg();
        if (interface.ifr_flags & IFF_UP)
                return -EEXIST;
        if (ioctl(rtnetlink->fd, SIOCGIFINDEX, &interface) < 0)
                return errno_neg();
        return set_name(rtnetlink, interface.ifr_ifindex, NAME_ASIDE);
}

static int rename_device(Rtnetlink *rtnetlink, const NetDevice *device, const char *name)
{
        /* Linux before 6.4 renames none that is up. */
        int r = device->flags & IFF_UP ? set_flags(rtnetlink, device->index, 0) : 0;

        if (r == 0)
                r = set_name(rtnetlink, device->index, name);
        if (r == -EEXIST && move_aside(rtnetlink, name) == 0)
                r = set_name(rtnetlink, device->index, name);
        return r;
}

/* Link-local addresses are the host's to give, too. A kernel without IPv6 needs not be told. */
static void keep_kernel_from_addresses(Rtnetlink *rtnetlink, int index)
{
        NetlinkRequest request;
        size_t outer, inner;

        begin(&request, index, 0, 0);
        outer = netlink_nest(&request, IFLA_AF_SPEC);
        inner = netlink_nest(&request, AF_INET6);
        netlink_put_u8(&request, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
        netlink_nest_end(&request, inner);
        netlink_nest_end(&request, outer);
        (void)rtnetlink_request(rtnetlink, &request);
}

int netdevice_set_up(Rtnetlink *rtnetlink, const NetDevice *device, const AgentNetwork *network,
                     Fault *fault)
{
        NetlinkRequest request;
        int r = 0;

        if (strcmp(device->name, network->name) != 0)
                r = rename_device(rtnetlink, device, network->name);
        if (r < 0)
                return rtnetlink_fault(rtnetlink, fault, r, "cannot call %s \"%s\"", device->name,
                                       network->name);
        keep_kernel_from_addresses(rtnetlink, device->index);
        /* What hears of routers must not begin before it is told not to. */
        if (!(device->flags & IFF_UP))
                netsettings_write(&network->settings, NULL);
        begin(&request, device->index, IFF_UP | (network->noarp ? IFF_NOARP : 0),
              IFF_UP | IFF_NOARP);
        if (memcmp(device->mac, network->mac, sizeof(device->mac)) != 0)
                netlink_put(&request, IFLA_ADDRESS, network->mac, sizeof(network->mac));
        if (network->mtu != 0 && network->mtu != device->mtu)
                netlink_put_u32(&request, IFLA_MTU, network->mtu);
        if (network->queue_length != 0 && network->queue_length != device->queue_length)
                netlink_put_u32(&request, IFLA_TXQLEN, network->queue_length);
        /* One byte takes it away (dev_set_alias() of nothing). */
        netlink_put(&request, IFLA_IFALIAS, network->alias ?: "",
                    network->alias ? strlen(network->alias) : 0);
        r = rtnetlink_request(rtnetlink, &request);
        return r < 0 ? rtnetlink_fault(rtnetlink, fault, r, "cannot bring up %s", network->name)
                     : 0;
}
