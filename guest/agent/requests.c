/* The host's requests; see requests.h. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"

#include "agent/attach.h"
#include "agent/container.h"
#include "agent/copy.h"
#include "agent/cpus.h"
#include "agent/diff.h"
#include "agent/fault.h"
#include "agent/guestclock.h"
#include "agent/limits.h"
#include "agent/names.h"
#include "agent/network.h"
#include "agent/plug.h"
#include "agent/report.h"
#include "agent/requests.h"

void guest_reply(Guest *guest, uint32_t id, const Fault *fault)
{
        AgentReply reply = {};

        if (fault) {
                reply.code = (uint32_t)-fault->error;
                reply.exit_code = fault->exit_code;
                reply.text = (char *)fault->text;
        }
        link_send_reply(&guest->link, id, &reply);
}

void guest_reply_error(Guest *guest, uint32_t id, int r, const char *format, ...)
{
        char text[FAULT_TEXT_SIZE / 2];
        va_list arguments;
        Fault fault;

        va_start(arguments, format);
        vsnprintf(text, sizeof(text), format, arguments);
        va_end(arguments);
        fault_set(&fault, r, "%s", text);
        guest_reply(guest, id, &fault);
}

void guest_reply_payload(Guest *guest, uint32_t id, const uint8_t *payload, size_t size)
{
        AgentReply reply = {.payload = (uint8_t *)payload, .payload_size = (uint32_t)size};

        link_send_reply(&guest->link, id, &reply);
}

/* The container a request names, or NULL and the request is answered. */
static Container *find(Guest *guest, uint32_t id, const char *name)
{
        Container *container = container_find(guest, name);

        if (!container)
                guest_reply_error(guest, id, -ENOENT, "container %s", name);
        return container;
}

static int handle_create(Guest *guest, const Frame *frame)
{
        AgentCreate create;
        int r = agent_create_decode(frame->payload, frame->size, &create);

        if (r < 0)
                return r;
        container_create(guest, frame->id, &create);
        agent_create_done(&create);
        return 0;
}

static int handle_exec(Guest *guest, const Frame *frame)
{
        AgentExec exec;
        Container *container;
        int r = agent_exec_decode(frame->payload, frame->size, &exec);

        if (r < 0)
                return r;
        container = find(guest, frame->id, exec.container);
        if (container)
                container_exec(container, frame->id, &exec);
        agent_exec_done(&exec);
        return 0;
}

static void reply_stats(Guest *guest, uint32_t id, const Container *container)
{
        uint8_t payload[sizeof(AgentStats)]; /* nothing but numbers */
        AgentStats stats;
        size_t size;

        report_stats(guest, container, &stats);
        if (agent_stats_encode(&stats, payload, sizeof(payload), &size) == 0)
                guest_reply_payload(guest, id, payload, size);
}

static void stop_copy(Container *container, uint32_t request)
{
        copy_stop(container);
        guest_reply(container->guest, request, NULL);
}

/* The requests whose payload is the name of a container. */
static int handle_container(Guest *guest, const Frame *frame)
{
        AgentContainer message;
        Container *container = NULL;
        int r = agent_container_decode(frame->payload, frame->size, &message);

        if (r < 0)
                return r;
        if (frame->type == AGENT_REQUEST_STATS && !*message.container)
                reply_stats(guest, frame->id, NULL);
        else
                container = find(guest, frame->id, message.container);
        agent_container_done(&message);
        if (!container)
                return 0;
        if (frame->type == AGENT_REQUEST_START)
                container_start(container, frame->id);
        else if (frame->type == AGENT_REQUEST_DELETE)
                container_delete(container, frame->id);
        else if (frame->type == AGENT_REQUEST_STATS)
                reply_stats(guest, frame->id, container);
        else if (frame->type == AGENT_REQUEST_STOP_COPY)
                stop_copy(container, frame->id);
        else
                processes_answer(container, frame->id);
        return 0;
}

static int handle_signal(Guest *guest, const Frame *frame)
{
        Container *container;
        AgentSignal signal;
        int r = agent_signal_decode(frame->payload, frame->size, &signal);

        if (r < 0)
                return r;
        container = find(guest, frame->id, signal.container);
        if (container) {
                r = container_signal(container, &signal);
                if (r < 0)
                        guest_reply_error(guest, frame->id, r, "cannot signal %s",
                                          signal.container);
                else
                        guest_reply(guest, frame->id, NULL);
        }
        agent_signal_done(&signal);
        return 0;
}

