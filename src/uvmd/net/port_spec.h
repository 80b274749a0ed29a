/*
 * A published port as people write it: "[[ADDRESS:][HOST]:]GUEST[/tcp|udp]", an IPv6 address in brackets. HOST and
 * GUEST may be ranges, "8000-8010", of one length. Without HOST any port of the host will do. Pure.
 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#define PORT_SPEC_TEXT_MAX 96 /* bytes of a text, with its NUL */

typedef struct PortSpec {
        char address[INET6_ADDRSTRLEN]; /* of the host, as inet_ntop(3) has it; "": all of them */
        uint16_t host, guest;           /* the first ones; host 0: any */
        uint16_t n;                     /* how many, one after the other */
        bool udp;
} PortSpec;

/* 0 or -EINVAL. */
int port_spec_parse(PortSpec *ret, const char *text);

/* For tables of options. */
bool port_spec_is_valid(const char *text);

/* One text for each spec. */
void port_spec_format(const PortSpec *spec, char ret[PORT_SPEC_TEXT_MAX]);

/* Whether the host can't have both at once. */
bool port_spec_collides(const PortSpec *a, const PortSpec *b);
