/* Published ports; see port_spec.h. */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "base/parse.h"
#include "uvmd/net/port_spec.h"

#define PORT_TEXT_MAX 64 /* bytes; the longest that means something is shorter */

/* Cuts the address off the front of @text and writes it as inet_ntop() does: one address, one text. */
static int take_address(PortSpec *spec, char *text, char **ret_rest)
{
        uint8_t bytes[sizeof(struct in6_addr)];
        char *end = strrchr(text, ':');
        int family = AF_INET;

        if (text[0] == '[') {
                text++;
                end = strchr(text, ']');
                if (!end || end[1] != ':')
                        return -EINVAL;
                family = AF_INET6;
        } else {
                while (end > text && end[-1] != ':')
                        end--;
                end--;
        }
        *ret_rest = end + (family == AF_INET6 ? 2 : 1);
        *end = 0;
        if (inet_pton(family, text, bytes) != 1)
                return -EINVAL;
        inet_ntop(family, bytes, spec->address, sizeof(spec->address));
        return 0;
}

static int take_protocol(PortSpec *spec, char *text)
{
        char *slash = strrchr(text, '/');

        if (!slash)
                return 0;
        *slash++ = 0;
        spec->udp = strcmp(slash, "udp") == 0;
        return spec->udp || strcmp(slash, "tcp") == 0 ? 0 : -EINVAL;
}

static int read_port(const char *text, uint16_t *ret)
{
        uint32_t value;

        if (parse_u32(text, 1, UINT16_MAX, &value) < 0)
                return -EINVAL;
        *ret = (uint16_t)value;
        return 0;
}

int port_spec_parse(PortSpec *ret, const char *text)
{
        size_t size = strnlen(text, PORT_TEXT_MAX);
        char copy[PORT_TEXT_MAX], *rest = copy, *colon;
        PortSpec spec = {};
        int r;

        if (size == PORT_TEXT_MAX)
                return -EINVAL;
        memcpy(copy, text, size + 1);
        r = take_protocol(&spec, copy);
        colon = strchr(copy, ':');
        if (r < 0 || !colon)
                return -EINVAL;
        if (copy[0] == '[' || strchr(colon + 1, ':')) {
                r = take_address(&spec, copy, &rest);
                if (r < 0)
                        return r;
        }
        colon = strchr(rest, ':');
        if (!colon)
                return -EINVAL;
        *colon++ = 0;
        if (read_port(rest, &spec.host) < 0 || read_port(colon, &spec.guest) < 0)
                return -EINVAL;
        *ret = spec;
        return 0;
}

bool port_spec_is_valid(const char *text)
{
        PortSpec spec;

        return port_spec_parse(&spec, text) >= 0;
}

bool port_spec_collides(const PortSpec *a, const PortSpec *b)
{
        return a->host == b->host && a->udp == b->udp &&
               (!a->address[0] || !b->address[0] || strcmp(a->address, b->address) == 0);
}