static int handle_resize(Guest *guest, const Frame *frame)
{
        Container *container;
        Process *process;
        AgentResize resize;
        int r = agent_resize_decode(frame->payload, frame->size, &resize);

        if (r < 0)
                return r;
        container = find(guest, frame->id, resize.container);
        if (container) {
                process = container_find_process(container, resize.process);
                r = process ? process_resize(process, resize.rows, resize.columns) : -ESRCH;
                if (r < 0)
                        guest_reply_error(guest, frame->id, r, "cannot resize the terminal");
                else
                        guest_reply(guest, frame->id, NULL);
        }
        agent_resize_done(&resize);
        return 0;
}

static int handle_slot(Guest *guest, const Frame *frame)
{
        AgentSlot slot;
        int r = agent_slot_decode(frame->payload, frame->size, &slot);

        if (r == 0)
                plug_slot(guest, frame->id, slot.slot, frame->type == AGENT_REQUEST_PLUG);
        return r;
}

static int handle_shutdown(Guest *guest, const Frame *frame)
{
        AgentShutdown shutdown;
        int r = agent_shutdown_decode(frame->payload, frame->size, &shutdown);

        if (r < 0)
                return r;
        guest_reply(guest, frame->id, NULL);
        shutdown_begin(guest, shutdown.grace_usec);
        return 0;
}

static int handle_ping(Guest *guest, const Frame *frame)
{
        guest_reply(guest, frame->id, NULL);
        return 0;
}

static int handle_mount(Guest *guest, const Frame *frame)
{
        AgentAddMount add;
        Container *container;
        int r = agent_add_mount_decode(frame->payload, frame->size, &add);

        if (r < 0)
                return r;
        container = find(guest, frame->id, add.container);
        if (container)
                attach_mount(container, frame->id, &add);
        agent_add_mount_done(&add);
        return 0;
}

static int handle_unmount(Guest *guest, const Frame *frame)
{
        AgentRemoveMount remove;
        Container *container;
        int r = agent_remove_mount_decode(frame->payload, frame->size, &remove);

        if (r < 0)
                return r;
        container = find(guest, frame->id, remove.container);
        if (container)
                attach_unmount(container, frame->id, &remove);
        agent_remove_mount_done(&remove);
        return 0;
}

static int handle_copy(Guest *guest, const Frame *frame)
{
        Container *container;
        AgentCopy copy;
        int r = agent_copy_decode(frame->payload, frame->size, &copy);

        if (r < 0)
                return r;
        container = find(guest, frame->id, copy.container);
        if (container)
                copy_start(container, frame->id, &copy);
        agent_copy_done(&copy);
        return 0;
}

static int handle_diff(Guest *guest, const Frame *frame)
{
        Container *container;
        AgentDiff diff;
        int r = agent_diff_decode(frame->payload, frame->size, &diff);

        if (r < 0)
                return r;
        container = find(guest, frame->id, diff.container);
        if (container)
                diff_start(container, frame->id, &diff);
        agent_diff_done(&diff);
        return 0;
}

static int handle_network(Guest *guest, const Frame *frame)
{
        AgentNetwork network;
        int r = agent_network_decode(frame->payload, frame->size, &network);

        if (r < 0)
                return r;
        network_start(guest, frame->id, &network);
        agent_network_done(&network);
        return 0;
}

static int handle_routing(Guest *guest, const Frame *frame)
{
        return netrouting_start(guest, frame->id, frame->payload, frame->size);
}

static int handle_resolver(Guest *guest, const Frame *frame)
{
        AgentResolver resolver;
        int r = agent_resolver_decode(frame->payload, frame->size, &resolver);

        if (r < 0)
                return r;
        names_set(guest, frame->id, &resolver);
        agent_resolver_done(&resolver);
        return 0;
}

static int handle_cpus(Guest *guest, const Frame *frame)
{
        AgentCpus cpus;
        int r = agent_cpus_decode(frame->payload, frame->size, &cpus);

        if (r == 0)
                cpus_start(guest, frame->id, cpus.cpus);
        return r;
}

static int handle_update(Guest *guest, const Frame *frame)
{
        Container *container;
        AgentUpdate update;
        int r = agent_update_decode(frame->payload, frame->size, &update);

        if (r < 0)
                return r;
        container = find(guest, frame->id, update.container);
        if (container)
                limits_update(container, frame->id, &update);
        agent_update_done(&update);
        return 0;
}

