/*
 * Sandboxes: their life as an object of uvmd; see sandbox.h. The start is boot.c's, the stop stop.c's,
 * what the shim says sandbox_shim.c's, the bus side bus/sandbox.c's.
 */
#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "uvmd/bus/emit.h"
#include "uvmd/bus/hold.h"
#include "uvmd/container_guest.h"
#include "uvmd/errors.h"
#include "uvmd/events.h"
#include "uvmd/journal.h"
#include "uvmd/machined.h"
#include "uvmd/record.h"
#include "uvmd/rundir.h"
#include "uvmd/sandbox.h"

ENUM_TABLE(sandbox_state, SandboxState, SANDBOX_STATE_MAX_)
= {
        [SANDBOX_CREATED] = "created",   [SANDBOX_STARTING] = "starting",
        [SANDBOX_RUNNING] = "running",   [SANDBOX_PAUSED] = "paused",
        [SANDBOX_STOPPING] = "stopping", [SANDBOX_STOPPED] = "stopped",
};

ENUM_TABLE(sandbox_reason, SandboxReason, SANDBOX_REASON_MAX_)
= {
        [SANDBOX_REASON_NONE] = "",
        [SANDBOX_REASON_EXITED] = "exited",
        [SANDBOX_REASON_POWEROFF] = "poweroff",
        [SANDBOX_REASON_STOPPED] = "stopped",
        [SANDBOX_REASON_KILLED] = "killed",
        [SANDBOX_REASON_PANIC] = "panic",
        [SANDBOX_REASON_CRASH] = "crash",
        [SANDBOX_REASON_OOM] = "oom",
        [SANDBOX_REASON_BOOT_FAILED] = "boot-failed",
        [SANDBOX_REASON_BOOT_TIMEOUT] = "boot-timeout",
        [SANDBOX_REASON_LOST] = "lost",
};

const char *sandbox_phase_to_string(unsigned phase)
{
        if (phase == SANDBOX_PHASE_START)
                return "start";
        if (phase == SANDBOX_PHASE_SCOPE)
                return "scope";
        return shim_phase_to_string((ShimPhase)(phase - SANDBOX_PHASE_SHIM));
}

int sandbox_new_empty(Sandbox **ret, Manager *manager, const char *id)
{
        Sandbox *sandbox = calloc(1, sizeof(*sandbox));

        if (!sandbox)
                return -ENOMEM;
        sandbox->manager = manager;
        strcpy(sandbox->id, id);
        sandbox_config_init(&sandbox->config);
        sandbox->kvm = sandbox->firmware = FD_NONE;
        network_init(&sandbox->network);
        sandbox->next_token = 1;
        list_init(&sandbox->start_calls);
        list_init(&sandbox->stop_calls);
        HASH_ADD_STR(manager->sandboxes, id, sandbox);
        *ret = sandbox;
        return 0;
}

/* A name of ours as a host name: '_' becomes '-', and so does what may not stand at the end. NULL:
 * out of memory; the guest keeps its own then. */
static char *hostname_from_name(const char *name)
{
        char *hostname = strndup(name, 63);

        for (char *at = hostname; at && *at; at++)
                if (*at == '_' || (!at[1] && *at == '.'))
                        *at = '-';
        for (size_t n = hostname ? strlen(hostname) : 0; n > 1 && hostname[n - 1] == '-'; n--)
                hostname[n - 1] = 0;
        return hostname;
}

int sandbox_new(Sandbox **ret, Manager *manager, uint32_t owner, const char *name,
                SandboxConfig *config, sd_bus_error *error)
{
        char id[ID_SIZE + 1];
        Sandbox *sandbox;
        int r = id_generate(id);

        if (r >= 0)
                r = sandbox_new_empty(&sandbox, manager, id);
        if (r < 0)
                return r;
        sandbox->owner = owner;
        sandbox->name = strdup(name[0] ? name : id);
        sandbox->config = *config;
        sandbox_config_init(config);
        if (!sandbox->config.hostname)
                sandbox->config.hostname = hostname_from_name(name[0] ? name : id);
        sandbox->created = clock_realtime_usec();
        r = sandbox->name ? record_save(sandbox) : -ENOMEM;
        if (r < 0) {
                record_remove(sandbox);
                sandbox_free(sandbox);
                return error_set(error, r, ERROR_FAILED, "Can't write the sandbox's record: %s.",
                                 strerror(-r));
        }
        sandbox_log_info(sandbox, "%s of uid %u, created", sandbox->name, owner);
        event_sandbox_new(sandbox);
        *ret = sandbox;
        return 0;
}

