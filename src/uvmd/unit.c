/*
 * Scopes; see unit.h. systemd's answers and signals are trusted; still, a unit that systemd doesn't
 * know counts as over.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "uvmd/errors.h"
#include "uvmd/unit.h"

#define SYSTEMD_NAME    "org.freedesktop.systemd1"
#define SYSTEMD_PATH    "/org/freedesktop/systemd1"
#define SYSTEMD_MANAGER "org.freedesktop.systemd1.Manager"
#define SYSTEMD_UNIT    "org.freedesktop.systemd1.Unit"
#define SYSTEMD_SCOPE   "org.freedesktop.systemd1.Scope"

/* After SIGTERM of the scope (host shutdown, systemctl stop): the shim's own grace ends earlier. */
#define UNIT_STOP_USEC (20 * USEC_PER_SEC)

struct Unit {
        sd_bus *bus;
        char *name;
        char *path;
        void *userdata;

        sd_bus_slot *call; /* the one in flight: start, or reading the result */
        UnitHandler start_handler;
        char *job;
        sd_bus_slot *job_match;

        UnitEndHandler end_handler;
        sd_bus_slot *end_match;
        sd_event_source *end_timer;
};

int unit_new(Unit **ret, sd_bus *bus, const char *name, void *userdata)
{
        _cleanup_(unit_freep) Unit *unit = calloc(1, sizeof(*unit));
        int r;

        if (!unit)
                return -ENOMEM;
        unit->bus = sd_bus_ref(bus);
        unit->userdata = userdata;
        unit->name = strdup(name);
        if (!unit->name)
                return -ENOMEM;
        r = sd_bus_path_encode(SYSTEMD_PATH "/unit", name, &unit->path);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(unit);
        return 0;
}

Unit *unit_free(Unit *unit)
{
        if (!unit)
                return NULL;
        sd_bus_slot_unref(unit->call);
        sd_bus_slot_unref(unit->job_match);
        sd_bus_slot_unref(unit->end_match);
        sd_event_source_disable_unref(unit->end_timer);
        sd_bus_unref(unit->bus);
        free(unit->job);
        free(unit->path);
        free(unit->name);
        free(unit);
        return NULL;
}

/* ------------------------------------------------------------------ starting */

static void unit_started(Unit *unit, int r, const sd_bus_error *error)
{
        UnitHandler handler = unit->start_handler;

        unit->start_handler = NULL;
        unit->job_match = sd_bus_slot_unref(unit->job_match);
        handler(unit->userdata, r, error);
}

static int unit_on_job_removed(sd_bus_message *message, void *userdata, sd_bus_error *ret)
{
        Unit *unit = userdata;
        const char *path, *name, *result;
        uint32_t id;

        if (!unit->job || sd_bus_message_read(message, "uoss", &id, &path, &name, &result) < 0 ||
            strcmp(path, unit->job) != 0)
                return 0;
        if (strcmp(result, "done") == 0) {
                unit_started(unit, 0, NULL);
        } else {
                _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;

                error_set(&error, -EIO, ERROR_FAILED,
                          "systemd could not make %s: the job's result is \"%s\"; see journalctl "
                          "-u %s.",
                          unit->name, result, unit->name);
                unit_started(unit, -EIO, &error);
        }
        return 0;
}

static int unit_on_start_reply(sd_bus_message *reply, void *userdata, sd_bus_error *ret)
{
        Unit *unit = userdata;
        const sd_bus_error *refused = sd_bus_message_get_error(reply);
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        const char *job;
        int r;

        unit->call = sd_bus_slot_unref(unit->call);
        if (refused) {
                r = -sd_bus_message_get_errno(reply);
                error_set(&error, r, ERROR_FAILED, "systemd refuses the scope %s: %s", unit->name,
                          refused->message);
                unit_started(unit, r, &error);
                return 0;
        }
        r = sd_bus_message_read(reply, "o", &job);
        if (r >= 0) {
                unit->job = strdup(job);
                r = unit->job ? 0 : -ENOMEM;
        }
        if (r < 0)
                unit_started(unit, r, NULL);
        return 0;
}

