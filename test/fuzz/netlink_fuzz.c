/* Netlink messages, as a kernel never sends them. */
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>

#include "agent/netroute.h"
#include "agent/netrule.h"
#include "test/fuzz/fuzz.h"

/* What was put into @request, as a message of its own. */
static void reread(NetlinkRequest *request, NetlinkMessage *ret)
{
        NetlinkReader own;

        if (netlink_end(request, 1) < 0)
                abort();
        own = netlink_reader(request->data, request->size);
        if (!netlink_next(&own, ret))
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        uint8_t *copy = malloc(size ? size : 1);
        NetlinkReader reader = netlink_reader(copy, size), attributes;
        NetlinkAttribute attribute;
        NetlinkRequest request;
        NetlinkMessage message;
        NetRoute route, again;
        NetRule rule, same;

        if (!copy)
                return 0;
        if (size > 0)
                memcpy(copy, data, size);
        while (netlink_next(&reader, &message)) {
                attributes = netlink_reader(message.body, message.size);
                while (netlink_next_attribute(&attributes, &attribute))
                        netlink_find_u32(&attributes, attribute.type, 0);
                if (netroute_from_message(&message, &route)) {
                        netroute_put(&route, RTM_NEWROUTE, 0, &request);
                        reread(&request, &message);
                        if (!netroute_from_message(&message, &again) ||
                            !netroute_is_equal(&route, &again))
                                abort();
                } else if (netrule_from_message(&message, &rule)) {
                        netrule_put(&rule.rule, RTM_NEWRULE, 0, &request);
                        reread(&request, &message);
                        if (!netrule_from_message(&message, &same) ||
                            same.rule.flags != rule.rule.flags ||
                            same.rule.priority != rule.rule.priority ||
                            strcmp(same.input, rule.input) != 0)
                                abort();
                }
        }
        free(copy);
        return 0;
}
