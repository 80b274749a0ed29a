/* Tells a guest how names become addresses, before its containers are made; see network.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "uvmd/journal.h"
#include "uvmd/net/network.h"
#include "uvmd/net/network_guest.h"
#include "uvmd/net/resolver.h"
#include "uvmd/sandbox.h"
#include "uvmd/strv.h"

/* Those networks that made their interface say something, maybe that nothing is known of names. */
static int resolver_fill(const Sandbox *sandbox, AgentResolver *ret)
{
        _cleanup_(strv_freep) char **names = strv_new();
        json_object *results[NETWORK_ATTACHMENTS_MAX];
        size_t n = 0;
        int r = names ? network_names_add(sandbox, &names) : -ENOMEM;

        for_each_attachment (attachment, &sandbox->network) {
                if (attachment->result && n < ELEMENTSOF(results))
                        results[n++] = attachment->result;
        }
        return r < 0 ? r : resolver_make(ret, &sandbox->config, results, n, names);
}

static void resolver_on_reply(void *userdata, int r, const ShimReply *reply)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        Sandbox *sandbox = userdata;
        uint8_t code;

        if (!reply || r == -ECANCELED)
                return;
        if (r >= 0)
                r = task_read_answer(reply, "/etc/resolv.conf", &code, &error);
        if (r >= 0)
                return;
        sandbox->network.names = 0;
        sandbox_log_warning(sandbox, "the guest doesn't take its name servers: %s",
                            error.message ?: strerror(-r));
}

static bool resolver_is_empty(const AgentResolver *resolver)
{
        return resolver->nameservers.n + resolver->search.n + resolver->options.n +
                       resolver->hosts.n ==
               0;
}

/* FNV-1a; never 0. */
static uint64_t hash_of(const uint8_t *bytes, size_t size)
{
        uint64_t hash = 0xcbf29ce484222325;

        for (size_t i = 0; i < size; i++)
                hash = (hash ^ bytes[i]) * 0x100000001b3;
        return hash ?: 1;
}

int network_send_resolver(Sandbox *sandbox)
{
        _cleanup_(agent_resolver_done) AgentResolver resolver = {};
        _cleanup_(freep) uint8_t *buffer = malloc(SHIM_PAYLOAD_MAX);
        uint64_t hash;
        size_t size;
        int r;

        r = buffer ? resolver_fill(sandbox, &resolver) : -ENOMEM;
        if (r >= 0 && resolver_is_empty(&resolver) && !sandbox->network.names)
                return 0;
        if (r >= 0)
                r = agent_resolver_encode(&resolver, buffer, SHIM_PAYLOAD_MAX, &size);
        if (r < 0)
                return r;
        hash = hash_of(buffer, size);
        if (hash == sandbox->network.names)
                return 0;
        r = sandbox_ask_agent(sandbox, AGENT_REQUEST_RESOLVER, 0, buffer, size, resolver_on_reply,
                              sandbox);
        if (r >= 0)
                sandbox->network.names = hash;
        return r;
}
