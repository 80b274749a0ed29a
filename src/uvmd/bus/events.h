/* Events on the bus: GetEvents and EventsNew of org.uvm1.Manager. */
#pragma once

#include "uvmd/bus/call.h"

int bus_get_events(BusCall *call, void *manager, sd_bus_error *error);

/* There are new ones: whoever listens is told, once for all that come in one turn of the loop. */
void bus_events_tell(Manager *manager);
