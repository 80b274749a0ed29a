/* Networks of CNI plugins and of Open vSwitch, as a kind of network.h. */
#pragma once

#include "uvmd/net/network.h"

extern const NetworkKind network_kind_worker;
