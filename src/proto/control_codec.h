/* What the parts of the control messages' codec share; see control.h. Nobody else's. */
#pragma once

#include "base/wire.h"
#include "proto/control.h"

void control_put_stats(WireWriter *writer, const ControlStats *stats);
void control_get_stats(WireReader *reader, ControlStats *ret);
