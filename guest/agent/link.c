/* The control stream to the host; see link.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <time.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "config.h"

#include "agent/connect.h"
#include "agent/link.h"
#include "agent/textfile.h"

#define PAUSE_MIN_USEC (10 * USEC_PER_MSEC)
#define PAUSE_MAX_USEC (1 * USEC_PER_SEC)

/* A numbered message, encoded. */
typedef struct Letter {
        List link;
        uint64_t sequence;
        uint32_t id;
        uint16_t type;
        size_t size;
        uint8_t payload[];
} Letter;

static int link_try(Link *link);

ENUM_DECLARE(link_state, LinkState);
ENUM_TABLE(link_state, LinkState, LINK_STATE_MAX_)
= {
        [LINK_WAITING] = "waiting",
        [LINK_CONNECTING] = "connecting",
        [LINK_GREETING] = "greeting",
        [LINK_UP] = "up",
};

static void link_set_state(Link *link, LinkState state)
{
        if (link->state == state)
                return;
        log_debug("link: %s -> %s", link_state_to_string(link->state), link_state_to_string(state));
        link->state = state;
}

static int link_on_retry(LoopTimer *timer)
{
        return link_try(CONTAINER_OF(timer, Link, retry));
}

/* Drops the connection and comes back after a pause. */
static void link_break(Link *link, const char *why)
{
        int fd = link->socket.loop ? link->socket.fd : FD_NONE;

        if (link->state == LINK_UP)
                log_warning("the link to the host broke: %s", why);
        loop_fd_remove(&link->socket);
        fd_close(fd);
        frame_reader_done(&link->reader);
        frame_queue_done(&link->queue);
        link_set_state(link, LINK_WAITING);
        loop_timer_arm(link->loop, &link->retry, clock_now_usec() + link->pause_usec,
                       link_on_retry);
        link->pause_usec = MIN(link->pause_usec * 2, PAUSE_MAX_USEC);
}

static void link_flush(Link *link)
{
        uint32_t events = EPOLLIN;
        int r = frame_queue_write(&link->queue, link->socket.fd);

        if (r == -EAGAIN)
                events |= EPOLLOUT;
        else if (r < 0) {
                link_break(link, strerror(-r));
                return;
        }
        r = loop_fd_watch(&link->socket, events);
        if (r < 0)
                link_break(link, strerror(-r));
}

static int link_put_letter(Link *link, const Letter *letter)
{
        return frame_queue_put(&link->queue, letter->type, letter->id, letter->payload,
                               letter->size);
}

static uint64_t uptime_usec(void)
{
        struct timespec now;

        clock_gettime(CLOCK_BOOTTIME, &now);
        return (uint64_t)now.tv_sec * USEC_PER_SEC + (uint64_t)now.tv_nsec / NSEC_PER_USEC;
}

static int link_put_hello(Link *link)
{
        _cleanup_(text_done) Text boot_id = {};
        struct utsname names = {};
        struct sysinfo info = {};
        uint8_t payload[4096];
        size_t size;
        int r;

        uname(&names);
        sysinfo(&info);
        if (text_read(-1, "/proc/sys/kernel/random/boot_id", &boot_id) == 0)
                boot_id.data[strcspn(boot_id.data, "\n")] = '\0';
        r = agent_hello_encode(
                &(AgentHello){
                        .version = AGENT_VERSION,
                        .agent = (char *)UVM_VERSION,
                        .kernel = names.release,
                        .boot_id = boot_id.data,
                        .mem_total = (uint64_t)info.totalram * info.mem_unit,
                        .mem_free = (uint64_t)info.freeram * info.mem_unit,
                        .uptime_usec = uptime_usec(),
                        .last_request = link->last_request,
                        .last_sequence = link->last_sequence,
                },
                payload, sizeof(payload), &size);
        return r < 0 ? r : frame_queue_put(&link->queue, AGENT_HELLO, 0, payload, size);
}

/* Forgets what the host has; the rest waits for its own acknowledgement. */
static void link_acknowledge(Link *link, uint64_t sequence)
{
        List *first;

        while ((first = list_first(&link->outbox))) {
                Letter *letter = LIST_ENTRY(first, Letter, link);

                if (letter->sequence > sequence)
                        break;
                list_remove(first);
                free(letter);
        }
        if (link_is_settled(link))
                link->settled(link);
}

static int link_on_welcome(Link *link, const Frame *frame)
{
        AgentWelcome welcome;
        int r = agent_welcome_decode(frame->payload, frame->size, &welcome);

        if (r < 0)
                return r;
        if (welcome.version != AGENT_VERSION) {
                log_error("the host speaks version %u of the protocol, not %u", welcome.version,
                          AGENT_VERSION);
                agent_welcome_done(&welcome);
                return -EPROTO;
        }
        link_set_state(link, LINK_UP);
        link->pause_usec = PAUSE_MIN_USEC;
        link->welcome(link, &welcome);
        link_acknowledge(link, welcome.last_sequence);
        agent_welcome_done(&welcome);
        list_for_each (item, &link->outbox) {
                r = link_put_letter(link, LIST_ENTRY(item, Letter, link));
                if (r < 0)
                        return r;
        }
        return 0;
}

static int link_on_ack(Link *link, const Frame *frame)
{
        AgentAck ack;
        int r = agent_ack_decode(frame->payload, frame->size, &ack);

        if (r == 0)
                link_acknowledge(link, ack.sequence);
        return r;
}

