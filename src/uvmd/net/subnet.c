/* Subnets; see subnet.h. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "uvmd/net/network_spec.h"
#include "uvmd/net/subnet.h"

static uint32_t width(const Subnet *subnet)
{
        return subnet->family == AF_INET6 ? 128 : 32;
}

Subnet subnet_make(const void *bytes, int family, uint32_t prefix)
{
        Subnet subnet = {.family = family, .prefix = prefix};

        memcpy(subnet.bytes, bytes, width(&subnet) / 8);
        return subnet;
}

int subnet_parse(Subnet *ret, const char *text)
{
        char copy[SUBNET_TEXT_MAX], *slash;
        Subnet subnet = {};

        if (!network_cidr_is_valid(text))
                return -EINVAL;
        strcpy(copy, text);
        slash = strchr(copy, '/');
        *slash++ = 0;
        subnet.family = strchr(copy, ':') ? AF_INET6 : AF_INET;
        if (inet_pton(subnet.family, copy, subnet.bytes) != 1 ||
            parse_u32(slash, 0, width(&subnet), &subnet.prefix) < 0)
                return -EINVAL;
        *ret = subnet;
        return 0;
}

void subnet_format_address(const Subnet *subnet, char ret[INET6_ADDRSTRLEN])
{
        inet_ntop(subnet->family, subnet->bytes, ret, INET6_ADDRSTRLEN);
}

void subnet_format(const Subnet *subnet, char ret[SUBNET_TEXT_MAX])
{
        char address[INET6_ADDRSTRLEN];

        subnet_format_address(subnet, address);
        snprintf(ret, SUBNET_TEXT_MAX, "%s/%u", address, subnet->prefix);
}

static void set_rest(Subnet *subnet, bool ones)
{
        for (uint32_t i = subnet->prefix; i < width(subnet); i++) {
                uint8_t bit = (uint8_t)(0x80 >> (i % 8));

                subnet->bytes[i / 8] = ones ? subnet->bytes[i / 8] | bit
                                            : subnet->bytes[i / 8] & (uint8_t)~bit;
        }
}

void subnet_clear(Subnet *subnet)
{
        set_rest(subnet, false);
}

void subnet_fill(Subnet *subnet)
{
        set_rest(subnet, true);
}

bool subnet_overlaps(const Subnet *a, const Subnet *b)
{
        uint32_t bits = MIN(a->prefix, b->prefix);

        if (a->family != b->family || memcmp(a->bytes, b->bytes, bits / 8) != 0)
                return false;
        return bits % 8 == 0 || ((a->bytes[bits / 8] ^ b->bytes[bits / 8]) >> (8 - bits % 8)) == 0;
}

bool subnet_contains(const Subnet *subnet, const char *address)
{
        uint8_t bytes[sizeof(struct in6_addr)];
        int family = strchr(address, ':') ? AF_INET6 : AF_INET;
        Subnet one;

        if (family != subnet->family || inet_pton(family, address, bytes) != 1)
                return false;
        one = subnet_make(bytes, family, width(subnet));
        return subnet_overlaps(subnet, &one);
}