static int handle_set_time(Guest *guest, const Frame *frame)
{
        AgentTime time;
        int r = agent_time_decode(frame->payload, frame->size, &time);

        if (r < 0)
                return r;
        r = guestclock_set(guest, time.realtime_usec);
        if (r < 0)
                guest_reply_error(guest, frame->id, r, "cannot set the clock");
        else
                guest_reply(guest, frame->id, NULL);
        return 0;
}

static void dispatch(Guest *guest, const Frame *frame)
{
        /* 0: it has been or will be answered; -errno: the payload is malformed. */
        static const struct {
                AgentType type;
                int (*handle)(Guest *guest, const Frame *frame);
        } requests[] = {
                {AGENT_REQUEST_PING, handle_ping},
                {AGENT_REQUEST_CREATE, handle_create},
                {AGENT_REQUEST_START, handle_container},
                {AGENT_REQUEST_DELETE, handle_container},
                {AGENT_REQUEST_EXEC, handle_exec},
                {AGENT_REQUEST_SIGNAL, handle_signal},
                {AGENT_REQUEST_RESIZE, handle_resize},
                {AGENT_REQUEST_STATS, handle_container},
                {AGENT_REQUEST_PROCESSES, handle_container},
                {AGENT_REQUEST_PLUG, handle_slot},
                {AGENT_REQUEST_UNPLUG, handle_slot},
                {AGENT_REQUEST_SHUTDOWN, handle_shutdown},
                {AGENT_REQUEST_MOUNT, handle_mount},
                {AGENT_REQUEST_UNMOUNT, handle_unmount},
                {AGENT_REQUEST_COPY, handle_copy},
                {AGENT_REQUEST_STOP_COPY, handle_container},
                {AGENT_REQUEST_DIFF, handle_diff},
                {AGENT_REQUEST_NETWORK, handle_network},
                {AGENT_REQUEST_ROUTING, handle_routing},
                {AGENT_REQUEST_RESOLVER, handle_resolver},
                {AGENT_REQUEST_CPUS, handle_cpus},
                {AGENT_REQUEST_UPDATE, handle_update},
                {AGENT_REQUEST_SET_TIME, handle_set_time},
        };
        int r = -ENOSYS;

        log_debug("request %u: %s", frame->id, agent_type_to_string(frame->type));
        for (size_t i = 0; i < ELEMENTSOF(requests); i++)
                if (requests[i].type == frame->type) {
                        uint32_t id = frame->id;

                        r = requests[i].handle(guest, frame);
                        if (r < 0)
                                guest_reply_error(guest, id, r, "malformed request");
                        return;
                }
        guest_reply_error(guest, frame->id, r, "request type %u", frame->type);
}

/*
 * Those that wait.
 */

typedef struct Waiting {
        List link;
        Frame frame; /* with a payload of its own, behind it */
        uint8_t payload[];
} Waiting;

static bool can_wait(uint16_t type)
{
        return type == AGENT_REQUEST_CREATE || type == AGENT_REQUEST_MOUNT ||
               type == AGENT_REQUEST_UNMOUNT || type == AGENT_REQUEST_COPY ||
               type == AGENT_REQUEST_STOP_COPY;
}

static bool must_wait(const Guest *guest, uint16_t type)
{
        return guest->shares.unmounting > 0 ||
               (type == AGENT_REQUEST_UNMOUNT && guest->shares.mounting > 0);
}

static void put_off(Guest *guest, const Frame *frame)
{
        Waiting *waiting = malloc(sizeof(*waiting) + frame->size);

        if (!waiting) {
                guest_reply_error(guest, frame->id, -ENOMEM, "request type %u", frame->type);
                return;
        }
        memcpy(waiting->payload, frame->payload, frame->size);
        waiting->frame = *frame;
        waiting->frame.payload = waiting->payload;
        list_append(&guest->waiting, &waiting->link);
}

void requests_handle(Link *link, const Frame *frame)
{
        Guest *guest = CONTAINER_OF(link, Guest, link);

        if (can_wait(frame->type) &&
            (!list_is_empty(&guest->waiting) || must_wait(guest, frame->type)))
                put_off(guest, frame);
        else
                dispatch(guest, frame);
}

void requests_resume(Guest *guest)
{
        List *item;

        while ((item = list_first(&guest->waiting))) {
                Waiting *waiting = LIST_ENTRY(item, Waiting, link);

                if (must_wait(guest, waiting->frame.type))
                        return;
                list_remove(item);
                dispatch(guest, &waiting->frame);
                free(waiting);
        }
}