Sandbox *sandbox_free(Sandbox *sandbox)
{
        Container *container, *next;

        if (!sandbox)
                return NULL;
        HASH_ITER (hh, sandbox->containers, container, next)
                container_free(container);
        bus_answer_all(&sandbox->start_calls, -ECANCELED, NULL);
        bus_answer_all(&sandbox->stop_calls, -ECANCELED, NULL);
        HASH_DEL(sandbox->manager->sandboxes, sandbox);
        network_done(&sandbox->network);
        shim_link_free(TAKE_PTR(sandbox->link));
        hotplug_on_guest_gone(sandbox);
        unit_free(sandbox->unit);
        sd_event_source_disable_unref(sandbox->leader_source);
        sd_event_source_disable_unref(sandbox->grace);
        sd_event_source_disable_unref(sandbox->gone);
        sweep_end(sandbox);
        sd_bus_error_free(&sandbox->failure);
        fd_close(sandbox->kvm);
        fd_close(sandbox->firmware);
        sandbox_config_done(&sandbox->config);
        free(sandbox->reason_text);
        free(sandbox->name);
        free(sandbox);
        return NULL;
}

char *sandbox_path(const Sandbox *sandbox)
{
        char *path;

        return asprintf(&path, "/org/uvm1/sandbox/%s", sandbox->id) < 0 ? NULL : path;
}

const char *sandbox_hostname(const Sandbox *sandbox)
{
        return sandbox->config.hostname;
}

void sandbox_save(Sandbox *sandbox)
{
        int r = record_save(sandbox);

        if (r < 0)
                sandbox_log_error_errno(sandbox, r, "can't write its record");
}

Container *sandbox_find_container(Sandbox *sandbox, const char *name_or_id)
{
        Container *container, *next;

        HASH_ITER (hh, sandbox->containers, container, next)
                if (strcmp(container->id, name_or_id) == 0 ||
                    strcmp(container->name, name_or_id) == 0)
                        return container;
        return NULL;
}

/* vsock and rng, network devices, the root file systems, what is mounted. */
unsigned sandbox_count_slots(const Sandbox *sandbox)
{
        unsigned n = 2 + (sandbox->binds.state != BINDS_ABSENT) + hotplug_count_slots(sandbox) +
                     network_count_slots(sandbox);
        Container *container, *next;

        HASH_ITER (hh, sandbox->containers, container, next)
                n += 1 + upper_is_wanted(container) + (container->transfer ? 1 : 0) +
                     mounts_count_slots(container);
        return n;
}

Task *sandbox_find_task(Sandbox *sandbox, uint64_t token)
{
        Container *container, *next;
        Process *process;

        HASH_FIND(hh, sandbox->processes, &token, sizeof(token), process);
        if (process)
                return &process->task;
        HASH_ITER (hh, sandbox->containers, container, next)
                if (container->task.token == token)
                        return &container->task;
        return NULL;
}

/* ------------------------------------------------------------------ state */

#define TO(state) (1U << SANDBOX_##state)

static const unsigned transitions[SANDBOX_STATE_MAX_] = {
        [SANDBOX_CREATED] = TO(STARTING),
        /* adopted or finished */
        [SANDBOX_STARTING] = TO(RUNNING) | TO(STOPPING),
        [SANDBOX_RUNNING] = TO(PAUSED) | TO(STOPPING),
        [SANDBOX_PAUSED] = TO(RUNNING) | TO(STOPPING),
        [SANDBOX_STOPPING] = TO(STOPPED),
        [SANDBOX_STOPPED] = TO(STARTING),
};

void sandbox_set_reason(Sandbox *sandbox, SandboxReason reason, const char *text)
{
        char *copy = strdup(text);

        sandbox->reason = reason;
        free(sandbox->reason_text);
        sandbox->reason_text = copy;
}

void sandbox_set_state(Sandbox *sandbox, SandboxState state)
{
        assert(transitions[sandbox->state] & (1U << state));
        sandbox_log_info(sandbox, "%s → %s", sandbox_state_to_string(sandbox->state),
                         sandbox_state_to_string(state));
        sandbox->state = state;
        switch (state) {
        case SANDBOX_STARTING:
                sandbox_set_reason(sandbox, SANDBOX_REASON_NONE, "");
                sd_bus_error_free(&sandbox->failure);
                sandbox->started = sandbox->stopped = 0;
                break;
        case SANDBOX_RUNNING:
                if (sandbox->started == 0)
                        sandbox->started = clock_realtime_usec();
                bus_answer_all(&sandbox->start_calls, 0, NULL);
                machined_register(sandbox);
                break;
        case SANDBOX_STOPPED:
                sandbox->stopped = clock_realtime_usec();
                sandbox->stop_stage = SANDBOX_STOP_NONE;
                break;
        case SANDBOX_CREATED:
        case SANDBOX_PAUSED:
        case SANDBOX_STOPPING:
        case SANDBOX_STATE_MAX_:
                break;
        }
        /* Before the record: an uvmd that is killed in between tells it twice rather than never. */
        event_sandbox_state(sandbox);
        sandbox_save(sandbox);
        bus_emit_sandbox_changed(sandbox);
}

