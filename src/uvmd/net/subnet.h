/* Subnets, "10.0.0.0/24": what they hold and whether two have addresses in common. Pure. */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#define SUBNET_TEXT_MAX (INET6_ADDRSTRLEN + 4)

typedef struct Subnet {
        uint8_t bytes[sizeof(struct in6_addr)]; /* as given: bits behind the prefix may be set */
        int family;
        uint32_t prefix;
} Subnet;

/* Of what network_cidr_is_valid() takes. 0 or -EINVAL. */
int subnet_parse(Subnet *ret, const char *text);
void subnet_format(const Subnet *subnet, char ret[SUBNET_TEXT_MAX]);

/* Of @size bytes, 4 or 16. */
Subnet subnet_make(const void *bytes, int family, uint32_t prefix);

/* All bits behind the prefix are 0, or 1: its first and its last address. */
void subnet_clear(Subnet *subnet);
void subnet_fill(Subnet *subnet);

/* "10.0.0.1", without a prefix length. */
void subnet_format_address(const Subnet *subnet, char ret[INET6_ADDRSTRLEN]);

bool subnet_overlaps(const Subnet *a, const Subnet *b);
bool subnet_contains(const Subnet *subnet, const char *address);
