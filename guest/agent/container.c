/* Containers; see container.h. */
#include <assert.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"

#include "agent/container.h"
#include "agent/names.h"
#include "agent/operation.h"
#include "agent/release.h"
#include "agent/requests.h"
#include "agent/worker.h"

ENUM_TABLE(container_state, ContainerState, CONTAINER_STATE_MAX_)
= {
        [CONTAINER_CREATING] = "creating", [CONTAINER_CREATED] = "created",
        [CONTAINER_STARTING] = "starting", [CONTAINER_RUNNING] = "running",
        [CONTAINER_STOPPED] = "stopped",   [CONTAINER_DELETING] = "deleting",
};

#define TO(state) (1u << (state))

static void container_set_state(Container *container, ContainerState state)
{
        static const unsigned transitions[CONTAINER_STATE_MAX_] = {
                [CONTAINER_CREATING] = TO(CONTAINER_CREATED) | TO(CONTAINER_DELETING),
                [CONTAINER_CREATED] = TO(CONTAINER_STARTING) | TO(CONTAINER_STOPPED),
                [CONTAINER_STARTING] = TO(CONTAINER_RUNNING) | TO(CONTAINER_STOPPED),
                [CONTAINER_RUNNING] = TO(CONTAINER_STOPPED),
                [CONTAINER_STOPPED] = TO(CONTAINER_DELETING),
        };

        assert(transitions[container->state] & TO(state));
        log_debug("container %s: %s -> %s", container->id,
                  container_state_to_string(container->state), container_state_to_string(state));
        container->state = state;
}

Container *container_find(Guest *guest, const char *id)
{
        list_for_each (item, &guest->containers) {
                Container *container = LIST_ENTRY(item, Container, link);

                if (strcmp(container->id, id) == 0)
                        return container;
        }
        return NULL;
}

Process *container_find_process(Container *container, const char *id)
{
        list_for_each (item, &container->processes) {
                Process *process = LIST_ENTRY(item, Process, link);

                if (strcmp(process->id, id) == 0)
                        return process;
        }
        return NULL;
}

bool container_is_busy(const Container *container)
{
        return !list_is_empty(&container->processes) || !list_is_empty(&container->operations);
}

static void container_free(Container *container)
{
        list_for_each (item, &container->processes)
                process_free(LIST_ENTRY(item, Process, link));
        list_remove(&container->link);
        cgroup_done(&container->cgroup);
        agent_container_spec_done(&container->spec);
        free(container->id);
        free(container);
}

/*
 * Cleaning up may block on the host's file server: a worker does it.
 */

typedef struct Cleanup {
        Container *container;
        CodecStrings unused; /* shares */
} Cleanup;

static int cleanup_run(void *argument, int output)
{
        Cleanup *cleanup = argument;
        Guest *guest = cleanup->container->guest;
        int result = guest->cgroup_root >= 0 ? cgroup_remove(cleanup->container->id) : 0;
        int r = release_names(guest->state, &cleanup->unused);

        return result < 0 ? result : r;
}

static void cleanup_done(void *context, int r, int output)
{
        Container *container = context;
        Guest *guest = container->guest;
        uint32_t request = container->request;

        names_remove(guest, container->id);
        if (r < 0)
                log_warning_errno(r, "cannot clean up after container %s", container->id);
        if (request && container->fault.error)
                guest_reply(guest, request, &container->fault);
        else if (request && r < 0)
                guest_reply_error(guest, request, r, "cannot clean up after container %s",
                                  container->id);
        else if (request)
                guest_reply(guest, request, NULL);
        container_free(container);
        guest->shares.unmounting--;
        requests_resume(guest);
        shutdown_check(guest);
}

static void container_clean_up(Container *container)
{
        Cleanup cleanup = {.container = container};
        int r;

        if (container->state == CONTAINER_CREATING)
                container->guest->shares.mounting--;
        container_set_state(container, CONTAINER_DELETING);
        container->guest->shares.unmounting++;
        shares_give_back(&container->guest->shares, &container->spec, &cleanup.unused);
        r = worker_start(container->guest->loop, cleanup_run, &cleanup, cleanup_done, container);
        shares_names_free(&cleanup.unused);
        if (r < 0)
                cleanup_done(container, r, FD_NONE);
}