/* 0, or -errno: the host broke the protocol. */
static int link_on_frame(Link *link, const Frame *frame)
{
        if (link->state == LINK_GREETING)
                return frame->type == AGENT_WELCOME ? link_on_welcome(link, frame) : -EPROTO;
        if (frame->type == AGENT_ACK)
                return link_on_ack(link, frame);
        if (frame->type < AGENT_REQUEST_PING || frame->id == 0)
                return -EPROTO;
        if (frame->id <= link->last_request)
                return 0; /* a repetition: its reply is in the outbox or was acknowledged */
        link->last_request = frame->id;
        link->request(link, frame);
        return 0;
}

static void link_read(Link *link)
{
        int r = frame_reader_read(&link->reader, link->socket.fd);
        Frame frame;

        if (r == -EAGAIN)
                return;
        while (r == 0) {
                r = frame_reader_next(&link->reader, &frame);
                if (r == 0)
                        r = link_on_frame(link, &frame);
                else if (r > 0) {
                        link_break(link, frame_strerror(r));
                        return;
                }
                /* A request's answer may have met a broken connection. */
                if (link->state < LINK_GREETING)
                        return;
        }
        if (r != -EAGAIN)
                link_break(link, r == -ENODATA ? "the host hung up" : strerror(-r));
        else
                link_flush(link);
}

static int link_on_socket(LoopFd *source, uint32_t events)
{
        Link *link = CONTAINER_OF(source, Link, socket);

        if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
                link_read(link);
        else
                link_flush(link);
        return 0;
}

static int link_greet(Link *link, int fd)
{
        int r = loop_fd_add(link->loop, &link->socket, fd, EPOLLIN, link_on_socket);

        if (r < 0)
                return r;
        link_set_state(link, LINK_GREETING);
        r = link_put_hello(link);
        if (r < 0)
                return r;
        link_flush(link);
        link->connected(link);
        return 0;
}

static int link_on_connected(LoopFd *source, uint32_t events)
{
        Link *link = CONTAINER_OF(source, Link, socket);
        int fd = source->fd, r = connect_result(fd);

        if (r == 0) {
                loop_fd_remove(source);
                r = link_greet(link, fd);
        }
        if (r < 0)
                link_break(link, strerror(-r));
        return 0;
}

static int link_try(Link *link)
{
        int fd = FD_NONE, r = connect_start(link->unix_directory, AGENT_PORT_CONTROL, &fd);

        link_set_state(link, LINK_CONNECTING);
        if (r == -EINPROGRESS)
                r = loop_fd_add(link->loop, &link->socket, fd, EPOLLOUT, link_on_connected);
        else if (r == 0)
                r = link_greet(link, fd);
        if (r < 0) {
                if (!link->socket.loop)
                        fd_close(fd);
                log_debug("link: %s", strerror(-r));
                link_break(link, strerror(-r));
        }
        return 0;
}

int link_start(Link *link, Loop *loop, const char *unix_directory)
{
        link->loop = loop;
        link->unix_directory = unix_directory;
        link->pause_usec = PAUSE_MIN_USEC;
        list_init(&link->outbox);
        return link_try(link);
}

void link_done(Link *link)
{
        int fd = link->socket.loop ? link->socket.fd : FD_NONE;

        loop_timer_cancel(&link->retry);
        loop_fd_remove(&link->socket);
        fd_close(fd);
        frame_reader_done(&link->reader);
        frame_queue_done(&link->queue);
        list_for_each (item, &link->outbox) {
                list_remove(item);
                free(LIST_ENTRY(item, Letter, link));
        }
}

bool link_is_settled(const Link *link)
{
        return list_is_empty(&link->outbox);
}

/* Keeps what was encoded into @payload and sends it if there is a connection. */
static void link_post(Link *link, uint16_t type, uint32_t id, const uint8_t *payload, size_t size)
{
        Letter *letter = malloc(sizeof(*letter) + size);

        if (!letter) {
                log_error("out of memory: a message to the host would be lost");
                abort();
        }
        *letter = (Letter){.sequence = link->last_sequence, .id = id, .type = type, .size = size};
        memcpy(letter->payload, payload, size);
        list_append(&link->outbox, &letter->link);
        if (link->state != LINK_UP)
                return;
        if (link_put_letter(link, letter) < 0)
                link_break(link, "out of memory");
        else
                link_flush(link);
}

#define LINK_SEND(name, type)                                                                 \
        static void link_post_##name(Link *link, uint16_t number, uint32_t id, type *message) \
        {                                                                                     \
                uint8_t *payload = malloc(FRAME_PAYLOAD_MAX);                                 \
                size_t size;                                                                  \
                                                                                              \
                message->sequence = ++link->last_sequence;                                    \
                if (!payload ||                                                               \
                    agent_##name##_encode(message, payload, FRAME_PAYLOAD_MAX, &size) < 0) {  \
                        log_error("a message to the host can't be encoded");                  \
                        abort();                                                              \
                }                                                                             \
                link_post(link, number, id, payload, size);                                   \
                free(payload);                                                                \
        }

LINK_SEND(reply, AgentReply)
LINK_SEND(exited, AgentExited)
LINK_SEND(oom, AgentOom)
LINK_SEND(goodbye, AgentGoodbye)

void link_send_reply(Link *link, uint32_t request, AgentReply *reply)
{
        link_post_reply(link, AGENT_REPLY, request, reply);
}

void link_send_exited(Link *link, AgentExited *exited)
{
        link_post_exited(link, AGENT_EVENT_EXITED, 0, exited);
}

void link_send_oom(Link *link, AgentOom *oom)
{
        link_post_oom(link, AGENT_EVENT_OOM, 0, oom);
}

void link_send_goodbye(Link *link, AgentGoodbye *goodbye)
{
        link_post_goodbye(link, AGENT_EVENT_GOODBYE, 0, goodbye);
}
