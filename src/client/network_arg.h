/*
 * What people write for a network, as podman takes it:
 *
 *      NAME | none | private | cni:NAME | host:INTERFACE | ovs:BRIDGE   [:OPTION=VALUE[,OPTION=VALUE…]]
 *      ns:PATH
 *
 * Options are ip, mac, alias, interface_name, ingress and egress (bytes a second) and arg (KEY=VALUE, for plugins).
 * Whether a name is one uvmd says. Pure.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define NETWORK_ARG_IPS_MAX     16
#define NETWORK_ARG_ALIASES_MAX 16

typedef struct NetworkArg {
        char *text;          /* owned; the strings below point into it */
        const char *network; /* as uvmd takes it; NULL: a namespace */
        const char *path;    /* of a namespace; NULL: none */
        const char *mac, *interface;
        const char *ips[NETWORK_ARG_IPS_MAX];
        size_t n_ips;
        uint64_t ingress, egress; /* 0: not given */
        const char *arguments[NETWORK_ARG_ALIASES_MAX];
        size_t n_arguments;
        const char *aliases[NETWORK_ARG_ALIASES_MAX];
        size_t n_aliases;
} NetworkArg;

/* 0; -EINVAL with one sentence in *ret_error (free() it); or -ENOMEM. */
int network_arg_parse(NetworkArg *arg, const char *text, char **ret_error);
void network_arg_done(NetworkArg *arg);
