/*
 * Adds a sandbox's interface to a CNI network and takes it out again: runs the plugins of the list one
 * after the other (specification 1.0.0, section 4). In workers. What must be taken back is in the
 * ledger before each step.
 */
#pragma once

#include "uvmd/net/cni_find.h"
#include "uvmd/net/ledger.h"
#include "uvmd/net/network_config.h"

/*
 * The ledger is empty and open. @namespace is the path of one, @name the
 * sandbox's. On failure what was made has been taken
 * back, or is still owed. The result is the ledger's "Result". 0 or -errno with @error.
 */
int cni_chain_add(Ledger *ledger, const CniPaths *paths, const NetworkConfig *config,
                  const char *name, const char *namespace, sd_bus_error *error);

/* Asks each plugin whether all is as it made it (CHECK). 0, or -errno with @error, which tells what is not. */
int cni_chain_check(Ledger *ledger, const CniPaths *paths, sd_bus_error *error);

/*
 * Takes back what the ledger says; the interface itself too if the namespace is there. Every plugin is
 * asked, the first failure is told. 0: nothing is owed any more.
 */
int cni_chain_delete(Ledger *ledger, const CniPaths *paths, sd_bus_error *error);
