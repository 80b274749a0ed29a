/* The network of a sandbox that is being made: a namespace that the caller gives, and the first thing to
 * attach; see network.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "uvmd/errors.h"
#include "uvmd/net/netns.h"
#include "uvmd/net/network.h"
#include "uvmd/net/network_guest.h"
#include "uvmd/sandbox.h"
#include "uvmd/strv.h"

typedef struct HoldCall {
        Manager *manager;
        char id[ID_SIZE + 1];
        sd_bus_message *call;
        NetworkHeld done;
} HoldCall;

static void network_on_held(void *userdata, int r, const sd_bus_error *error,
                            const uint8_t *payload, size_t size, IoMessage *message)
{
        HoldCall *hold = userdata;
        /* It may have been deleted meanwhile. */
        Sandbox *sandbox = manager_find_sandbox(hold->manager, hold->id);

        if (r >= 0 && !sandbox)
                r = -ECANCELED;
        if (r >= 0) {
                sandbox->config.network_namespace = fd_close(sandbox->config.network_namespace);
                sandbox_save(sandbox);
                hold->done(sandbox, hold->call);
        } else {
                error_reply(hold->call, r, error);
                if (sandbox)
                        sandbox_forget(sandbox);
                else
                        netns_drop(hold->manager->paths.run_dir, hold->id);
        }
        sd_bus_message_unref(hold->call);
        free(hold);
}

int network_hold_given(Sandbox *sandbox, sd_bus_message *call, NetworkHeld done)
{
        NetnsOptions options = {
                .run_dir = sandbox->manager->paths.run_dir,
                .id = sandbox->id,
                .given = sandbox->config.network_namespace,
        };
        HoldCall *hold = calloc(1, sizeof(*hold));
        Worker *worker;
        int r = hold ? 0 : -ENOMEM;

        sandbox->network.given = true;
        if (r >= 0) {
                *hold = (HoldCall){.manager = sandbox->manager, .done = done};
                strcpy(hold->id, sandbox->id);
                /* It ends by itself, at the latest by its time limit: nobody has to hold it. */
                r = netns_hold(&worker, sandbox->manager->event, &options, network_on_held, hold);
        }
        if (r < 0) {
                free(hold);
                sandbox_forget(sandbox);
                return r;
        }
        hold->call = sd_bus_message_ref(call);
        return 0;
}

static int config_copy(const NetworkConfig *from, NetworkConfig *ret)
{
        NetworkConfig config = {
                .network = from->network ? strdup(from->network) : NULL,
                .interface = from->interface ? strdup(from->interface) : NULL,
                .mac = from->mac ? strdup(from->mac) : NULL,
                .addresses = strv_copy(from->addresses),
                .ports = strv_copy(from->ports),
                .aliases = strv_copy(from->aliases),
                .arguments = strv_copy(from->arguments),
                .ingress_rate = from->ingress_rate,
                .ingress_burst = from->ingress_burst,
                .egress_rate = from->egress_rate,
                .egress_burst = from->egress_burst,
        };

        if (!config.network || (from->interface && !config.interface) ||
            (from->mac && !config.mac) || (from->addresses && !config.addresses) ||
            (from->ports && !config.ports) || (from->aliases && !config.aliases) ||
            (from->arguments && !config.arguments)) {
                network_config_done(&config);
                return -ENOMEM;
        }
        *ret = config;
        return 0;
}

int network_configure(Sandbox *sandbox, sd_bus_error *error)
{
        _cleanup_(network_config_done) NetworkConfig config = {};
        NetworkAttachment *attachment;
        NetworkSpec spec;
        int r;

        if (!sandbox->config.network.network)
                return 0;
        r = network_spec_parse(&spec, sandbox->config.network.network);
        if (r < 0 || spec.kind == NETWORK_SPEC_NONE || spec.kind == NETWORK_SPEC_PRIVATE)
                return r;
        r = config_copy(&sandbox->config.network, &config);
        if (r >= 0)
                r = attachment_new(&attachment, sandbox, &config, error);
        if (r < 0)
                return r;
        attachment->goal = ATTACHMENT_KEPT;
        sandbox_save(sandbox);
        return 0;
}
