/* What a sandbox is to have of one network: the options of AttachNetwork, and of CreateSandbox for the
 * first one. */
#pragma once

#include "uvmd/net/network_spec.h"
#include "uvmd/options.h"

#define NETWORK_PORTS_MAX     128  /* texts … */
#define NETWORK_PORTS_TOTAL   1024 /* … and ports: plugins make rules of each */
#define NETWORK_ADDRESSES_MAX 16
#define NETWORK_ALIASES_MAX   16
#define NETWORK_ARGUMENTS_MAX 16
#define NETWORK_BURST_MAX     (UINT32_MAX / 8) /* bytes; the plugin has 32 bits for its bits */
#define NETWORK_RATE_MAX      (1ULL << 50)     /* bytes a second */

typedef struct NetworkConfig {
        char *network;    /* a NetworkSpec */
        char *interface;  /* its name in the namespace and the guest; NULL: the next eth<n> */
        char *mac;        /* NULL: whatever it gets */
        char **addresses; /* with or without a prefix length, as the kind of network wants them */
        char **ports;     /* PortSpecs */
        uint64_t ingress_rate,
                ingress_burst; /* bytes, to the guest, by a plugin; 0: none, or a default */
        uint64_t egress_rate, egress_burst; /* from it */
        char **arguments;                   /* "KEY=VALUE", for plugins' CNI_ARGS */
        char **aliases; /* names for others in the network, beside the sandbox's own */
} NetworkConfig;

extern const Option network_options[];
extern const size_t network_options_n;

void network_config_done(NetworkConfig *config);

/* What the table can't say: which network takes what. 0 or -EINVAL with @error. */
int network_config_check(const NetworkConfig *config, sd_bus_error *error);
