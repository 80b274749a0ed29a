/* Published ports; see port_spec.h. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/parse.h"
#include "uvmd/net/port_spec.h"

/* Cuts "ADDRESS:" off the front of @text and writes it as inet_ntop() does: one address, one text. */
static int take_address(PortSpec *spec, char **text)
{
        uint8_t bytes[sizeof(struct in6_addr)];
        bool six = (*text)[0] == '[';
        char *start = *text + six, *end = strchr(start, six ? ']' : ':');

        if (!end || (six && end[1] != ':'))
                return -EINVAL;
        *text = end + 1 + six;
        *end = 0;
        if (inet_pton(six ? AF_INET6 : AF_INET, start, bytes) != 1)
                return -EINVAL;
        inet_ntop(six ? AF_INET6 : AF_INET, bytes, spec->address, sizeof(spec->address));
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

/* "80" or "8000-8010". */
static int read_ports(char *text, uint16_t *ret_first, uint16_t *ret_n)
{
        char *dash = strchr(text, '-');
        uint32_t first, last;

        if (dash)
                *dash++ = 0;
        if (parse_u32(text, 1, UINT16_MAX, &first) < 0)
                return -EINVAL;
        last = first;
        if (dash && parse_u32(dash, first, UINT16_MAX, &last) < 0)
                return -EINVAL;
        *ret_first = (uint16_t)first;
        *ret_n = (uint16_t)(last - first + 1);
        return 0;
}

/* What is left of @text: "[HOST:]GUEST", where HOST may be empty behind an address. */
static int read_both(PortSpec *spec, char *text)
{
        char *colon = strchr(text, ':');
        uint16_t n;

        if (!colon && !spec->address[0])
                return read_ports(text, &spec->guest, &spec->n);
        if (!colon)
                return -EINVAL;
        *colon++ = 0;
        if (read_ports(colon, &spec->guest, &spec->n) < 0)
                return -EINVAL;
        if (!text[0] && spec->address[0])
                return 0;
        return read_ports(text, &spec->host, &n) < 0 || n != spec->n ? -EINVAL : 0;
}

int port_spec_parse(PortSpec *ret, const char *text)
{
        size_t size = strnlen(text, PORT_SPEC_TEXT_MAX);
        char copy[PORT_SPEC_TEXT_MAX], *rest = copy, *colon;
        PortSpec spec = {};
        int r;

        if (size == PORT_SPEC_TEXT_MAX)
                return -EINVAL;
        memcpy(copy, text, size + 1);
        r = take_protocol(&spec, copy);
        colon = strchr(copy, ':');
        if (r >= 0 && (copy[0] == '[' || (colon && strchr(colon + 1, ':'))))
                r = take_address(&spec, &rest);
        if (r >= 0)
                r = read_both(&spec, rest);
        if (r < 0)
                return r;
        *ret = spec;
        return 0;
}

bool port_spec_is_valid(const char *text)
{
        PortSpec spec;

        return port_spec_parse(&spec, text) >= 0;
}

static int format_ports(char *to, size_t room, uint16_t first, uint16_t n)
{
        return n > 1 ? snprintf(to, room, "%u-%u", first, first + n - 1U)
                     : snprintf(to, room, "%u", first);
}

void port_spec_format(const PortSpec *spec, char ret[PORT_SPEC_TEXT_MAX])
{
        bool six = strchr(spec->address, ':');
        size_t room = PORT_SPEC_TEXT_MAX, at = 0;

        if (spec->address[0])
                at += (size_t)snprintf(ret, room, six ? "[%s]:" : "%s:", spec->address);
        if (spec->host)
                at += (size_t)format_ports(ret + at, room - at, spec->host, spec->n);
        if (spec->host || spec->address[0])
                at += (size_t)snprintf(ret + at, room - at, ":");
        at += (size_t)format_ports(ret + at, room - at, spec->guest, spec->n);
        snprintf(ret + at, room - at, "%s", spec->udp ? "/udp" : "");
}

bool port_spec_collides(const PortSpec *a, const PortSpec *b)
{
        return a->host && b->host && a->udp == b->udp && a->host < b->host + b->n &&
               b->host < a->host + a->n &&
               (!a->address[0] || !b->address[0] || strcmp(a->address, b->address) == 0);
}
