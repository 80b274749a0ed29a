/*
 * The sweep; see sweep.h. A device that is being plugged in while the monitor answers may be in its
 * list without being known yet: then the answer counts for nothing, and the next round will do.
 */
#include <errno.h>

#include "base/clock.h"
#include "base/log.h"
#include "proto/control.h"
#include "uvmd/journal.h"
#include "uvmd/sandbox.h"
#include "uvmd/transfer.h"
#include "uvmd/transfer_kinds.h"

#define SWEEP_AGAIN_USEC (10 * USEC_PER_SEC)
#define SWEEP_ROUNDS_MAX 60

static bool mount_has_slot(const Mount *mount)
{
        return mount->route == MOUNT_ROUTE_DEVICE && mount->state >= MOUNT_PLUGGED;
}

static bool container_knows(const Container *container, uint32_t slot)
{
        const Transfer *transfer = container->transfer;

        if (container->stage >= CONTAINER_PLUGGED && container->slot == slot)
                return true;
        if (container->upper.state == UPPER_PLUGGED && container->upper.slot == slot)
                return true;
        if (transfer && transfer->state > TRANSFER_PLUGGING && transfer->slot == slot)
                return true;
        list_for_each (item, (List *)&container->mounts) {
                const Mount *mount = LIST_ENTRY(item, Mount, link);

                if (mount_has_slot(mount) && mount->slot == slot)
                        return true;
        }
        return false;
}

static bool container_is_plugging(const Container *container)
{
        return container->stage == CONTAINER_PLUGGING || upper_is_moving(container) ||
               mounts_are_moving(container) ||
               (container->transfer && container->transfer->state == TRANSFER_PLUGGING);
}

static bool sweep_knows(Sandbox *sandbox, uint32_t slot)
{
        Container *container, *next;

        if (sandbox->binds.state == BINDS_PLUGGED && sandbox->binds.slot == slot)
                return true;
        HASH_ITER (hh, sandbox->containers, container, next)
                if (container_knows(container, slot))
                        return true;
        return false;
}

static bool sweep_must_wait(Sandbox *sandbox)
{
        Container *container, *next;

        if (sandbox->state != SANDBOX_RUNNING || sandbox->binds.state == BINDS_PLUGGING)
                return true;
        HASH_ITER (hh, sandbox->containers, container, next)
                if (container_is_plugging(container))
                        return true;
        return false;
}

static void sweep_remove(Sandbox *sandbox, uint32_t slot)
{
        ShimMessage message = {
                .type = SHIM_REMOVE_DEVICE,
                .remove_device = {.slot = slot},
        };

        sandbox_log_info(sandbox, "the device in slot %u is nobody's, and is taken away", slot);
        shim_link_request(sandbox->link, &message, NULL, 0, NULL, NULL);
}

static int sweep_on_again(sd_event_source *source, uint64_t usec, void *userdata);

/* Whatever came of this round: the next one sees whether something is left. */
static void sweep_again(Sandbox *sandbox)
{
        sandbox->sweep.again = sd_event_source_disable_unref(sandbox->sweep.again);
        if (++sandbox->sweep.rounds == SWEEP_ROUNDS_MAX) {
                sandbox_log_warning(sandbox, "the guest doesn't let a device go that nobody uses");
                return;
        }
        sd_event_add_time_relative(sandbox->manager->event, &sandbox->sweep.again, CLOCK_MONOTONIC,
                                   SWEEP_AGAIN_USEC, 0, sweep_on_again, sandbox);
}

/* How many of them are nobody's; all are taken away. */
static unsigned sweep_all(Sandbox *sandbox, const ControlStats *stats)
{
        unsigned n = 0;

        for (uint32_t i = 0; i < stats->n_devices; i++) {
                const ControlDeviceStats *device = &stats->devices[i];

                if ((device->kind != CONTROL_DEVICE_P9 && device->kind != CONTROL_DEVICE_BLOCK) ||
                    sweep_knows(sandbox, device->slot))
                        continue;
                sweep_remove(sandbox, device->slot);
                n++;
        }
        return n;
}

static void sweep_on_stats(void *userdata, int r, const ShimReply *reply)
{
        Sandbox *sandbox = userdata;
        ControlMessage monitor;
        ShimStats stats;

        if (!reply || !sandbox->link)
                return;
        if (r < 0 || shim_stats_decode(reply->payload, reply->payload_size, &stats) < 0 ||
            stats.vmm_size == 0 || control_decode(stats.vmm, stats.vmm_size, &monitor) < 0 ||
            monitor.type != CONTROL_STATS)
                sweep_again(sandbox);
        else if (sweep_must_wait(sandbox) || sweep_all(sandbox, &monitor.stats) > 0)
                sweep_again(sandbox);
}

static void sweep_ask(Sandbox *sandbox)
{
        ShimMessage message = {.type = SHIM_GET_STATS};

        if (!sandbox->link ||
            shim_link_request(sandbox->link, &message, NULL, 0, sweep_on_stats, sandbox) < 0)
                sweep_again(sandbox);
}

static int sweep_on_again(sd_event_source *source, uint64_t usec, void *userdata)
{
        sweep_ask(userdata);
        return 0;
}

void sweep_begin(Sandbox *sandbox)
{
        sandbox->sweep.rounds = 0;
        sweep_ask(sandbox);
}

void sweep_end(Sandbox *sandbox)
{
        sandbox->sweep.again = sd_event_source_disable_unref(sandbox->sweep.again);
}
