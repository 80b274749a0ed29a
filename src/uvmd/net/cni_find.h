/*
 * Where networks are described: /etc/uvm/networks for NAME, /etc/cni/net.d for "cni:NAME", by the name
 * inside the file, whatever the file is called; and the one that is built in, "bridge". In workers.
 */
#pragma once

#include <json-c/json.h>
#include <systemd/sd-bus.h>

#include "uvmd/net/network_spec.h"

#define CNI_BRIDGE_NAME "bridge" /* for people; its "name" is "uvm" */

/* Where uvmd looks, from its environment (see uvmd(8)) or the defaults. Borrowed. */
typedef struct CniPaths {
        const char *plugins;  /* "DIR:DIR…" */
        const char *networks; /* of uVM */
        const char *foreign;  /* of others */
        const char *run_dir;  /* leases of the built-in bridge are below */
} CniPaths;

void cni_paths_init(CniPaths *paths, const char *run_dir);

/* The list that @spec names. New object. 0 or -errno with @error. */
int cni_find(json_object **ret, const CniPaths *paths, const NetworkSpec *spec,
             sd_bus_error *error);

/*
 * Calls @visit for each list there is, or for each of uVM's own files; @path NULL: the one that is built in. A
 * positive answer ends the walk and is returned. 0 or -errno.
 */
typedef int (*CniVisit)(json_object *list, const char *path, void *userdata);
int cni_find_each(const CniPaths *paths, CniVisit visit, void *userdata);
int cni_find_own(const CniPaths *paths, CniVisit visit, void *userdata);

/*
 * All there are, as a JSON array of {Name, Kind, File, Type, Bridge, Subnets}, File of a built-in one
 * missing. Files that are not well formed have an Error instead. 0 or -errno.
 */
int cni_list_all(json_object **ret, const CniPaths *paths);
