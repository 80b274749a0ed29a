/*
 * The sources of mounts: opened, looked at, made into exports by a worker; see mount.h. What a worker
 * tells is decoded; what a caller's fd is nobody trusts.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "uvmd/errors.h"
#include "uvmd/export.h"
#include "uvmd/mount.h"
#include "uvmd/mount_guest.h"
#include "uvmd/sandbox.h"
#include "uvmd/storage/disk.h"
#include "uvmd/volume.h"
#include "uvmd/volume_fill.h"

bool mount_is_single(const Mount *mount)
{
        return mount->kind == MOUNT_BIND && mount->origin.uid != 0;
}

static int mount_take_found(Mount *mount, const ExportFound *found, sd_bus_error *error)
{
        const Sandbox *sandbox = mount->container->task.sandbox;
        MountOrigin *origin = &mount->origin;

        if (mount->kind == MOUNT_VOLUME) {
                origin->directory = true;
                return 0;
        }
        origin->directory = found->directory && mount->kind == MOUNT_BIND;
        mount->endless = found->endless;
        /* One that is opened again was compared in the worker. */
        if (mount->goal != MOUNT_NEW)
                return 0;
        origin->device = found->file.device;
        origin->inode = found->file.inode;
        origin->born = found->file.born;
        origin->born_nsec = found->file.born_nsec;
        origin->gid = found->gid;
        if (mount->kind == MOUNT_BLOCK || found->mappable ||
            (mount->state != MOUNT_PROBING && !sandbox->identity))
                return 0;
        if (origin->uid != 0 || sandbox->owner != 0)
                return error_set(
                        error, -EOPNOTSUPP, ERROR_NOT_SUPPORTED,
                        "User ids can't be mapped on the file system of %s, or on one that "
                        "is mounted below it: only root's sandboxes can have it. ext4, xfs "
                        "and btrfs can be mapped; overlayfs, tmpfs, NFS and FUSE can't.",
                        mount->config.source_path);
        origin->identity = true;
        return 0;
}

/* A disk is a device; the name that the guest finds it by is its serial. */
static int mount_choose_disk(Mount *mount, sd_bus_error *error)
{
        Sandbox *sandbox = mount->container->task.sandbox;

        if (sandbox_count_slots(sandbox) >= sandbox->slots)
                return error_set(error, -EMFILE, ERROR_LIMIT_EXCEEDED,
                                 "The virtual machine has no device slot left for %s; attach it "
                                 "before the start, or detach something.",
                                 mount->config.target);
        mount->route = MOUNT_ROUTE_DEVICE;
        mount_name_disk(mount);
        return 0;
}

/* What is behind the binds device is never cached loosely. */
static void mount_share_cache(Mount *mount)
{
        if (mount->cache != AGENT_CACHE_LOOSE)
                return;
        if (mount->volume)
                volume_hold_otherwise(mount->volume, mount->cache, AGENT_CACHE_MMAP);
        mount->cache = AGENT_CACHE_MMAP;
}

/*
 * Directories have a device of their own while there are slots; one is kept for the binds device. A
 * single file can't have one, wherever it lies: Linux's client wants a directory as root.
 */
