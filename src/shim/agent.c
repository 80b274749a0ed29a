/* The link to the guest's agent; see agent.h. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/wire.h"

#include "shim/agent.h"

#define AGENT_LINK_SEED_SIZE 64

void agent_link_init(AgentLink *agent, Loop *loop, const AgentLinkOps *ops)
{
        *agent = (AgentLink){.loop = loop, .ops = ops, .fd = FD_NONE};
        list_init(&agent->calls);
}

static void agent_link_disconnect(AgentLink *agent)
{
        loop_fd_remove(&agent->source);
        agent->fd = fd_close(agent->fd);
        frame_reader_done(&agent->reader);
        frame_queue_done(&agent->queue);
        if (agent->state != AGENT_LINK_ENDED)
                agent->state = AGENT_LINK_DOWN;
}

static void agent_call_end(AgentCall *call, int error, const uint8_t *payload, size_t size)
{
        list_remove(&call->link);
        free(TAKE_PTR(call->payload));
        call->done(call, error, payload, size);
}

void agent_link_end(AgentLink *agent)
{
        List *first;

        agent->state = AGENT_LINK_ENDED;
        agent_link_disconnect(agent);
        while ((first = list_first(&agent->calls)))
                agent_call_end(LIST_ENTRY(first, AgentCall, link), -ECANCELED, NULL, 0);
}

void agent_link_done(AgentLink *agent)
{
        if (agent->loop)
                agent_link_end(agent);
}

/* Writes what it can and waits for what is needed next. A broken stream is met by the next read. */
static int agent_link_flush(AgentLink *agent)
{
        int r = frame_queue_write(&agent->queue, agent->fd);
        uint32_t events = agent->held ? 0 : EPOLLIN;

        if (r < 0 && r != -EAGAIN)
                return r;
        return loop_fd_watch(&agent->source, events | (r == -EAGAIN ? EPOLLOUT : 0));
}

static int agent_link_send_call(AgentLink *agent, AgentCall *call)
{
        if (call->id == 0)
                call->id = ++agent->last_request;
        return frame_queue_put(&agent->queue, call->type, call->id, call->payload, call->size);
}

static int agent_link_welcome(AgentLink *agent)
{
        uint8_t seed[AGENT_LINK_SEED_SIZE], payload[512];
        AgentWelcome welcome = {
                .version = AGENT_VERSION,
                .realtime_usec = clock_realtime_usec(),
                .hostname = (char *)agent->hostname,
                .last_sequence = agent->last_sequence,
                .seed = seed,
        };
        ssize_t n = getrandom(seed, sizeof(seed), GRND_NONBLOCK);
        size_t size;
        int r;

        welcome.seed_size = n > 0 ? (uint32_t)n : 0;
        r = agent_welcome_encode(&welcome, payload, sizeof(payload), &size);
        explicit_bzero(seed, sizeof(seed));
        if (r == 0)
                r = frame_queue_put(&agent->queue, AGENT_WELCOME, 0, payload, size);
        explicit_bzero(payload, sizeof(payload));
        return r;
}

/* Sends again what the agent has not seen and, for the first time, what has waited for it. */
static int agent_link_resume(AgentLink *agent, const AgentHello *hello)
{
        int r;

        if (!agent->known) {
                agent->known = true;
                agent->last_request = hello->last_request;
                agent->last_sequence = hello->last_sequence;
        }
        r = agent_link_welcome(agent);
        list_for_each (item, &agent->calls) {
                AgentCall *call = LIST_ENTRY(item, AgentCall, link);

                if (r == 0 && (call->id == 0 || call->id > hello->last_request))
                        r = agent_link_send_call(agent, call);
        }
        return r;
}

static int agent_link_on_hello(AgentLink *agent, const Frame *frame)
{
        AgentHello hello;
        int r;

        if (agent->state != AGENT_LINK_GREETING)
                return -EBADMSG;
        r = agent_hello_decode(frame->payload, frame->size, &hello);
        if (r < 0)
                return r;
        if (hello.version != AGENT_VERSION) {
                log_error("The guest's agent speaks version %u of the protocol, not %u",
                          hello.version, AGENT_VERSION);
                r = -EPROTONOSUPPORT;
        } else {
                r = agent_link_resume(agent, &hello);
        }
        if (r == 0) {
                agent->state = AGENT_LINK_UP;
                agent->ops->hello(agent, &hello);
        }
        agent_hello_done(&hello);
        return r;
}

