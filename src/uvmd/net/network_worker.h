/*
 * The work that a sandbox's networks make on the host, in workers: plugins are run, ports are made.
 * Each names its sandbox and the interface; any of them may be given again after a crash.
 */
#pragma once

#include "uvmd/manager.h"
#include "uvmd/net/network_config.h"
#include "uvmd/net/network_definition.h"
#include "uvmd/worker.h"

/* Plugins are allowed this long together. */
#define NETWORK_ATTACH_USEC (30 * 1000000ULL)

/*
 * Makes @interface in the namespace at the path @namespace, for a network whose kind is attached
 * (network_spec_kind_is_attached()). What an earlier one left is taken back first. The handler gets
 * the CNI result, as JSON text, as its payload. 0 or -errno.
 */
int network_attach_start(Worker **ret, Manager *manager, const char *id, const char *interface,
                         const NetworkConfig *config, const char *namespace, WorkerHandler handler,
                         void *userdata);

/* Takes back all that is owed for it: nothing may be. 0 or -errno. */
int network_detach_start(Worker **ret, Manager *manager, const char *id, const char *interface,
                         WorkerHandler handler, void *userdata);

/* Asks plugins whether all of it is as they made it. 0 or -errno. */
int network_check_start(Worker **ret, Manager *manager, const char *id, const char *interface,
                        WorkerHandler handler, void *userdata);

/* Takes back what sandboxes left that are not running, once records are read. Nobody is told. */
void network_sweep(Manager *manager);

/* network_make() and network_unmake() of network_make.h. 0 or -errno. */
int network_make_start(Worker **ret, Manager *manager, const char *name,
                       NetworkDefinition *definition, WorkerHandler handler, void *userdata);
int network_unmake_start(Worker **ret, Manager *manager, const char *name, WorkerHandler handler,
                         void *userdata);

/* The handler gets what cni_list_all() makes, as JSON text. 0 or -errno. */
int network_list_start(Worker **ret, Manager *manager, WorkerHandler handler, void *userdata);