static int mount_choose_route(Mount *mount, sd_bus_error *error)
{
        Sandbox *sandbox = mount->container->task.sandbox;
        unsigned spare = sandbox->binds.state == BINDS_ABSENT ? 1 : 0;

        if (mount->kind == MOUNT_BLOCK)
                return mount_choose_disk(mount, error);
        mount->route = MOUNT_ROUTE_BINDS;
        if (mount->origin.directory && sandbox_count_slots(sandbox) + spare < sandbox->slots)
                mount->route = MOUNT_ROUTE_DEVICE;
        if (mount->route == MOUNT_ROUTE_DEVICE) {
                snprintf(mount->tag, sizeof(mount->tag), "m%u", mount->id);
                return 0;
        }
        /* One that hangs would take all that is behind the binds device with it. */
        if (mount->origin.directory && mount->endless)
                return error_set(error, -EMFILE, ERROR_LIMIT_EXCEEDED,
                                 "%s is on a file system that may have to be waited for (FUSE, "
                                 "network), which wants a device of its own, and the virtual "
                                 "machine has no slot left; attach it before the start, or detach "
                                 "something.",
                                 mount->config.target);
        if (mount->cache == AGENT_CACHE_LOOSE && mount->config.cache)
                return error_set(error, -EMFILE, ERROR_LIMIT_EXCEEDED,
                                 "%s can't be cached loosely: it is a single file, or the virtual "
                                 "machine has no device slot left. Leave the cache mode out.",
                                 mount->config.target);
        if (mount->config.bytes || mount->config.ops)
                return error_set(error, -EMFILE, ERROR_LIMIT_EXCEEDED,
                                 "%s can't be limited: it is a single file, or the virtual machine "
                                 "has no device slot left.",
                                 mount->config.target);
        mount_share_cache(mount);
        snprintf(mount->tag, sizeof(mount->tag), "b%u", mount->id);
        return 0;
}

static void mount_on_export(void *userdata, int r, const sd_bus_error *error,
                            const uint8_t *payload, size_t size, IoMessage *message)
{
        _cleanup_(sd_bus_error_free) sd_bus_error failure = SD_BUS_ERROR_NULL;
        Mount *mount = userdata;
        Container *container = mount->container;
        bool probing = mount->state == MOUNT_PROBING;
        /* A disk that was only looked at isn't kept open: it would stay locked. */
        bool has_fd = !probing || mount->kind != MOUNT_BLOCK;
        ExportFound found;

        mount->worker = NULL;
        mount->config.source = fd_close(mount->config.source);
        sd_bus_error_copy(&failure, error);
        if (r >= 0)
                r = export_read_found(payload, size, &found);
        if (r >= 0 && message->n_fds != has_fd)
                r = -EBADMSG;
        if (r >= 0)
                r = mount_take_found(mount, &found, &failure);
        if (r >= 0 && !probing)
                r = mount_choose_route(mount, &failure);
        if (r < 0 || probing)
                mount_set_state(mount, MOUNT_ABSENT);
        if (r >= 0 && probing && has_fd) {
                mount->tree = TAKE_FD(message->fds[0]);
        } else if (r >= 0 && !probing) {
                mount->fd = TAKE_FD(message->fds[0]);
                mount_set_state(mount, MOUNT_EXPORTED);
        }
        if (r < 0)
                mount_fail(mount, r, &failure);
        else
                mount_continue(mount);
        mount_pass_on(container);
}

static int mount_start_worker(Mount *mount, const MountCaller *caller, bool probe,
                              sd_bus_error *error)
{
        Sandbox *sandbox = mount->container->task.sandbox;
        const MountOrigin *origin = &mount->origin;
        _cleanup_(fd_closep) int volume = FD_NONE, tree = FD_NONE;
        ExportOptions options = {
                .source = mount->config.source,
                .path = mount->config.source_path,
                .uid = origin->uid,
                .gid = origin->gid,
                .caller = caller ? caller->pid : 0,
                .map = mount_is_single(mount) ? EXPORT_MAP_SINGLE : EXPORT_MAP_RANGE,
                .range_base = sandbox->range_base,
                .read_only = mount->config.read_only,
                .probe = probe,
        };
        int r = 0;

        if (mount->volume) {
                r = volume_open(mount->volume, &volume);
                options.source = volume;
                options.path = mount->volume->name;
        } else if (!caller && mount->tree >= 0) {
                options.source = tree = TAKE_FD(mount->tree);
                options.detached = true;
        } else if (!caller) {
                options.expect = (ExportFile){origin->device, origin->inode, origin->born,
                                              origin->born_nsec};
        }
        if (sandbox->identity && !probe)
                options.map = EXPORT_MAP_IDENTITY;
        if (r < 0)
                return error_set(error, r, ERROR_FAILED, "The volume \"%s\" can't be opened: %s.",
                                 mount->volume->name, strerror(-r));
        return (mount->kind == MOUNT_BLOCK ? disk_open : export_start)(
                &mount->worker, sandbox->manager->event, &options, mount_on_export, mount);
}

