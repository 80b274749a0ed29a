/* The binds device; see binds.h. */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "uvmd/binds.h"
#include "uvmd/mount.h"
#include "uvmd/sandbox.h"

/* What waits for it goes on, or fails. */
static void binds_tell(Sandbox *sandbox, int r, const char *text)
{
        Container *container, *next;

        HASH_ITER (hh, sandbox->containers, container, next) {
                mounts_on_binds(container, r, text);
                container_continue(container);
        }
}

static void binds_on_plugged(void *userdata, int r, const ShimReply *reply)
{
        Sandbox *sandbox = userdata;

        if (!reply || r == -ECANCELED || sandbox->binds.state != BINDS_PLUGGING)
                return;
        sandbox->binds.state = r < 0 ? BINDS_ABSENT : BINDS_PLUGGED;
        sandbox->binds.slot = reply->value;
        if (r >= 0)
                sandbox_save(sandbox);
        binds_tell(sandbox, r, reply->text);
}

int binds_want(Sandbox *sandbox)
{
        ShimMessage message = {
                .type = SHIM_ADD_DEVICE,
                .add_device = {.kind = SHIM_DEVICE_BINDS, .tag = BINDS_TAG},
        };
        int r;

        if (sandbox->binds.state != BINDS_ABSENT)
                return 0;
        r = shim_link_request(sandbox->link, &message, NULL, 0, binds_on_plugged, sandbox);
        if (r >= 0)
                sandbox->binds.state = BINDS_PLUGGING;
        return r;
}

void binds_on_guest_gone(Sandbox *sandbox)
{
        sandbox->binds = (Binds){};
}