static int append_properties(sd_bus_message *message, const SandboxConfig *config,
                             const char *description, pid_t pid)
{
        int r = sd_bus_message_open_container(message, 'a', "(sv)");

        if (r >= 0)
                r = sd_bus_message_append(
                        message, "(sv)(sv)(sv)(sv)(sv)(sv)(sv)(sv)(sv)(sv)(sv)(sv)(sv)", "PIDs",
                        "au", 1, (uint32_t)pid, "Slice", "s", config->slice ?: "uvm.slice",
                        "Description", "s", description,
                        /* Ours until the result is read, then gone without a ResetFailed. */
                        "AddRef", "b", 1, "CollectMode", "s", "inactive-or-failed",
                        /* The kernel ends the monitor, which is the large one; the shim lives on
                         * to say so and to hand over what was written. */
                        "OOMPolicy", "s", "continue",
                        /* The shim's children may be moved to groups below it. */
                        "Delegate", "b", 1, "TimeoutStopUSec", "t",
                        clock_limit_usec(UNIT_STOP_USEC), "CPUAccounting", "b", 1,
                        "MemoryAccounting", "b", 1, "TasksAccounting", "b", 1, "IOAccounting", "b",
                        1,
                        /* At shutdown the guests end before the service that watches them. */
                        "After", "as", 1, "uvmd.service");
        if (r >= 0)
                r = limits_append_unit(message, &config->limits);
        return r < 0 ? r : sd_bus_message_close_container(message);
}

int unit_start(Unit *unit, const SandboxConfig *config, const char *description, pid_t pid,
               UnitHandler handler)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        int r;

        /* Before the call: the job may be done before its reply was read. */
        r = sd_bus_match_signal_async(unit->bus, &unit->job_match, SYSTEMD_NAME, SYSTEMD_PATH,
                                      SYSTEMD_MANAGER, "JobRemoved", unit_on_job_removed, NULL,
                                      unit);
        if (r >= 0)
                r = sd_bus_message_new_method_call(unit->bus, &call, SYSTEMD_NAME, SYSTEMD_PATH,
                                                   SYSTEMD_MANAGER, "StartTransientUnit");
        if (r >= 0)
                r = sd_bus_message_append(call, "ss", unit->name, "fail");
        if (r >= 0)
                r = append_properties(call, config, description, pid);
        if (r >= 0)
                r = sd_bus_message_append(call, "a(sa(sv))", 0);
        if (r >= 0)
                r = sd_bus_call_async(unit->bus, &unit->call, call, unit_on_start_reply, unit, 0);
        if (r >= 0)
                unit->start_handler = handler;
        return r;
}

int unit_adopt(Unit *unit)
{
        return sd_bus_call_method_async(unit->bus, NULL, SYSTEMD_NAME, unit->path, SYSTEMD_UNIT,
                                        "Ref", NULL, NULL, NULL);
}

/* ------------------------------------------------------------------ what systemd says of it */

static int read_stat(sd_bus_message *reply, const char *name, UnitStats *stats)
{
        const struct {
                const char *name;
                uint64_t *into;
        } numbers[] = {
                {"CPUUsageNSec", &stats->cpu_nsec},       {"MemoryCurrent", &stats->memory},
                {"TasksCurrent", &stats->tasks},          {"IOReadBytes", &stats->read_bytes},
                {"IOWriteBytes", &stats->write_bytes},    {"IOReadOperations", &stats->read_ops},
                {"IOWriteOperations", &stats->write_ops},
        };
        int r;

        for (size_t i = 0; i < ELEMENTSOF(numbers); i++)
                if (strcmp(numbers[i].name, name) == 0)
                        return sd_bus_message_read(reply, "v", "t", numbers[i].into);
        if (strcmp(name, "ControlGroup") == 0)
                return sd_bus_message_read(reply, "v", "s", &stats->control_group);
        if (strcmp(name, "Result") == 0)
                return sd_bus_message_read(reply, "v", "s", &stats->result);
        r = limits_read_unit(reply, name, &stats->limits);
        return r == 0 ? sd_bus_message_skip(reply, "v") : r;
}

static int read_all_stats(sd_bus_message *reply, UnitStats *stats)
{
        int r = sd_bus_message_enter_container(reply, 'a', "{sv}");

        while (r >= 0 && (r = sd_bus_message_enter_container(reply, 'e', "sv")) > 0) {
                const char *name;

                r = sd_bus_message_read(reply, "s", &name);
                if (r >= 0)
                        r = read_stat(reply, name, stats);
                if (r >= 0)
                        r = sd_bus_message_exit_container(reply);
        }
        return r;
}

