/* What is in which slot of a sandbox's board; see stats_reply.h. */
#include <stdio.h>
#include <string.h>

#include "uvmd/bus/stats_reply.h"
#include "uvmd/net/nic.h"

static StatsDevice *slot_of(StatsCall *call, uint32_t slot, const Container *container)
{
        StatsDevice *device = slot < CONTROL_SLOTS_MAX ? &call->devices[slot] : NULL;

        if (!device || device->known)
                return NULL;
        device->known = true;
        if (container)
                snprintf(device->container, sizeof(device->container), "%s", container->name);
        return device;
}

static void name(StatsCall *call, uint32_t slot, const Container *container, const char *text)
{
        StatsDevice *device = slot_of(call, slot, container);

        if (device)
                snprintf(device->name, sizeof(device->name), "%s", text);
}

static void name_mount(StatsCall *call, const Mount *mount)
{
        StatsDevice *device;

        if (mount->route != MOUNT_ROUTE_DEVICE || mount->state < MOUNT_PLUGGED)
                return;
        device = slot_of(call, mount->slot, mount->container);
        if (device)
                device->target = strdup(mount->config.target);
}

static void name_container(StatsCall *call, Container *container)
{
        if (container->stage == CONTAINER_PLUGGED || container->stage >= CONTAINER_CREATING)
                name(call, container->slot, container, "root");
        if (container->upper.state == UPPER_PLUGGED)
                name(call, container->upper.slot, container, "layer");
        list_for_each (item, &container->mounts)
                name_mount(call, LIST_ENTRY(item, Mount, link));
}

void stats_name_devices(Sandbox *sandbox, StatsCall *call)
{
        Container *container, *next;

        HASH_ITER (hh, sandbox->containers, container, next)
                name_container(call, container);
        list_for_each (item, &sandbox->network.nics) {
                const Nic *nic = LIST_ENTRY(item, Nic, link);

                if (nic_is_plugged(nic))
                        name(call, nic->slot, NULL, nic->network.name);
        }
        if (sandbox->binds.state == BINDS_PLUGGED)
                name(call, sandbox->binds.slot, NULL, "binds");
}