int mount_probe(Mount *mount, const MountCaller *caller, sd_bus_error *error)
{
        int r = mount_start_worker(mount, caller, true, error);

        if (r >= 0)
                mount_set_state(mount, MOUNT_PROBING);
        return r;
}

static int mount_choose_cache(Mount *mount, sd_bus_error *error)
{
        const char *cache = mount->config.cache;

        if (mount->volume)
                return volume_hold(mount->volume, cache, &mount->cache, error);
        mount->cache = cache ? (AgentCache)agent_cache_from_string(cache) : AGENT_CACHE_MMAP;
        return 0;
}

/* Nobody else may be writing to it meanwhile. */
static bool mount_wants_filling(const Mount *mount)
{
        const Volume *volume = mount->volume;

        return volume && !mount->config.nocopy && mount->container->image &&
               volume->n_loose + volume->n_coherent == 1;
}

static void mount_on_filled(void *userdata, int r, const sd_bus_error *error,
                            const uint8_t *payload, size_t size, IoMessage *message)
{
        _cleanup_(sd_bus_error_free) sd_bus_error failure = SD_BUS_ERROR_NULL;
        Mount *mount = userdata;
        Container *container = mount->container;

        mount->worker = NULL;
        if (r >= 0)
                r = mount_start_worker(mount, NULL, false, &failure);
        else
                error_set(&failure, r, ERROR_FAILED,
                          "The volume \"%s\" can't be filled with what the image has at %s: %s",
                          mount->volume->name, mount->config.target,
                          error->message ?: strerror(-r));
        if (r >= 0) {
                mount_set_state(mount, MOUNT_EXPORTING);
                return;
        }
        mount_set_state(mount, MOUNT_ABSENT);
        mount_fail(mount, r, &failure);
        mount_pass_on(container);
}

static int mount_fill_volume(Mount *mount)
{
        _cleanup_(fd_closep) int volume = FD_NONE, image = FD_NONE;
        int r = volume_open(mount->volume, &volume);

        if (r >= 0)
                r = image_open_root(mount->container->image, &image);
        if (r >= 0)
                r = volume_fill_start(&mount->worker,
                                      mount->container->task.sandbox->manager->event, volume, image,
                                      mount->config.target, mount_on_filled, mount);
        if (r >= 0)
                mount_set_state(mount, MOUNT_FILLING);
        return r;
}

int mount_export(Mount *mount, const MountCaller *caller, sd_bus_error *error)
{
        int r;

        /* Its volume was removed, and maybe made anew. */
        if (mount->kind == MOUNT_VOLUME && !mount->volume)
                mount_find_volume(mount);
        if (mount->kind == MOUNT_VOLUME && !mount->volume)
                return error_set(error, -ENOENT, ERROR_NO_SUCH_VOLUME,
                                 "The volume \"%s\" is gone; detach it from the container, or make "
                                 "it anew.",
                                 mount->config.volume);
        if (mount_is_single(mount) && mount->container->task.sandbox->identity)
                return error_set(error, -EOPNOTSUPP, ERROR_NOT_SUPPORTED,
                                 "This sandbox has a mount whose ids can't be mapped, so only "
                                 "root's directories can be mounted in it.");
        r = mount_choose_cache(mount, error);
        if (r == -EBUSY && mounts_volume_is_ending(mount->volume)) {
                sd_bus_error_free(error);
                mount_set_state(mount, MOUNT_WAITING);
                return 0;
        }
        if (r < 0)
                return r;
        if (mount_wants_filling(mount)) {
                r = mount_fill_volume(mount);
        } else {
                r = mount_start_worker(mount, caller, false, error);
                if (r >= 0)
                        mount_set_state(mount, MOUNT_EXPORTING);
        }
        if (r < 0 && mount->volume)
                volume_release(mount->volume, mount->cache);
        return r;
}
