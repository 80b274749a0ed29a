/* Netlink messages, as a kernel never sends them. */
#include <stdlib.h>
#include <string.h>

#include "agent/netroute.h"
#include "test/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        uint8_t *copy = malloc(size ? size : 1);
        NetlinkReader reader = netlink_reader(copy, size), attributes;
        NetlinkAttribute attribute;
        NetlinkRequest request;
        NetlinkMessage message;
        NetRoute route, again;

        if (!copy)
                return 0;
        if (size > 0)
                memcpy(copy, data, size);
        while (netlink_next(&reader, &message)) {
                attributes = netlink_reader(message.body, message.size);
                while (netlink_next_attribute(&attributes, &attribute))
                        netlink_find_u32(&attributes, attribute.type, 0);
                for (unsigned way = 0; way < 8; way++) {
                        NetlinkReader own;

                        if (!netroute_from_message(&message, way, &route))
                                continue;
                        netroute_put(&route, message.type, 0, &request);
                        if (netlink_end(&request, 1) < 0)
                                abort();
                        own = netlink_reader(request.data, request.size);
                        if (!netlink_next(&own, &message) ||
                            !netroute_from_message(&message, 0, &again) ||
                            !netroute_is_equal(&route, &again))
                                abort();
                        break;
                }
        }
        free(copy);
        return 0;
}
