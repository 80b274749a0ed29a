/*
 * A published port as people write it: "[ADDRESS:]HOST:GUEST[/tcp|udp]", an IPv6 address in brackets.
 * Pure.
 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct PortSpec {
        char address[INET6_ADDRSTRLEN]; /* of the host, as inet_ntop(3) has it; "": all of them */
        uint16_t host, guest;
        bool udp;
} PortSpec;

/* 0 or -EINVAL. */
int port_spec_parse(PortSpec *ret, const char *text);

/* For tables of options. */
bool port_spec_is_valid(const char *text);

/* Whether the host can't have both at once. */
bool port_spec_collides(const PortSpec *a, const PortSpec *b);
