/*
 * How a new uvmd finds the devices of a guest that goes on. Which slots they have is recorded as soon
 * as it is known. A kill in between leaves a device that nobody knows: the monitor's statistics list all, and one
 * that isn't recorded is taken out, so that its interface can have another. Then the namespace is
 * looked at as ever.
 */
#include <errno.h>

#include "base/log.h"
#include "proto/control.h"
#include "uvmd/journal.h"
#include "uvmd/net/network.h"
#include "uvmd/net/network_guest.h"
#include "uvmd/sandbox.h"

static bool slot_is_known(const Sandbox *sandbox, uint32_t slot)
{
        for_each_nic (nic, &sandbox->network)
                if (nic_is_plugged(nic) && nic->slot == slot)
                        return true;
        return false;
}

static bool stats_have(const ControlStats *stats, uint32_t slot)
{
        for (uint32_t i = 0; i < stats->n_devices; i++)
                if (stats->devices[i].kind == CONTROL_DEVICE_NET && stats->devices[i].slot == slot)
                        return true;
        return false;
}

static void adopt_on_removed(void *userdata, int r, const ShimReply *reply)
{
        if (reply)
                network_look(userdata);
}

static void adopt_remove(Sandbox *sandbox, uint32_t slot)
{
        ShimMessage message = {.type = SHIM_REMOVE_DEVICE, .remove_device = {.slot = slot}};

        sandbox_log_info(sandbox, "a network device in slot %u was half made and is removed", slot);
        if (sandbox->link)
                shim_link_request(sandbox->link, &message, NULL, 0, adopt_on_removed, sandbox);
}

static void adopt_compare(Sandbox *sandbox, const ControlStats *stats)
{
        for_each_nic (nic, &sandbox->network)
                if (!stats_have(stats, nic->slot))
                        nic_lose(nic);
        for (uint32_t i = 0; i < stats->n_devices; i++)
                if (stats->devices[i].kind == CONTROL_DEVICE_NET &&
                    !slot_is_known(sandbox, stats->devices[i].slot))
                        adopt_remove(sandbox, stats->devices[i].slot);
}

static int adopt_read(const ShimReply *reply, ControlMessage *message)
{
        ShimStats stats;
        int r = shim_stats_decode(reply->payload, reply->payload_size, &stats);

        if (r >= 0)
                r = control_decode(stats.vmm, stats.vmm_size, message);
        return r >= 0 && message->type != CONTROL_STATS ? -EBADMSG : r;
}

static void adopt_on_stats(void *userdata, int r, const ShimReply *reply)
{
        Sandbox *sandbox = userdata;
        ControlMessage message;

        if (!reply)
                return;
        if (r >= 0)
                r = adopt_read(reply, &message);
        if (r < 0)
                sandbox_log_warning_errno(sandbox, r, "its devices aren't known");
        if (r >= 0)
                adopt_compare(sandbox, &message.stats);
        network_look(sandbox);
}

void network_adopt(Sandbox *sandbox)
{
        ShimMessage message = {.type = SHIM_GET_STATS};

        sandbox->network.named = true;
        sandbox->network.routing.told = true;
        if (sandbox->network.state != NETWORK_JOINED)
                return;
        network_names_changed(sandbox->manager);
        if (shim_link_request(sandbox->link, &message, NULL, 0, adopt_on_stats, sandbox) < 0)
                sandbox_log_error(sandbox, "can't ask for its devices");
}