/* ------------------------------------------------------------------ the end */

/* The names of errors and the sentence that every caller of a failed Start gets. */
static void sandbox_explain_failure(Sandbox *sandbox)
{
        const char *name = ERROR_BOOT_FAILED;

        if (sandbox->reason == SANDBOX_REASON_BOOT_TIMEOUT)
                name = ERROR_BOOT_TIMEOUT;
        if (sandbox->reason == SANDBOX_REASON_OOM)
                name = ERROR_OUT_OF_MEMORY;
        error_set(&sandbox->failure, -EIO, name, "%s",
                  sandbox->reason_text && sandbox->reason_text[0]
                          ? sandbox->reason_text
                          : "The virtual machine ended before its agent was ready.");
}

void sandbox_forget(Sandbox *sandbox)
{
        List stop_calls = LIST_INIT(stop_calls);
        Container *container, *next;

        HASH_ITER (hh, sandbox->containers, container, next) {
                event_container_removed(container);
                upper_remove(container);
                if (sandbox->config.auto_remove)
                        mounts_free_with_volumes(container);
        }
        event_sandbox_removed(sandbox);
        network_forget(sandbox);
        bus_move_calls(&stop_calls, &sandbox->stop_calls);
        bus_emit_sandbox_removed(sandbox);
        record_remove(sandbox);
        sandbox_log_info(sandbox, "removed");
        sandbox_free(sandbox);
        bus_answer_all(&stop_calls, 0, NULL);
}

/* Tells of the limit, which is the thing to change. */
void sandbox_set_reason_oom(Sandbox *sandbox, uint64_t memory_max)
{
        char limit[64] = "no limit of its own", text[256];

        memory_max = memory_max ?: sandbox->config.limits.memory_max ?: UINT64_MAX;
        if (memory_max != UINT64_MAX)
                snprintf(limit, sizeof(limit), "MemoryMax is %llu MiB",
                         (unsigned long long)(memory_max >> 20));
        snprintf(text, sizeof(text),
                 "The host ended the virtual machine: it needed more memory than its unit may have "
                 "(%s, the guest has %llu MiB).",
                 limit,
                 (unsigned long long)((hotplug_memory(sandbox) ?: sandbox->config.memory) >> 20));
        sandbox_set_reason(sandbox, SANDBOX_REASON_OOM, text);
}

/* Nothing is left on the host: it has stopped. */
static void sandbox_gone(Sandbox *sandbox)
{
        bool failed = !list_is_empty(&sandbox->start_calls);
        Container *container, *next;

        HASH_ITER (hh, sandbox->containers, container, next)
                if (container->deletion)
                        container_remove(container);
        rundir_remove(sandbox->manager->paths.run_dir, sandbox->id);
        idranges_release(sandbox->manager->ranges, sandbox->range_base);
        sandbox->range_base = 0;
        sandbox->leader = 0;
        sandbox->boot = SANDBOX_BOOT_NONE;
        sandbox->identity = false;
        hotplug_on_guest_gone(sandbox);
        if (failed)
                sandbox_explain_failure(sandbox);
        if (sandbox->reason == SANDBOX_REASON_NONE)
                sandbox_set_reason(sandbox, SANDBOX_REASON_LOST,
                                   "The virtual machine ended and nobody saw why.");
        sandbox_log_info(sandbox, "its end: %s: %s", sandbox_reason_to_string(sandbox->reason),
                         sandbox->reason_text ?: "");
        sandbox_set_state(sandbox, SANDBOX_STOPPED);
        bus_answer_all(&sandbox->start_calls, -EIO, &sandbox->failure);
        if (sandbox->next == SANDBOX_DELETE || sandbox->config.auto_remove)
                sandbox_forget(sandbox);
        else
                bus_answer_all(&sandbox->stop_calls, 0, NULL);
}

static void sandbox_check_gone(Sandbox *sandbox)
{
        if (sandbox->state == SANDBOX_STOPPING && !sandbox->unit && !sandbox->leader_source &&
            !network_is_ending(sandbox))
                sandbox_gone(sandbox);
}

