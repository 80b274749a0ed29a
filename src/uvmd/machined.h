/* systemd-machined: a running sandbox is listed there as machine "uvm-ID". It ends with its scope. */
#pragma once

#include "uvmd/sandbox.h"

/* Asks and doesn't wait; hosts without machined do without. */
void machined_register(const Sandbox *sandbox);
