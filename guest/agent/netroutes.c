/* The routes that the kernel has; see netroutes.h. */
#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include "agent/netroutes.h"

bool netroutes_have(const RtnetlinkDump *dump, const NetRoute *wanted)
{
        NetlinkReader reader = netlink_reader(dump->data, dump->size);
        NetlinkMessage message;
        NetRoute route;

        while (netlink_next(&reader, &message))
                if (netroute_from_message(&message, &route) && netroute_is_equal(&route, wanted))
                        return true;
        return false;
}

int netroutes_add(Rtnetlink *rtnetlink, const NetRoute *route)
{
        NetlinkRequest request;
        int r;

        netroute_put(route, RTM_NEWROUTE, NLM_F_ACK | NLM_F_CREATE | NLM_F_APPEND, &request);
        r = rtnetlink_request(rtnetlink, &request);
        return r == -EEXIST ? 0 : r;
}

int netroutes_remove(Rtnetlink *rtnetlink, const NetRoute *route)
{
        NetlinkRequest request;
        int r;

        netroute_put(route, RTM_DELROUTE, NLM_F_ACK, &request);
        r = rtnetlink_request(rtnetlink, &request);
        return r == -ESRCH ? 0 : r;
}