/* What the answer doesn't say, or an error, is unknown. limits_done() what it has filled. */
static void read_stats(sd_bus_message *reply, UnitStats *ret)
{
        memset(ret, 0xff, offsetof(UnitStats, control_group));
        ret->control_group = ret->result = NULL;
        ret->limits = (UnitLimits){};
        if (!sd_bus_message_is_method_error(reply, NULL))
                read_all_stats(reply, ret);
}

/* ------------------------------------------------------------------ ending */

static int unit_query_state(Unit *unit);

static void unit_ended(Unit *unit, const char *result, uint64_t memory_max)
{
        UnitEndHandler handler = unit->end_handler;

        unit->end_handler = NULL;
        unit->end_match = sd_bus_slot_unref(unit->end_match);
        unit->end_timer = sd_event_source_disable_unref(unit->end_timer);
        /* Lets systemd forget it. Nothing to do when there is no such unit. */
        sd_bus_call_method_async(unit->bus, NULL, SYSTEMD_NAME, unit->path, SYSTEMD_UNIT, "Unref",
                                 NULL, NULL, NULL);
        handler(unit->userdata, result, memory_max);
}

static int unit_on_result(sd_bus_message *reply, void *userdata, sd_bus_error *ret)
{
        Unit *unit = userdata;
        UnitStats stats;

        unit->call = sd_bus_slot_unref(unit->call);
        read_stats(reply, &stats);
        unit_ended(unit, stats.result ?: "", stats.limits.memory_max);
        limits_done(&stats.limits);
        return 0;
}

static int unit_get_property(Unit *unit, const char *interface, const char *name,
                             sd_bus_message_handler_t handler)
{
        return sd_bus_call_method_async(unit->bus, &unit->call, SYSTEMD_NAME, unit->path,
                                        "org.freedesktop.DBus.Properties", "Get", handler, unit,
                                        "ss", interface, name);
}

static int unit_on_state(sd_bus_message *reply, void *userdata, sd_bus_error *ret)
{
        Unit *unit = userdata;
        const char *state;

        unit->call = sd_bus_slot_unref(unit->call);
        if (sd_bus_message_is_method_error(reply, NULL) ||
            sd_bus_message_read(reply, "v", "s", &state) < 0) {
                unit_ended(unit, "", 0);
                return 0;
        }
        /* Any other state: a signal comes when it changes. */
        if (strcmp(state, "inactive") != 0 && strcmp(state, "failed") != 0)
                return 0;
        if (sd_bus_call_method_async(unit->bus, &unit->call, SYSTEMD_NAME, unit->path,
                                     "org.freedesktop.DBus.Properties", "GetAll", unit_on_result,
                                     unit, "s", SYSTEMD_SCOPE) < 0)
                unit_ended(unit, "", 0);
        return 0;
}

static int unit_query_state(Unit *unit)
{
        if (unit->call)
                return 0;
        return unit_get_property(unit, SYSTEMD_UNIT, "ActiveState", unit_on_state);
}

static int unit_on_changed(sd_bus_message *message, void *userdata, sd_bus_error *ret)
{
        Unit *unit = userdata;

        if (unit->end_handler && unit_query_state(unit) < 0)
                unit_ended(unit, "", 0);
        return 0;
}

/* What can't be killed or stopped is over, as a rule. */
static int unit_on_end_reply(sd_bus_message *reply, void *userdata, sd_bus_error *ret)
{
        if (sd_bus_message_is_method_error(reply, NULL))
                log_debug("Can't end a scope: %s", sd_bus_message_get_error(reply)->message);
        return 0;
}

/* For a scope that may have no process: then nothing else ends it. */
static void unit_stop(Unit *unit)
{
        int r = sd_bus_call_method_async(unit->bus, NULL, SYSTEMD_NAME, SYSTEMD_PATH,
                                         SYSTEMD_MANAGER, "StopUnit", unit_on_end_reply, NULL, "ss",
                                         unit->name, "replace");

        if (r < 0)
                log_warning_errno(r, "Can't ask systemd to stop %s", unit->name);
}

static int unit_on_end_limit(sd_event_source *source, uint64_t usec, void *userdata)
{
        Unit *unit = userdata;

        log_warning("%s is not over: what is left in it is killed", unit->name);
        unit_kill(unit);
        unit_stop(unit);
        return 0;
}

