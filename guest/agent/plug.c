/* Devices that come and go; see plug.h. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"

#include "agent/plug.h"
#include "agent/textfile.h"
#include "agent/worker.h"

#define DRIVER "/sys/bus/platform/drivers/virtio-mmio/"

typedef struct Plug {
        Guest *guest;
        uint32_t request;
        uint32_t slot;
        bool bind;
} Plug;

static int plug_run(void *argument, int output)
{
        const Plug *plug = argument;
        char name[32];
        int n = snprintf(name, sizeof(name), "virtio-mmio.%u", plug->slot);

        return text_write(AT_FDCWD, plug->bind ? DRIVER "bind" : DRIVER "unbind", name, (size_t)n);
}

static void plug_done(void *context, int r, int output)
{
        Plug *plug = context;

        if (r < 0)
                guest_reply_error(plug->guest, plug->request, r, "cannot %s virtio-mmio slot %u",
                                  plug->bind ? "plug" : "unplug", plug->slot);
        else
                guest_reply(plug->guest, plug->request, NULL);
        free(plug);
}

void plug_slot(Guest *guest, uint32_t request, uint32_t slot, bool bind)
{
        Plug *plug = malloc(sizeof(*plug));
        int r = -ENOMEM;

        if (plug) {
                *plug = (Plug){.guest = guest, .request = request, .slot = slot, .bind = bind};
                r = worker_start(guest->loop, plug_run, plug, plug_done, plug);
        }
        if (r < 0) {
                guest_reply_error(guest, request, r, "virtio-mmio slot %u", slot);
                free(plug);
        }
}
