/* The service; see manager.h. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "uvmd/bus/bus.h"
#include "uvmd/bus/call.h"
#include "uvmd/bus/manager_networks.h"
#include "uvmd/bus/paths.h"
#include "uvmd/events.h"
#include "uvmd/manager.h"
#include "uvmd/net/netns.h"
#include "uvmd/net/network_worker.h"
#include "uvmd/record.h"
#include "uvmd/rundir.h"
#include "uvmd/sandbox.h"
#include "uvmd/storage/layer.h"
#include "uvmd/volume.h"

#define MANAGER_IDLE_USEC (60 * USEC_PER_SEC)

int manager_new(Manager **ret, const ManagerPaths *paths, uint32_t range_base, uint32_t range_count)
{
        _cleanup_(manager_freep) Manager *manager = calloc(1, sizeof(*manager));
        int r;

        if (!manager)
                return -ENOMEM;
        manager->paths = *paths;
        list_init(&manager->network_calls);
        r = idranges_new(&manager->ranges, range_base, range_count);
        if (r < 0)
                return r;
        r = id_generate(manager->instance);
        if (r < 0)
                return r;
        r = sd_event_default(&manager->event);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(manager);
        return 0;
}

Manager *manager_free(Manager *manager)
{
        Sandbox *sandbox, *next;

        if (!manager)
                return NULL;
        events_close(manager);
        HASH_ITER (hh, manager->sandboxes, sandbox, next)
                sandbox_free(sandbox);
        bus_network_calls_free(manager);
        worker_free(manager->network_sweep);
        volumes_free(manager);
        image_store_close(manager->images);
        idranges_free(manager->ranges);
        bus_callers_free(manager);
        sd_event_source_disable_unref(manager->events_new);
        sd_event_source_disable_unref(manager->idle);
        sd_event_source_disable_unref(manager->volume_wake);
        sd_event_source_disable_unref(manager->network_names);
        sd_bus_flush_close_unref(manager->bus);
        sd_event_unref(manager->event);
        free(manager);
        return NULL;
}

Sandbox *manager_find_sandbox(Manager *manager, const char *id)
{
        Sandbox *sandbox;

        HASH_FIND_STR(manager->sandboxes, id, sandbox);
        return sandbox;
}

Sandbox *manager_find_sandbox_of(Manager *manager, uint32_t owner, const char *name)
{
        Sandbox *sandbox, *next, *found = manager_find_sandbox(manager, name);

        if (found)
                return found;
        HASH_ITER (hh, manager->sandboxes, sandbox, next)
                if (sandbox->owner == owner && strcmp(sandbox->name, name) == 0)
                        return sandbox;
        return NULL;
}

/* ------------------------------------------------------------------ idle exit */

static bool manager_is_idle(Manager *manager)
{
        Sandbox *sandbox, *next;

        if (image_store_is_busy(manager->images) || manager->n_volume_workers > 0 ||
            manager->network_sweep)
                return false;
        HASH_ITER (hh, manager->sandboxes, sandbox, next)
                if (sandbox->state != SANDBOX_CREATED && sandbox->state != SANDBOX_STOPPED)
                        return false;
        return true;
}

/* The name is given up: every call that comes from now on starts a new uvmd. */
static int manager_on_released(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        Manager *manager = userdata;

        if (manager_is_idle(manager)) {
                log_info("There is nothing to mind: going until somebody calls");
                return sd_event_exit(manager->event, 0);
        }
        return sd_bus_request_name_async(manager->bus, NULL, BUS_NAME, 0, NULL, NULL);
}

static int manager_on_idle(sd_event_source *source, uint64_t usec, void *userdata)
{
        Manager *manager = userdata;

        manager_touch(manager);
        if (!manager_is_idle(manager))
                return 0;
        /* Not before: a call that was on its way here is answered before the reply is read. */
        return sd_bus_release_name_async(manager->bus, NULL, BUS_NAME, manager_on_released,
                                         manager);
}