/*
 * What its processes tell.
 */

static void on_ready(Process *process)
{
        Container *container = process->owner;

        if (*process->id) {
                process_go(process);
                return;
        }
        container_set_state(container, CONTAINER_CREATED);
        container->guest->shares.mounting--;
        names_refresh(container);
        guest_reply(container->guest, process->request, NULL);
        process->request = 0;
        requests_resume(container->guest);
}

static void on_running(Process *process)
{
        Container *container = process->owner;

        if (!*process->id)
                container_set_state(container, CONTAINER_RUNNING);
        guest_reply(container->guest, process->request, NULL);
        process->request = 0;
}

static void send_exited(Process *process)
{
        Container *container = process->owner;
        AgentExited exited = {
                .container = container->id,
                .process = process->id,
                .exit_code = process->status.exit_code,
                .signal = process->status.signal,
                .oom = cgroup_oom_kills(&container->cgroup) > 0,
                .stdout_bytes = streams_moved(&process->streams, AGENT_STREAM_STDOUT),
                .stderr_bytes = streams_moved(&process->streams, AGENT_STREAM_STDERR),
                .realtime_usec = process->exit_realtime_usec,
        };

        link_send_exited(&container->guest->link, &exited);
}

/* The first process's end is the container's. */
static void container_stop(Container *container)
{
        container_kill(container);
        operations_end(container);
        container_set_state(container, CONTAINER_STOPPED);
}

static void on_exited(Process *process)
{
        Container *container = process->owner;
        bool first = !*process->id;

        send_exited(process);
        process_free(process);
        if (first)
                container_stop(container);
        shutdown_check(container->guest);
}

/* A container whose first process could not be set up never was; one that could not run its
 * program has stopped. */
static void on_failed(Process *process)
{
        Container *container = process->owner;
        bool first = !*process->id;

        if (first && container->state == CONTAINER_CREATING) {
                container->request = process->request;
                container->fault = process->fault;
                process_free(process);
                container_clean_up(container);
                return;
        }
        if (first)
                container_stop(container);
        if (process->request)
                guest_reply(container->guest, process->request, &process->fault);
        process_free(process);
        shutdown_check(container->guest);
}

static const ProcessOps process_ops = {
        .ready = on_ready,
        .running = on_running,
        .exited = on_exited,
        .failed = on_failed,
};

static void on_oom(Cgroup *cgroup)
{
        Container *container = CONTAINER_OF(cgroup, Container, cgroup);
        AgentOom oom = {.container = container->id, .kills = cgroup->oom_kills};

        log_warning("container %s ran out of memory", container->id);
        link_send_oom(&container->guest->link, &oom);
}

/*
 * Requests.
 */

static int container_new(Guest *guest, AgentCreate *create, Container **ret, Fault *fault)
{
        Container *container = calloc(1, sizeof(*container));
        int r = container ? shares_take(&guest->shares, &create->spec) : -ENOMEM;

        if (r < 0) {
                free(container);
                return fault_set(fault, r, "devices of container %s", create->container);
        }
        guest->shares.mounting++;
        container->guest = guest;
        container->id = TAKE_PTR(create->container);
        container->spec = create->spec;
        create->spec = (AgentContainerSpec){};
        container->cgroup.fd = FD_NONE;
        list_init(&container->processes);
        list_init(&container->operations);
        list_append(&guest->containers, &container->link);
        *ret = container;
        return 0;
}

/* Makes the process and its child. On failure it is gone again. */
static int container_launch(Container *container, uint32_t request, char *id,
                            AgentProcessSpec *spec, Launch *launch, Fault *fault)
{
        Guest *guest = container->guest;
        Process *process = process_new(guest->loop, container, &process_ops, id, spec);
        int r;

        if (!process)
                return fault_set(fault, -ENOMEM, "process");
        process->request = request;
        launch->state = guest->state;
        launch->cgroup_fd = container->cgroup.fd;
        r = process_launch(process, launch, guest->scratch, guest->unix_directory, fault);
        if (r < 0)
                process_free(process);
        else
                list_append(&container->processes, &process->link);
        return r;
}