static void sandbox_on_unit_end(void *userdata, const char *result, uint64_t memory_max)
{
        Sandbox *sandbox = userdata;

        sandbox->unit = unit_free(sandbox->unit);
        /* Only now systemd's figure is known, which somebody may have set by its own means. */
        if (strcmp(result, "oom-kill") == 0 || sandbox->reason == SANDBOX_REASON_OOM)
                sandbox_set_reason_oom(sandbox, memory_max);
        sandbox_check_gone(sandbox);
}

int sandbox_on_leader_exit(sd_event_source *source, const siginfo_t *info, void *userdata)
{
        Sandbox *sandbox = userdata;

        sandbox->leader_source = sd_event_source_disable_unref(sandbox->leader_source);
        /* A shim that ends while its link is up tells so by the link's end. */
        sandbox_check_gone(sandbox);
        return 0;
}

char *sandbox_unit_name(const Sandbox *sandbox)
{
        char *name;

        return asprintf(&name, "uvm-%s.scope", sandbox->id) < 0 ? NULL : name;
}

#define SANDBOX_END_USEC (5 * USEC_PER_SEC)

static int sandbox_on_gone(sd_event_source *source, void *userdata)
{
        sandbox_check_gone(userdata);
        return 0;
}

/* Not at once: callers up the stack still hold the sandbox. */
static void sandbox_check_gone_soon(Sandbox *sandbox)
{
        sandbox->gone = sd_event_source_disable_unref(sandbox->gone);
        if (sd_event_add_defer(sandbox->manager->event, &sandbox->gone, sandbox_on_gone, sandbox) <
            0)
                sandbox_log_error(sandbox, "can't finish its end");
}

void sandbox_on_network_gone(Sandbox *sandbox)
{
        sandbox_save(sandbox);
        sandbox_check_gone_soon(sandbox);
}

void sandbox_tear_down(Sandbox *sandbox)
{
        Container *container, *next;
        int r = -ENOENT;

        if (sandbox->state != SANDBOX_STOPPING)
                sandbox_set_state(sandbox, SANDBOX_STOPPING);
        sandbox->stop_stage = SANDBOX_STOP_NONE;
        sandbox->grace = sd_event_source_disable_unref(sandbox->grace);
        sandbox->kvm = fd_close(sandbox->kvm);
        sandbox->firmware = fd_close(sandbox->firmware);
        /* Exits are acknowledged while there is a link: the shim waits for that. */
        HASH_ITER (hh, sandbox->containers, container, next)
                container_on_guest_gone(container);
        binds_on_guest_gone(sandbox);
        sweep_end(sandbox);
        shim_link_free(TAKE_PTR(sandbox->link));
        network_on_guest_gone(sandbox);

        if (sandbox->unit)
                r = unit_await_end(sandbox->unit, clock_limit_usec(SANDBOX_END_USEC),
                                   sandbox_on_unit_end);
        if (r < 0)
                sandbox->unit = unit_free(sandbox->unit);
        sandbox_check_gone_soon(sandbox);
}

/* Ends the shim, and with it the monitor, whatever they are doing. */
void sandbox_kill_hard(Sandbox *sandbox)
{
        /* The child is ours and not reaped: the pid is still its. */
        if (sandbox->leader_source)
                kill(sandbox->leader, SIGKILL);
        else if (sandbox->unit)
                unit_kill(sandbox->unit);
}

void sandbox_fail(Sandbox *sandbox, int r, const sd_bus_error *error)
{
        SandboxReason reason = r == -ECANCELED ? SANDBOX_REASON_KILLED : SANDBOX_REASON_BOOT_FAILED;

        if (sandbox->state == SANDBOX_STOPPING)
                return;
        if (sd_bus_error_is_set(error) && !sd_bus_error_is_set(&sandbox->failure))
                sd_bus_error_copy(&sandbox->failure, error);
        if (sandbox->reason_text && sandbox->reason_text[0])
                error_set(&sandbox->failure, r, ERROR_BOOT_FAILED, "%s", sandbox->reason_text);
        error_set(&sandbox->failure, r, ERROR_BOOT_FAILED, "The start failed: %s.", strerror(-r));
        if (sandbox->reason == SANDBOX_REASON_NONE)
                sandbox_set_reason(sandbox, reason, sandbox->failure.message);
        sandbox_log_warning(sandbox, "%s", sandbox->failure.message);
        sandbox_kill_hard(sandbox);
        sandbox_tear_down(sandbox);
}
