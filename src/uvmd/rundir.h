/* The runtime directories of sandboxes, RUNDIR/ID: what is in them is the shim's. */
#pragma once

#include "proto/shim.h"

/* RUNDIR/ID/NAME, or RUNDIR/ID for a NULL @name; free() it. NULL: out of memory. */
char *rundir_path(const char *run_dir, const char *id, const char *name);

/* Makes it anew (what an earlier run left is removed) and opens it. 0 or -errno. */
int rundir_make(const char *run_dir, const char *id, int *ret);

/* The shim's last word. 0, -ENOENT: none, -EBADMSG, -errno. */
int rundir_read_end(const char *run_dir, const char *id, ShimEndRecord *ret);

/* Removes the directory with its files; failures are logged. */
void rundir_remove(const char *run_dir, const char *id);

/* Removes every directory whose name is an id that @is_known doesn't know. */
void rundir_sweep(const char *run_dir, bool (*is_known)(void *userdata, const char *id),
                  void *userdata);
