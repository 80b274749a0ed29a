/*
 * How the networks of a sandbox are named on the bus and what may be said of names, addresses and
 * hosts. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/enum.h"

#define NETWORK_TEXT_MAX 128 /* bytes of a Network option */
#define NETWORK_NAME_MAX 64

/* … what they must be, for tables of options. */
#define NETWORK_SPEC_EXPECTED                                                      \
        "\"none\", \"private\", \"bridge\", the name of a network, \"cni:NAME\", " \
        "\"host:INTERFACE\" "                                                      \
        "or \"ovs:BRIDGE\""
#define NETWORK_MAC_EXPECTED       "the address of one device, like \"02:00:00:00:00:01\""
#define NETWORK_ADDRESSES_EXPECTED "a list of addresses, like \"10.0.0.2\" or \"10.0.0.2/24\""
#define NETWORK_ARGUMENTS_EXPECTED "a list of \"KEY=VALUE\" without ';'"
#define NETWORK_ALIASES_EXPECTED   "a list of names of hosts"
#define NETWORK_PORTS_EXPECTED \
        "a list of \"[[ADDRESS:][HOST]:]GUEST[/tcp|udp]\", ranges like \"8000-8010\""

typedef enum NetworkSpecKind {
        NETWORK_SPEC_NONE,    /* no network at all */
        NETWORK_SPEC_PRIVATE, /* a namespace of its own with nothing in it */
        NETWORK_SPEC_NAMED,   /* "bridge", or NAME of /etc/uvm/networks: CNI plugins */
        NETWORK_SPEC_CNI,     /* NAME of /etc/cni/net.d */
        NETWORK_SPEC_HOST,    /* an interface of the host moves in */
        NETWORK_SPEC_OVS,     /* a port of an Open vSwitch bridge */
        NETWORK_SPEC_KIND_MAX_,
} NetworkSpecKind;
ENUM_DECLARE(network_spec_kind, NetworkSpecKind);

typedef struct NetworkSpec {
        NetworkSpecKind kind;
        const char *name; /* of the network, interface or bridge; points into the text; "": none */
} NetworkSpec;

/* "none", "private", NAME, "cni:NAME", "host:INTERFACE", "ovs:BRIDGE". 0 or -EINVAL. */
int network_spec_parse(NetworkSpec *ret, const char *text);
bool network_spec_is_valid(const char *text);

/* Of a network or bridge: letters, digits, '-', '_' and '.', the first a letter or digit. */
bool network_name_is_valid(const char *name);

/* Whether it takes an attachment (see attachment.h): there is something to make and to take back. */
bool network_spec_kind_is_attached(NetworkSpecKind kind);

/* "02:00:00:00:00:01": six pairs, not a group's address, not all zero. */
int network_mac_parse(const char *text, uint8_t ret[6]);
bool network_mac_is_valid(const char *text);

/* "192.0.2.1", "2001:db8::1", with @prefix also "192.0.2.1/24". */
bool network_address_is_valid(const char *text);
bool network_cidr_is_valid(const char *text);
bool network_any_address_is_valid(const char *text); /* either */

/* "NAME:ADDRESS" of Hosts; an IPv6 address may be in brackets. */
bool network_host_is_valid(const char *text);

/* A line of hosts(5) from it, in @ret. 0, -EINVAL, -ERANGE: @room is too small. */
int network_host_to_line(const char *text, char *ret, size_t room);

/* A domain or an option of resolv.conf(5): one printable word. */
bool network_word_is_valid(const char *text);

/* "KEY=VALUE" of CNI_ARGS: what separates them is in none. */
bool network_argument_is_valid(const char *text);

/* The name of a host, as in a line of hosts(5). */
bool network_alias_is_valid(const char *text);
