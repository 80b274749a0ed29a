/*
 * How a guest's names become addresses: what the sandbox's options say, else what its networks say, else
 * what the host itself uses.
 */
#pragma once

#include <json-c/json.h>
#include <stdbool.h>

#include "proto/agent.h"
#include "uvmd/configuration.h"

#define RESOLVER_FILE_MAX (64 * 1024)

typedef struct Resolver {
        char **nameservers, **search, **options; /* see strv.h; NULL: nothing said */
        unsigned n_loopback;                     /* name servers left out: no guest reaches them */
} Resolver;

/*
 * Reads a resolv.conf(5) text. Addresses of the loopback network, and link-local ones, which would need
 * an interface of the host's, are left out. Pure. 0 or -ENOMEM.
 */
int resolver_parse(Resolver *ret, const char *text, size_t size);
void resolver_done(Resolver *resolver);

/*
 * The message for the guest: @results are those of its networks (CNI results; NULLs are skipped).
 * @names are lines of hosts(5)
 * behind those of the options. Without any, and without options, it is empty. 0 or -errno; agent_resolver_done() the message.
 */
int resolver_make(AgentResolver *ret, const SandboxConfig *config, json_object *const *results,
                  size_t n_results, char *const *names);
