/* Tells a guest how names become addresses, before its containers are made; see network.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "uvmd/journal.h"
#include "uvmd/net/network.h"
#include "uvmd/sandbox.h"
#include "uvmd/strv.h"

#define HOSTS_LINE_MAX 256

static int fill_strings(CodecStrings *into, char *const *from)
{
        into->items = from ? strv_copy(from) : strv_new();
        into->n = (uint32_t)strv_length(into->items);
        return into->items ? 0 : -ENOMEM;
}

static int fill_hosts(CodecStrings *into, char *const *hosts)
{
        int r = fill_strings(into, NULL);

        for (; r >= 0 && hosts && *hosts; hosts++) {
                char line[HOSTS_LINE_MAX];

                r = network_host_to_line(*hosts, line, sizeof(line));
                if (r >= 0)
                        r = strv_append(&into->items, line);
                if (r >= 0)
                        into->n++;
        }
        return r;
}

static int resolver_fill(const Sandbox *sandbox, AgentResolver *ret)
{
        const SandboxConfig *config = &sandbox->config;
        int r = fill_strings(&ret->nameservers, config->dns);

        if (r >= 0)
                r = fill_strings(&ret->search, config->dns_search);
        if (r >= 0)
                r = fill_strings(&ret->options, config->dns_options);
        return r < 0 ? r : fill_hosts(&ret->hosts, config->hosts);
}

static void resolver_on_reply(void *userdata, int r, const ShimReply *reply)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        const Sandbox *sandbox = userdata;
        uint8_t code;

        if (!reply || r == -ECANCELED)
                return;
        if (r >= 0)
                r = task_read_answer(reply, "/etc/resolv.conf", &code, &error);
        if (r < 0)
                sandbox_log_warning(sandbox, "the guest doesn't take its name servers: %s",
                                    error.message ?: strerror(-r));
}

static bool resolver_is_wanted(const Sandbox *sandbox)
{
        const SandboxConfig *config = &sandbox->config;

        return strv_length(config->dns) + strv_length(config->dns_search) +
                       strv_length(config->dns_options) + strv_length(config->hosts) >
               0;
}

int network_send_resolver(Sandbox *sandbox)
{
        _cleanup_(agent_resolver_done) AgentResolver resolver = {};
        _cleanup_(freep) uint8_t *buffer = malloc(SHIM_PAYLOAD_MAX);
        size_t size;
        int r;

        if (!resolver_is_wanted(sandbox))
                return 0;
        r = buffer ? resolver_fill(sandbox, &resolver) : -ENOMEM;
        if (r >= 0)
                r = agent_resolver_encode(&resolver, buffer, SHIM_PAYLOAD_MAX, &size);
        if (r >= 0)
                r = sandbox_ask_agent(sandbox, AGENT_REQUEST_RESOLVER, 0, buffer, size,
                                      resolver_on_reply, sandbox);
        return r;
}
