/*
 * What is mounted once for the whole machine: 9p devices and disks. Linux mounts a 9p tag once
 * (net/9p/trans_virtio.c, p9_virtio_create), and the processes of a container may not open a disk
 * (devices.h). So each is mounted in the agent's mount namespace, at <state>/shares/TAG or
 * <state>/disks/SERIAL, and containers get bind mounts of it or of what lies below.
 *
 * A share is mounted by the child that sets up the first container to use it, or by the worker that
 * adds a mount (it may block), and unmounted by a worker when the last one has gone. Who mounts and
 * who unmounts at the same time would trip over each other: requests.c keeps them apart by the two
 * counters here.
 *
 * Options of 9p
 *
 *   msize        512000, the most that virtio carries, unless the host says less
 *   access=client  permissions are checked here, by this kernel, with the container's own ids
 *   posixacl     where it can be written to. Without it access control lists can't be set or seen;
 *                with it the client asks for two attributes of each inode it meets (fs/9p/acl.c,
 *                v9fs_get_acl): image layers, which nobody writes to, are spared that
 *   locktimeout  a blocking lock that another one holds is tried again each second, the least there
 *                is, not each 30 (fs/9p/vfs_file.c, v9fs_file_do_lock)
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/parse.h"
#include "proto/agent.h"

#include "agent/fault.h"

typedef struct Shares {
        List list;
        unsigned mounting;   /* children and workers that mount shares */
        unsigned unmounting; /* workers that unmount some */
} Shares;

#define SHARE_NAME_SIZE (NAME_SIZE_MAX + 8)

void shares_init(Shares *shares);
void shares_done(Shares *shares);

/* The share that @mount needs, as a path below the state directory: "shares/TAG", "disks/SERIAL".
 * False: it needs none, or its source is no legal name (then mounting it fails). */
bool shares_name(const AgentMount *mount, char name[SHARE_NAME_SIZE]);

/* The root's mounts as such: 0 is the root itself, 1 the disk of its writable layer. Borrows
 * from @root. False: there is no such. */
bool shares_of_root(const AgentRoot *root, unsigned i, AgentMount *ret);

/* Counts the shares that @spec uses. All or none: 0, -ENOMEM, -EBUSY: one of them is taken alone. */
int shares_take(Shares *shares, const AgentContainerSpec *spec);
int shares_take_mount(Shares *shares, const AgentMount *mount);

/* For one user who wants no other beside: -EBUSY if there is one. */
int shares_take_alone(Shares *shares, const AgentMount *mount);

/*
 * Gives them back. Those that nobody uses any more are named in @ret_unused (free with
 * shares_names_free()); they are forgotten here.
 */
void shares_give_back(Shares *shares, const AgentContainerSpec *spec, CodecStrings *ret_unused);
void shares_give_back_mount(Shares *shares, const AgentMount *mount, CodecStrings *ret_unused);
void shares_names_free(CodecStrings *names);

/* The names of all, to be freed as above. 0 or -ENOMEM. */
int shares_all(const Shares *shares, CodecStrings *ret);

/* True if the share of @mount has one user. */
bool shares_is_last(const Shares *shares, const AgentMount *mount);

/* In a child that may block, in the agent's mount namespace: mounts the share of @mount unless it
 * is. Several children may try at once. 0 or -errno with @fault filled in. */
int shares_mount(const char *state, const AgentMount *mount, Fault *fault);

/* In a worker: unmounts. 0 or -errno. */
int shares_unmount(const char *state, const char *name);

/* In a worker, of an unmounted share: 0; -EBUSY: some mount namespace still holds it. */
int shares_check_free(const AgentMount *mount);

/* Opens the share of @mount, or what lies at its subpath. 0 or -errno with @fault filled in. */
int shares_open(const char *state, const AgentMount *mount, int *ret_fd, Fault *fault);
