/* Registration with systemd-machined; see machined.h. */
#include <stdio.h>

#include "base/log.h"
#include "uvmd/machined.h"

static int machined_on_reply(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        const sd_bus_error *refused = sd_bus_message_get_error(reply);

        /* After an adoption it is there already. */
        if (refused && !sd_bus_error_has_name(refused, "org.freedesktop.machine1.MachineExists"))
                log_debug("systemd-machined doesn't list the machine: %s", refused->message);
        return 0;
}

void machined_register(const Sandbox *sandbox)
{
        char name[ID_SIZE + 5];
        int r;

        snprintf(name, sizeof(name), "uvm-%s", sandbox->id);
        r = sd_bus_call_method_async(sandbox->manager->bus, NULL, "org.freedesktop.machine1",
                                     "/org/freedesktop/machine1",
                                     "org.freedesktop.machine1.Manager", "RegisterMachine",
                                     machined_on_reply, NULL, "sayssus", name, 0, "uvm", "vm",
                                     (uint32_t)sandbox->leader, "");
        if (r < 0)
                log_debug("Can't ask systemd-machined to list %s", name);
}
