/* Names and addresses of networks; see network_spec.h. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "proto/agent_network.h"
#include "uvmd/net/network_spec.h"

#define ALPHANUMERIC "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
#define HOST_MAX     253 /* of a domain name, RFC 1035 */

ENUM_TABLE(network_spec_kind, NetworkSpecKind, NETWORK_SPEC_KIND_MAX_)
= {
        [NETWORK_SPEC_NONE] = "none",   [NETWORK_SPEC_PRIVATE] = "private",
        [NETWORK_SPEC_NAMED] = "named", [NETWORK_SPEC_CNI] = "cni",
        [NETWORK_SPEC_HOST] = "host",   [NETWORK_SPEC_OVS] = "ovs",
};

bool network_name_is_valid(const char *name)
{
        size_t size = strnlen(name, NETWORK_NAME_MAX + 1);

        return size >= 1 && size <= NETWORK_NAME_MAX && strspn(name, ALPHANUMERIC) > 0 &&
               strspn(name, ALPHANUMERIC "-_.") == size;
}

int network_spec_parse(NetworkSpec *ret, const char *text)
{
        static const struct {
                const char *prefix;
                NetworkSpecKind kind;
        } prefixes[] = {{"cni:", NETWORK_SPEC_CNI},
                        {"host:", NETWORK_SPEC_HOST},
                        {"ovs:", NETWORK_SPEC_OVS}};

        if (strcmp(text, "none") == 0 || strcmp(text, "private") == 0) {
                *ret = (NetworkSpec){
                        .kind = text[0] == 'n' ? NETWORK_SPEC_NONE : NETWORK_SPEC_PRIVATE,
                        .name = "",
                };
                return 0;
        }
        for (size_t i = 0; i < ELEMENTSOF(prefixes); i++) {
                size_t size = strlen(prefixes[i].prefix);

                if (strncmp(text, prefixes[i].prefix, size) != 0)
                        continue;
                if (prefixes[i].kind == NETWORK_SPEC_HOST
                            ? !agent_interface_name_is_valid(text + size)
                            : !network_name_is_valid(text + size))
                        return -EINVAL;
                *ret = (NetworkSpec){.kind = prefixes[i].kind, .name = text + size};
                return 0;
        }
        if (!network_name_is_valid(text))
                return -EINVAL;
        *ret = (NetworkSpec){.kind = NETWORK_SPEC_NAMED, .name = text};
        return 0;
}

bool network_spec_is_valid(const char *text)
{
        NetworkSpec spec;

        return network_spec_parse(&spec, text) >= 0;
}

bool network_spec_kind_is_attached(NetworkSpecKind kind)
{
        return kind == NETWORK_SPEC_NAMED || kind == NETWORK_SPEC_CNI || kind == NETWORK_SPEC_OVS;
}

static int hex_digit(char c)
{
        if (c >= '0' && c <= '9')
                return c - '0';
        if (c >= 'a' && c <= 'f')
                return c - 'a' + 10;
        return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -EINVAL;
}

int network_mac_parse(const char *text, uint8_t ret[6])
{
        uint8_t mac[6], any = 0;

        if (strnlen(text, 18) != 17)
                return -EINVAL;
        for (int i = 0; i < 6; i++) {
                int high = hex_digit(text[3 * i]), low = hex_digit(text[3 * i + 1]);

                if (high < 0 || low < 0 || (i < 5 && text[3 * i + 2] != ':'))
                        return -EINVAL;
                mac[i] = (uint8_t)(high << 4 | low);
                any |= mac[i];
        }
        if (!any || (mac[0] & 1))
                return -EINVAL;
        memcpy(ret, mac, 6);
        return 0;
}

bool network_mac_is_valid(const char *text)
{
        uint8_t mac[6];

        return network_mac_parse(text, mac) >= 0;
}

bool network_address_is_valid(const char *text)
{
        uint8_t bytes[sizeof(struct in6_addr)];

        return inet_pton(AF_INET, text, bytes) == 1 || inet_pton(AF_INET6, text, bytes) == 1;
}

bool network_cidr_is_valid(const char *text)
{
        char copy[INET6_ADDRSTRLEN + 4];
        size_t size = strnlen(text, sizeof(copy));
        uint32_t prefix;
        char *slash;

        if (size == sizeof(copy))
                return false;
        memcpy(copy, text, size + 1);
        slash = strchr(copy, '/');
        if (!slash)
                return false;
        *slash++ = 0;
        return network_address_is_valid(copy) &&
               parse_u32(slash, 1, strchr(copy, ':') ? 128 : 32, &prefix) >= 0;
}

bool network_any_address_is_valid(const char *text)
{
        return network_address_is_valid(text) || network_cidr_is_valid(text);
}

bool network_host_is_valid(const char *text)
{
        char line[HOST_MAX + INET6_ADDRSTRLEN + 8];

        return network_host_to_line(text, line, sizeof(line)) >= 0;
}

int network_host_to_line(const char *text, char *ret, size_t room)
{
        const char *colon = strchr(text, ':'), *address;
        size_t name = colon ? (size_t)(colon - text) : 0, size;
        char copy[INET6_ADDRSTRLEN + 2];
        int n;

        if (name == 0 || name > HOST_MAX || text[0] == '-' || text[0] == '.' ||
            strspn(text, ALPHANUMERIC "-_.") != name)
                return -EINVAL;
        address = colon + 1;
        size = strnlen(address, sizeof(copy));
        if (size == sizeof(copy))
                return -EINVAL;
        if (size > 2 && address[0] == '[' && address[size - 1] == ']') {
                address++;
                size -= 2;
        }
        memcpy(copy, address, size);
        copy[size] = 0;
        if (!network_address_is_valid(copy))
                return -EINVAL;
        n = snprintf(ret, room, "%s %.*s", copy, (int)name, text);
        return n < 0 || (size_t)n >= room ? -ERANGE : 0;
}

bool network_alias_is_valid(const char *text)
{
        size_t size = strnlen(text, HOST_MAX + 1);

        return size >= 1 && size <= HOST_MAX && text[0] != '-' && text[0] != '.' &&
               strspn(text, ALPHANUMERIC "-_.") == size;
}

bool network_argument_is_valid(const char *text)
{
        size_t key = strspn(text, ALPHANUMERIC "_");

        return key > 0 && text[key] == '=' && !strchr(text, ';') && !strchr(text + key + 1, '=') &&
               network_word_is_valid(text);
}

bool network_word_is_valid(const char *text)
{
        size_t size = strnlen(text, HOST_MAX + 1);

        for (size_t i = 0; i < size; i++)
                if ((unsigned char)text[i] <= ' ' || (unsigned char)text[i] >= 127)
                        return false;
        return size >= 1 && size <= HOST_MAX;
}