int unit_await_end(Unit *unit, uint64_t limit_usec, UnitEndHandler handler)
{
        int r;

        /* A start that is under way has lost its interest; its process may be gone before systemd
         * has put it into the scope. */
        if (unit->start_handler)
                unit_stop(unit);
        unit->start_handler = NULL;
        unit->job_match = sd_bus_slot_unref(unit->job_match);
        unit->call = sd_bus_slot_unref(unit->call);

        r = sd_bus_match_signal_async(unit->bus, &unit->end_match, SYSTEMD_NAME, unit->path,
                                      "org.freedesktop.DBus.Properties", "PropertiesChanged",
                                      unit_on_changed, NULL, unit);
        if (r >= 0)
                r = sd_event_add_time_relative(sd_bus_get_event(unit->bus), &unit->end_timer,
                                               CLOCK_MONOTONIC, limit_usec, 0, unit_on_end_limit,
                                               unit);
        if (r >= 0)
                r = unit_query_state(unit);
        if (r >= 0)
                unit->end_handler = handler;
        return r;
}

void unit_kill(Unit *unit)
{
        int r = sd_bus_call_method_async(unit->bus, NULL, SYSTEMD_NAME, SYSTEMD_PATH,
                                         SYSTEMD_MANAGER, "KillUnit", unit_on_end_reply, NULL,
                                         "ssi", unit->name, "all", SIGKILL);

        if (r < 0)
                log_warning_errno(r, "Can't ask systemd to kill %s", unit->name);
}

/* ------------------------------------------------------------------ figures */

typedef struct StatsRequest {
        UnitStatsHandler handler;
        void *userdata;
} StatsRequest;

static int unit_on_stats(sd_bus_message *reply, void *userdata, sd_bus_error *ret)
{
        StatsRequest *request = userdata;
        UnitStats stats;

        read_stats(reply, &stats);
        options_tidy(limits_options, limits_options_n, &stats.limits);
        request->handler(request->userdata, &stats);
        limits_done(&stats.limits);
        free(request);
        return 0;
}

int unit_get_stats(Unit *unit, UnitStatsHandler handler, void *userdata)
{
        StatsRequest *request = malloc(sizeof(*request));
        int r;

        if (!request)
                return -ENOMEM;
        *request = (StatsRequest){.handler = handler, .userdata = userdata};
        r = sd_bus_call_method_async(unit->bus, NULL, SYSTEMD_NAME, unit->path,
                                     "org.freedesktop.DBus.Properties", "GetAll", unit_on_stats,
                                     request, "s", SYSTEMD_SCOPE);
        if (r < 0)
                free(request);
        return r;
}

/* ------------------------------------------------------------------ limits */

typedef struct LimitsRequest {
        UnitHandler handler;
        void *userdata;
} LimitsRequest;

static int unit_on_limits(sd_bus_message *reply, void *userdata, sd_bus_error *ret)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        LimitsRequest *request = userdata;
        const sd_bus_error *refused = sd_bus_message_get_error(reply);
        int r = refused ? -sd_bus_message_get_errno(reply) : 0;

        if (refused)
                error_set(&error, r, ERROR_INVALID_ARGUMENT, "systemd refuses the limits: %s",
                          refused->message);
        request->handler(request->userdata, r, &error);
        free(request);
        return 0;
}

int unit_set_limits(Unit *unit, const UnitLimits *limits, UnitHandler handler, void *userdata)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        LimitsRequest *request = malloc(sizeof(*request));
        int r;

        if (!request)
                return -ENOMEM;
        *request = (LimitsRequest){.handler = handler, .userdata = userdata};
        r = sd_bus_message_new_method_call(unit->bus, &call, SYSTEMD_NAME, SYSTEMD_PATH,
                                           SYSTEMD_MANAGER, "SetUnitProperties");
        if (r >= 0)
                r = sd_bus_message_append(call, "sb", unit->name, 1);
        if (r >= 0)
                r = sd_bus_message_open_container(call, 'a', "(sv)");
        if (r >= 0)
                r = limits_append_unit(call, limits);
        if (r >= 0)
                r = sd_bus_message_close_container(call);
        if (r >= 0)
                r = sd_bus_call_async(unit->bus, NULL, call, unit_on_limits, request, 0);
        if (r < 0)
                free(request);
        return r;
}