void container_create(Guest *guest, uint32_t request, AgentCreate *create)
{
        Launch launch = {.join = FD_NONE};
        Container *container = NULL;
        Fault fault;
        int r;

        if (shutdown_has_begun(guest))
                r = fault_set(&fault, -ESHUTDOWN, "container %s", create->container);
        else if (container_find(guest, create->container))
                r = fault_set(&fault, -EEXIST, "container %s", create->container);
        else
                r = container_new(guest, create, &container, &fault);
        if (r == 0)
                r = cgroup_create(&container->cgroup, guest->loop, guest->cgroup_root,
                                  container->id, &container->spec.limits, on_oom, &fault);
        if (r == 0)
                r = names_prepare(container, &fault);
        if (r == 0) {
                launch.container = &container->spec;
                launch.id = container->id;
                r = container_launch(container, request, strdup(""), &create->process, &launch,
                                     &fault);
        }
        if (r == 0)
                return;
        if (!container) {
                guest_reply(guest, request, &fault);
                return;
        }
        container->request = request;
        container->fault = fault;
        container_clean_up(container);
}

void container_start(Container *container, uint32_t request)
{
        Process *process = container_find_process(container, "");

        if (container->state != CONTAINER_CREATED || process->state != PROCESS_READY) {
                guest_reply_error(container->guest, request, -EINVAL, "container %s is %s",
                                  container->id, container_state_to_string(container->state));
                return;
        }
        process->request = request;
        container_set_state(container, CONTAINER_STARTING);
        process_go(process);
}

void container_exec(Container *container, uint32_t request, AgentExec *exec)
{
        Process *first = container_find_process(container, "");
        Launch launch = {};
        Fault fault;
        int r;

        if (container->state != CONTAINER_RUNNING || first->state != PROCESS_RUNNING)
                r = fault_set(&fault, -ESRCH, "container %s is not running", container->id);
        else if (container_find_process(container, exec->process))
                r = fault_set(&fault, -EEXIST, "process %s", exec->process);
        else {
                launch.join = first->pidfd;
                launch.join_pid = first->pid;
                r = container_launch(container, request, TAKE_PTR(exec->process), &exec->spec,
                                     &launch, &fault);
        }
        if (r < 0)
                guest_reply(container->guest, request, &fault);
}

void container_delete(Container *container, uint32_t request)
{
        if (container->state != CONTAINER_STOPPED || !list_is_empty(&container->processes) ||
            container->doomed) {
                guest_reply_error(container->guest, request, -EBUSY, "container %s is %s",
                                  container->id, container_state_to_string(container->state));
                return;
        }
        container->request = request;
        container->doomed = true;
        container_on_operation_done(container);
}

void container_on_operation_done(Container *container)
{
        Guest *guest = container->guest;

        if (!list_is_empty(&container->operations))
                return;
        if (container->doomed)
                container_clean_up(container);
        else
                shutdown_check(guest);
}

/* Without a cgroup: those that the host knows of. The rest dies with the pid namespace. */
static int signal_processes(Container *container, int signal)
{
        list_for_each (item, &container->processes)
                process_signal(LIST_ENTRY(item, Process, link), signal);
        return 0;
}

int container_signal(Container *container, const AgentSignal *signal)
{
        Process *process;

        if (signal->all) {
                int r = cgroup_signal(&container->cgroup, (int)signal->signal);

                return r == -ENOTSUP ? signal_processes(container, (int)signal->signal) : r;
        }
        process = container_find_process(container, signal->process);
        return process ? process_signal(process, (int)signal->signal) : -ESRCH;
}

void container_kill(Container *container)
{
        int r = container->cgroup.fd >= 0 ? cgroup_kill(&container->cgroup)
                                          : signal_processes(container, SIGKILL);

        if (r < 0)
                log_warning_errno(r, "cannot kill what is left of container %s", container->id);
}