static void agent_link_on_reply(AgentLink *agent, const Frame *frame)
{
        list_for_each (item, &agent->calls) {
                AgentCall *call = LIST_ENTRY(item, AgentCall, link);

                if (call->id != 0 && call->id == frame->id) {
                        agent_call_end(call, 0, frame->payload, frame->size);
                        return;
                }
        }
}

/* Replies and events begin with their sequence number; those seen before are repetitions. */
static int agent_link_on_numbered(AgentLink *agent, const Frame *frame)
{
        WireReader reader = wire_reader(frame->payload, frame->size);
        uint64_t sequence = wire_get_u64(&reader);
        uint8_t payload[16];
        size_t size;
        int r;

        if (reader.bad || agent->state != AGENT_LINK_UP)
                return -EBADMSG;
        if (sequence > agent->last_sequence) {
                if (sequence != agent->last_sequence + 1)
                        return -EBADMSG;
                agent->last_sequence = sequence;
                if (frame->type == AGENT_REPLY)
                        agent_link_on_reply(agent, frame);
                else
                        agent->ops->event(agent, frame->type, frame->payload, frame->size);
        }
        if (agent->state != AGENT_LINK_UP)
                return 0;
        r = agent_ack_encode(&(AgentAck){.sequence = agent->last_sequence}, payload,
                             sizeof(payload), &size);
        return r < 0 ? r : frame_queue_put(&agent->queue, AGENT_ACK, 0, payload, size);
}

/* @last: the stream has ended and what is there must be taken now, held or not. */
static int agent_link_dispatch(AgentLink *agent, bool last)
{
        Frame frame;
        int r;

        while (agent->fd >= 0 && (last || !agent->held)) {
                r = frame_reader_next(&agent->reader, &frame);
                if (r == -EAGAIN)
                        return 0;
                if (r != 0)
                        return -EBADMSG;
                if (frame.type == AGENT_HELLO)
                        r = agent_link_on_hello(agent, &frame);
                else
                        r = agent_link_on_numbered(agent, &frame);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* After anything that read or queued: writes, or gives the connection up. */
static void agent_link_settle(AgentLink *agent, int r)
{
        if (agent->fd < 0)
                return;
        if (r >= 0)
                r = agent_link_flush(agent);
        if (r >= 0)
                return;
        if (r != -ENODATA && !error_is_disconnect(r))
                log_warning_errno(r, "The guest's agent broke the protocol and is cut off");
        agent_link_disconnect(agent);
}

static int agent_link_on_ready(LoopFd *source, uint32_t events)
{
        AgentLink *agent = CONTAINER_OF(source, AgentLink, source);
        bool last = events & (EPOLLHUP | EPOLLERR);
        int r = 0;

        if (!agent->held || last) {
                r = frame_reader_read(&agent->reader, agent->fd);
                if (error_is_transient(r))
                        r = 0;
                else if (r >= 0)
                        r = agent_link_dispatch(agent, last);
        }
        agent_link_settle(agent, r);
        return 0;
}

void agent_link_connect(AgentLink *agent, int fd)
{
        int r;

        if (agent->state == AGENT_LINK_ENDED) {
                fd_close(fd);
                return;
        }
        agent_link_disconnect(agent);
        agent->fd = fd;
        agent->state = AGENT_LINK_GREETING;
        r = fd_set_nonblock(fd, true);
        if (r >= 0)
                r = loop_fd_add(agent->loop, &agent->source, fd, EPOLLIN, agent_link_on_ready);
        if (r < 0) {
                log_error_errno(r, "Failed to take the agent's connection");
                agent_link_disconnect(agent);
        }
}

int agent_link_call(AgentLink *agent, AgentCall *call, uint16_t type, const void *payload,
                    size_t size, AgentCallDone done)
{
        uint8_t *copy;

        assert(list_is_empty(&call->link));
        if (agent->state == AGENT_LINK_ENDED)
                return -ECANCELED;
        if (size > FRAME_PAYLOAD_MAX)
                return -EMSGSIZE;
        copy = malloc(size ? size : 1);
        if (!copy)
                return -ENOMEM;
        if (size > 0)
                memcpy(copy, payload, size);
        *call = (AgentCall){.type = type, .payload = copy, .size = size, .done = done};
        list_append(&agent->calls, &call->link);
        if (agent->state == AGENT_LINK_UP)
                agent_link_settle(agent, agent_link_send_call(agent, call));
        return 0;
}

void agent_link_hold(AgentLink *agent, bool hold)
{
        if (agent->held == hold)
                return;
        agent->held = hold;
        if (agent->fd >= 0)
                agent_link_settle(agent, hold ? 0 : agent_link_dispatch(agent, false));
}
