/* The kinds of networks whose interfaces workers make: CNI plugins' and Open vSwitch's; see network.h
 * and network_worker.h. */
#include <errno.h>

#include "uvmd/json.h"
#include "uvmd/net/cni_result.h"
#include "uvmd/net/kind_worker.h"
#include "uvmd/net/network_worker.h"
#include "uvmd/net/ports.h"
#include "uvmd/sandbox.h"

static void kind_on_attached(void *userdata, int r, const sd_bus_error *error,
                             const uint8_t *payload, size_t size, IoMessage *message)
{
        NetworkAttachment *attachment = userdata;
        json_object *result = NULL;

        attachment->worker = NULL;
        if (r >= 0)
                r = cni_result_parse(&result, (const char *)payload, size);
        if (r >= 0) {
                json_object_put(attachment->result);
                attachment->result = result;
        }
        network_on_attached(attachment, r, error);
}

static int kind_attach(NetworkAttachment *attachment, sd_bus_error *error)
{
        Sandbox *sandbox = attachment->sandbox;
        _cleanup_(freep) char *path = network_path(sandbox);
        int r = path ? ports_check_sandboxes(attachment, error) : -ENOMEM;

        if (r < 0)
                return r;
        return network_attach_start(&attachment->worker, sandbox->manager, sandbox->id,
                                    attachment->config.interface, &attachment->config, path,
                                    kind_on_attached, attachment);
}

static void kind_on_detached(void *userdata, int r, const sd_bus_error *error,
                             const uint8_t *payload, size_t size, IoMessage *message)
{
        NetworkAttachment *attachment = userdata;

        attachment->worker = NULL;
        network_on_detached(attachment, r, error);
}

static int kind_detach(NetworkAttachment *attachment, sd_bus_error *error)
{
        Sandbox *sandbox = attachment->sandbox;

        return network_detach_start(&attachment->worker, sandbox->manager, sandbox->id,
                                    attachment->config.interface, kind_on_detached, attachment);
}

const NetworkKind network_kind_worker = {.attach = kind_attach, .detach = kind_detach};
