/* The addresses of a network device; see netaddress.h. */
#include <arpa/inet.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/error.h"

#include "agent/netaddress.h"
#include "agent/netdevice.h"

/* Nobody else has them, and their routes are told. */
#define DEVICE_FLAGS (IFA_F_PERMANENT | IFA_F_NODAD | IFA_F_NOPREFIXROUTE)

static uint8_t family_of(const AgentAddress *address)
{
        return address->size == 4 ? AF_INET : AF_INET6;
}

static const char *print(const AgentAddress *address, char text[INET6_ADDRSTRLEN])
{
        return inet_ntop(family_of(address), address->bytes, text, INET6_ADDRSTRLEN);
}

/* IFA_LOCAL is the device's own; IPv6 has it only where there is a peer. */
static bool is_the_same(const struct ifaddrmsg *body, const NetlinkReader *attributes,
                        const AgentAddress *address)
{
        NetlinkAttribute own;

        if (body->ifa_family != family_of(address) || body->ifa_prefixlen != address->prefix)
                return false;
        if (!netlink_find(attributes, IFA_LOCAL, &own) &&
            !netlink_find(attributes, IFA_ADDRESS, &own))
                return false;
        return own.size == address->size && memcmp(own.data, address->bytes, own.size) == 0;
}

static bool is_wanted(const struct ifaddrmsg *body, const NetlinkReader *attributes,
                      const AgentNetwork *network)
{
        for (uint32_t i = 0; i < network->n_addresses; i++)
                if (is_the_same(body, attributes, &network->addresses[i]))
                        return true;
        return false;
}

static void copy_attribute(const NetlinkReader *attributes, uint16_t type, NetlinkRequest *request)
{
        NetlinkAttribute attribute;

        if (netlink_find(attributes, type, &attribute))
                netlink_put(request, type, attribute.data, attribute.size);
}

static int remove_address(Rtnetlink *rtnetlink, const struct ifaddrmsg *body,
                          const NetlinkReader *attributes)
{
        NetlinkRequest request;
        int r;

        netlink_begin(&request, RTM_DELADDR, NLM_F_ACK, body, sizeof(*body));
        copy_attribute(attributes, IFA_LOCAL, &request);
        copy_attribute(attributes, IFA_ADDRESS, &request);
        r = rtnetlink_request(rtnetlink, &request);
        /* A secondary one goes with its primary. */
        return r == -EADDRNOTAVAIL ? 0 : r;
}

static int remove_others(Rtnetlink *rtnetlink, int index, const AgentNetwork *network)
{
        _cleanup_(rtnetlink_dump_done) RtnetlinkDump dump = {};
        NetlinkMessage message;
        NetlinkReader reader;
        int r = rtnetlink_dump(rtnetlink, RTM_GETADDR, AF_UNSPEC, &dump);

        reader = netlink_reader(dump.data, dump.size);
        while (r == 0 && netlink_next(&reader, &message)) {
                NetlinkReader attributes;
                struct ifaddrmsg body;

                if (message.type != RTM_NEWADDR ||
                    netlink_body(&message, &body, sizeof(body), &attributes) < 0 ||
                    body.ifa_index != (unsigned)index || !(body.ifa_flags & IFA_F_PERMANENT))
                        continue;
                if (!is_wanted(&body, &attributes, network))
                        r = remove_address(rtnetlink, &body, &attributes);
        }
        return r;
}

static void put_broadcast(const AgentAddress *address, NetlinkRequest *request)
{
        uint8_t broadcast[4];

        memcpy(broadcast, address->bytes, sizeof(broadcast));
        for (unsigned bit = address->prefix; bit < 32; bit++)
                broadcast[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
        netlink_put(request, IFA_BROADCAST, broadcast, sizeof(broadcast));
}

static int add_address(Rtnetlink *rtnetlink, int index, const AgentAddress *address, uint32_t flags)
{
        struct ifaddrmsg body = {
                .ifa_family = family_of(address),
                .ifa_prefixlen = (uint8_t)address->prefix,
                .ifa_index = (unsigned)index,
        };
        bool link_local = address->size == 4
                                  ? address->bytes[0] == 169 && address->bytes[1] == 254
                                  : address->bytes[0] == 0xfe && (address->bytes[1] & 0xc0) == 0x80;
        NetlinkRequest request;

        body.ifa_scope = link_local ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
        /* What is there already, with other flags maybe, is made like this. */
        netlink_begin(&request, RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE, &body,
                      sizeof(body));
        netlink_put(&request, IFA_LOCAL, address->bytes, address->size);
        netlink_put(&request, IFA_ADDRESS, address->bytes, address->size);
        netlink_put_u32(&request, IFA_FLAGS, flags);
        if (address->size == 4 && address->prefix < 31)
                put_broadcast(address, &request);
        return rtnetlink_request(rtnetlink, &request);
}

int netaddress_set(Rtnetlink *rtnetlink, int index, const AgentNetwork *network, Fault *fault)
{
        char text[INET6_ADDRSTRLEN];
        int r = remove_others(rtnetlink, index, network);

        if (r < 0)
                return rtnetlink_fault(rtnetlink, fault, r, "cannot remove addresses from %s",
                                       network->name);
        for (uint32_t i = 0; i < network->n_addresses; i++) {
                const AgentAddress *address = &network->addresses[i];

                r = add_address(rtnetlink, index, address, DEVICE_FLAGS);
                if (r < 0)
                        return rtnetlink_fault(rtnetlink, fault, r,
                                               "cannot give %s the address %s/%u", network->name,
                                               print(address, text), address->prefix);
        }
        return 0;
}

/* ------------------------------------------------------------------ loopback */

static bool address_is_in(const AgentAddress *address, const AgentRouting *routing)
{
        for (uint32_t i = 0; i < routing->n_loopback; i++) {
                const AgentAddress *other = &routing->loopback[i];

                if (other->size == address->size && other->prefix == address->prefix &&
                    memcmp(other->bytes, address->bytes, address->size) == 0)
                        return true;
        }
        return false;
}

static int remove_loopback(Rtnetlink *rtnetlink, const AgentAddress *address)
{
        struct ifaddrmsg body = {
                .ifa_family = family_of(address),
                .ifa_prefixlen = (uint8_t)address->prefix,
                .ifa_index = LOOPBACK_INDEX,
        };
        NetlinkRequest request;
        int r;

        netlink_begin(&request, RTM_DELADDR, NLM_F_ACK, &body, sizeof(body));
        netlink_put(&request, IFA_LOCAL, address->bytes, address->size);
        r = rtnetlink_request(rtnetlink, &request);
        return r == -EADDRNOTAVAIL ? 0 : r;
}

int netaddress_set_loopback(Rtnetlink *rtnetlink, const AgentRouting *before,
                            const AgentRouting *now, Fault *fault)
{
        char text[INET6_ADDRSTRLEN];
        int r = 0;

        for (uint32_t i = 0; r == 0 && i < before->n_loopback; i++)
                if (!address_is_in(&before->loopback[i], now))
                        r = remove_loopback(rtnetlink, &before->loopback[i]);
        if (r < 0)
                return rtnetlink_fault(rtnetlink, fault, r, "cannot remove an address of lo");
        for (uint32_t i = 0; i < now->n_loopback; i++) {
                const AgentAddress *address = &now->loopback[i];

                r = add_address(rtnetlink, LOOPBACK_INDEX, address, IFA_F_PERMANENT | IFA_F_NODAD);
                if (r < 0)
                        return rtnetlink_fault(rtnetlink, fault, r,
                                               "cannot give lo the address %s/%u",
                                               print(address, text), address->prefix);
        }
        return 0;
}