void manager_touch(Manager *manager)
{
        if (!manager->idle)
                return;
        sd_event_source_set_time_relative(manager->idle, MANAGER_IDLE_USEC);
        sd_event_source_set_enabled(manager->idle, SD_EVENT_ONESHOT);
}

/* ------------------------------------------------------------------ start */

static int manager_on_signal(sd_event_source *source, const struct signalfd_siginfo *info,
                             void *userdata)
{
        Manager *manager = userdata;

        /* The virtual machines go on; whoever comes next finds them again. */
        log_info("Ending on %s", strsignal((int)info->ssi_signo));
        return sd_event_exit(manager->event, 0);
}

static int manager_watch(Manager *manager)
{
        static const int signals[] = {SIGTERM, SIGINT};
        int r = 0;

        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(signals); i++)
                r = sd_event_add_signal(manager->event, NULL, signals[i] | SD_EVENT_SIGNAL_PROCMASK,
                                        manager_on_signal, manager);
        if (r >= 0)
                r = sd_event_add_time_relative(manager->event, &manager->idle, CLOCK_MONOTONIC,
                                               MANAGER_IDLE_USEC, 0, manager_on_idle, manager);
        if (r >= 0)
                r = sd_event_set_watchdog(manager->event, true);
        return r < 0 ? r : 0;
}

static bool manager_knows(void *userdata, const char *id)
{
        return manager_find_sandbox(userdata, id);
}

static bool manager_knows_namespace(void *userdata, const char *id)
{
        const Sandbox *sandbox = manager_find_sandbox(userdata, id);

        return sandbox && network_has_namespace(sandbox);
}

/* What an uvmd before this one has left. */
static int manager_recover(Manager *manager)
{
        Sandbox *sandbox, *next;
        int r = volumes_load(manager);

        if (r < 0)
                return log_error_errno(r, "Can't read the volumes in %s", manager->paths.state_dir);
        r = record_load_all(manager);
        if (r < 0)
                return log_error_errno(r, "Can't read the records in %s", manager->paths.state_dir);
        image_store_collect(manager->images);
        layer_sweep(manager->event, manager->paths.state_dir);
        rundir_sweep(manager->paths.run_dir, manager_knows, manager);
        netns_sweep(manager->paths.run_dir, manager_knows_namespace, manager);
        HASH_ITER (hh, manager->sandboxes, sandbox, next)
                sandbox_adopt(sandbox);
        network_sweep(manager);
        return 0;
}

static int manager_make_directory(const char *path, mode_t mode)
{
        if (mkdir(path, mode) < 0 && errno != EEXIST)
                return log_error_errno(errno_neg(), "Can't make %s", path);
        return 0;
}

static int manager_open_images(Manager *manager)
{
        _cleanup_(freep) char *path = NULL;
        int r = manager_make_directory(manager->paths.state_dir, 0700);

        if (r >= 0)
                r = manager_make_directory(manager->paths.run_dir, 0755);
        if (r < 0)
                return r;
        if (asprintf(&path, "%s/images", manager->paths.state_dir) < 0)
                return -ENOMEM;
        r = image_store_open(&manager->images, manager->event, path);
        if (r < 0)
                return log_error_errno(r, "Can't open the images in %s", path);
        r = events_open(manager);
        return r < 0 ? log_error_errno(r, "Can't open the log of events") : 0;
}

int manager_start(Manager *manager)
{
        int r = manager_watch(manager);

        if (r < 0)
                return log_error_errno(r, "Can't set up the event loop");
        r = manager_open_images(manager);
        if (r >= 0)
                r = bus_connect(manager);
        if (r >= 0)
                r = manager_recover(manager);
        /* Not before all that was left is known again: the first call may be for it. */
        if (r >= 0)
                r = bus_take_name(manager);
        return r;
}

int manager_run(Manager *manager)
{
        int r = sd_event_loop(manager->event);

        sd_notify(0, "STOPPING=1");
        return r;
}
