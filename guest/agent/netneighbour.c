/* The neighbours of a network device; see netaddress.h. */
#include <arpa/inet.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/error.h"

#include "agent/netaddress.h"

static bool is_wanted(const struct ndmsg *body, const NetlinkReader *attributes,
                      const AgentNetwork *network)
{
        NetlinkAttribute address;

        if (!netlink_find(attributes, NDA_DST, &address))
                return false;
        for (uint32_t i = 0; i < network->n_neighbours; i++) {
                const AgentAddress *wanted = &network->neighbours[i].address;

                if (wanted->size == address.size &&
                    memcmp(wanted->bytes, address.data, address.size) == 0)
                        return true;
        }
        return false;
}

static int remove_neighbour(Rtnetlink *rtnetlink, const struct ndmsg *body,
                            const NetlinkReader *attributes)
{
        NetlinkAttribute address;
        NetlinkRequest request;
        int r;

        netlink_begin(&request, RTM_DELNEIGH, NLM_F_ACK, body, sizeof(*body));
        if (netlink_find(attributes, NDA_DST, &address))
                netlink_put(&request, NDA_DST, address.data, address.size);
        r = rtnetlink_request(rtnetlink, &request);
        return r == -ENOENT ? 0 : r;
}

static int remove_others(Rtnetlink *rtnetlink, int index, const AgentNetwork *network)
{
        _cleanup_(rtnetlink_dump_done) RtnetlinkDump dump = {};
        NetlinkMessage message;
        NetlinkReader reader;
        int r = rtnetlink_dump(rtnetlink, RTM_GETNEIGH, AF_UNSPEC, &dump);

        reader = netlink_reader(dump.data, dump.size);
        while (r == 0 && netlink_next(&reader, &message)) {
                NetlinkReader attributes;
                struct ndmsg body;

                if (message.type != RTM_NEWNEIGH ||
                    netlink_body(&message, &body, sizeof(body), &attributes) < 0 ||
                    body.ndm_ifindex != index || body.ndm_state != NUD_PERMANENT)
                        continue;
                if (!is_wanted(&body, &attributes, network))
                        r = remove_neighbour(rtnetlink, &body, &attributes);
        }
        return r;
}

static int add_neighbour(Rtnetlink *rtnetlink, int index, const AgentNeighbour *neighbour)
{
        struct ndmsg body = {
                .ndm_family = neighbour->address.size == 4 ? AF_INET : AF_INET6,
                .ndm_ifindex = index,
                .ndm_state = NUD_PERMANENT,
        };
        NetlinkRequest request;

        netlink_begin(&request, RTM_NEWNEIGH, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE, &body,
                      sizeof(body));
        netlink_put(&request, NDA_DST, neighbour->address.bytes, neighbour->address.size);
        netlink_put(&request, NDA_LLADDR, neighbour->mac, sizeof(neighbour->mac));
        return rtnetlink_request(rtnetlink, &request);
}

int netneighbour_set(Rtnetlink *rtnetlink, int index, const AgentNetwork *network, Fault *fault)
{
        char text[INET6_ADDRSTRLEN];
        int r = remove_others(rtnetlink, index, network);

        if (r < 0)
                return rtnetlink_fault(rtnetlink, fault, r, "cannot remove neighbours of %s",
                                       network->name);
        for (uint32_t i = 0; i < network->n_neighbours; i++) {
                const AgentNeighbour *neighbour = &network->neighbours[i];
                int family = neighbour->address.size == 4 ? AF_INET : AF_INET6;

                r = add_neighbour(rtnetlink, index, neighbour);
                if (r < 0)
                        return rtnetlink_fault(
                                rtnetlink, fault, r, "cannot tell %s where %s is", network->name,
                                inet_ntop(family, neighbour->address.bytes, text, sizeof(text)));
        }
        return 0;
}
