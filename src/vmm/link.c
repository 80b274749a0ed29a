/* The control socket; see link.h. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/io.h"
#include "base/log.h"
#include "proto/handoff.h"
#include "vmm/link.h"
#include "vmm/plug.h"
#include "vmm/resize.h"

int link_send(Link *link, const ControlMessage *message, int fd)
{
        uint8_t buffer[CONTROL_MESSAGE_SIZE_MAX];
        size_t size;
        int r = control_encode(message, buffer, sizeof(buffer), &size);

        return r < 0 ? r : io_send(link->fd, buffer, size, &fd, fd >= 0 ? 1 : 0);
}

int link_reply(Link *link, uint32_t serial, int r, uint32_t value, const char *text)
{
        ControlMessage message = {.type = CONTROL_REPLY, .serial = serial};

        message.reply.code = r < 0 ? (uint32_t)-r : 0;
        message.reply.value = r < 0 ? 0 : value;
        if (r < 0)
                snprintf(message.reply.text, sizeof(message.reply.text), "%s",
                         text && text[0] ? text : strerror(-r));
        return link_send(link, &message, FD_NONE);
}

static int link_send_phase(Link *link, uint32_t id, uint64_t usec)
{
        ControlMessage message = {.type = CONTROL_PHASE, .phase = {.id = id, .usec = usec}};

        return link_send(link, &message, FD_NONE);
}

static void link_on_phase(void *userdata, uint32_t id, uint64_t usec)
{
        int r = link_send_phase(userdata, id, usec);

        /* A phase that is lost costs a number in a bench. */
        if (r < 0)
                log_debug("phase %u is lost: %s", id, strerror(-r));
        if (id == CONTROL_PHASE_GUEST + HANDOFF_PHASE_REFUSED)
                machine_end(&((Link *)userdata)->machine, CONTROL_END_BOOT_REFUSED,
                            "the firmware can't start on this machine");
}

static void link_on_paused(void *userdata)
{
        Link *link = userdata;
        uint32_t serial = link->pause_serial;

        link->pause_serial = 0;
        (void)link_reply(link, serial, 0, 0, NULL);
}

static void link_on_ended(void *userdata, ControlEnd reason, const char *text)
{
        Link *link = userdata;
        ControlMessage message = {.type = CONTROL_ENDED, .ended.reason = reason};
        int r;

        snprintf(message.ended.text, sizeof(message.ended.text), "%s", text);
        log_info("the machine ended (%s): %s", control_end_to_string(reason), text);
        r = link_send(link, &message, FD_NONE);
        if (r < 0 && !error_is_disconnect(r))
                log_warning_errno(r, "can't report the end");
        link->end = reason;
        loop_stop(link->loop, 0);
}

static int link_configure(Link *link, const ControlMessage *message, int *fds)
{
        const ControlConfigure *configure = &message->configure;
        MachineConfig config = {
                .memory_bytes = configure->memory_bytes,
                .memory_max_bytes = configure->memory_max_bytes,
                .merge_pages = configure->flags & CONTROL_CONFIGURE_MERGE_PAGES,
                .vcpus = configure->vcpus,
                .max_vcpus = configure->max_vcpus,
                .slots = configure->slots,
                .cmdline = configure->cmdline,
                .kvm_fd = TAKE_FD(fds[0]),
                .firmware_fd = TAKE_FD(fds[1]),
                .console_fd = TAKE_FD(fds[2]),
        };
        char text[CONTROL_TEXT_SIZE_MAX + 1];
        int r;

        machine_tell_phase(&link->machine, CONTROL_PHASE_CONFIGURED);
        r = machine_configure(&link->machine, &config, text);
        return link_reply(link, message->serial, r, 0, text);
}

static int link_pause(Link *link, uint32_t serial)
{
        int r = machine_pause(&link->machine);

        if (r < 0)
                return link_reply(link, serial, r, 0, "the machine is not running");
        link->pause_serial = serial;
        return 0;
}

static int link_resume(Link *link, uint32_t serial)
{
        return link_reply(link, serial, machine_resume(&link->machine), 0,
                          "the machine is not paused");
}

static int link_set_vcpus(Link *link, const ControlMessage *message)
{
        int r = machine_set_vcpus(&link->machine, message->set_vcpus.vcpus);

        return link_reply(link, message->serial, r, link->machine.n_vcpus,
                          r == -EINVAL ? "the machine does not run, or can't have so many vCPUs"
                                       : NULL);
}

static int link_start(Link *link, uint32_t serial)
{
        int r = machine_start(&link->machine);

        return link_reply(link, serial, r, 0,
                          r == -EINVAL ? "the machine is not configured, or was started" : NULL);
}

static int link_get_stats(Link *link, uint32_t serial)
{
        ControlMessage message = {.type = CONTROL_STATS, .serial = serial};

        machine_get_stats(&link->machine, &message.stats);
        return link_send(link, &message, FD_NONE);
}

static int link_dispatch(Link *link, const ControlMessage *message, int *fds)
{
        switch (message->type) {
        case CONTROL_CONFIGURE:
                return link_configure(link, message, fds);
        case CONTROL_ADD_DEVICE:
                return plug_add(link, message, fds);
        case CONTROL_REMOVE_DEVICE:
                return plug_remove(link, message);
        case CONTROL_START:
                return link_start(link, message->serial);
        case CONTROL_PAUSE:
                return link_pause(link, message->serial);
        case CONTROL_RESUME:
                return link_resume(link, message->serial);
        case CONTROL_STOP:
                machine_end(&link->machine, CONTROL_END_STOPPED, "stopped by request");
                return 0;
        case CONTROL_VSOCK_LISTEN:
        case CONTROL_VSOCK_UNLISTEN:
        case CONTROL_VSOCK_CONNECT:
                return plug_vsock(link, message, fds);
        case CONTROL_GET_STATS:
                return link_get_stats(link, message->serial);
        case CONTROL_SET_THROTTLE:
                return plug_set_throttle(link, message);
        case CONTROL_ADD_BIND:
        case CONTROL_REMOVE_BIND:
                return plug_bind(link, message, fds);
        case CONTROL_SET_LINK:
                return plug_set_link(link, message);
        case CONTROL_SET_VCPUS:
                return link_set_vcpus(link, message);
        case CONTROL_RESIZE:
                return resize_request(link, message);
        case CONTROL_MEMORY:
        case CONTROL_READY:
        case CONTROL_REPLY:
        case CONTROL_STATS:
        case CONTROL_PHASE:
        case CONTROL_VSOCK_ACCEPTED:
        case CONTROL_ENDED:
        case CONTROL_TYPE_MAX:
                break;
        }
        return -EBADMSG;
}

static int link_receive(Link *link, IoMessage *received)
{
        uint8_t buffer[CONTROL_MESSAGE_SIZE_MAX];
        ControlMessage message;
        int r = io_recv(link->fd, buffer, sizeof(buffer), received);

        if (r < 0)
                return r;
        if (received->size == 0)
                return -ECONNRESET;
        r = control_decode(buffer, received->size, &message);
        if (r < 0)
                return r;
        if (message.serial == 0 || received->n_fds != control_fd_count(&message))
                return -EBADMSG;
        return link_dispatch(link, &message, received->fds);
}

static int link_on_readable(LoopFd *source, uint32_t events)
{
        Link *link = CONTAINER_OF(source, Link, source);
        IoMessage received = {};
        int r = link_receive(link, &received);

        io_message_done(&received);
        if (r == 0 || error_is_transient(r))
                return 0;
        /* Nothing more is read; the end of the machine ends the process. */
        loop_fd_remove(&link->source);
        if (error_is_disconnect(r))
                machine_end(&link->machine, CONTROL_END_STOPPED, "the supervisor went away");
        else
                machine_end(&link->machine, CONTROL_END_PROTOCOL_ERROR,
                            "a control message can't be used: %s", strerror(-r));
        return 0;
}

int link_init(Link *link, Loop *loop, int fd, int fds_fd)
{
        const MachineEvents events = {
                .phase = link_on_phase,
                .paused = link_on_paused,
                .ended = link_on_ended,
                .userdata = link,
        };
        int r;

        *link = (Link){.loop = loop, .fd = fd, .fds_fd = fds_fd};
        resize_init(link);
        r = fd_set_nonblock(fd, true);
        if (r == 0)
                r = loop_fd_add(loop, &link->source, fd, EPOLLIN, link_on_readable);
        return r < 0 ? r : machine_init(&link->machine, loop, &events);
}

int link_done(Link *link)
{
        int r;

        if (!link->loop)
                return 0;
        r = machine_done(&link->machine);
        if (r < 0)
                return r;
        resize_done(link);
        loop_fd_remove(&link->source);
        link->fd = fd_close(link->fd);
        link->fds_fd = fd_close(link->fds_fd);
        return 0;
}

int link_hello(Link *link, uint64_t start_usec, uint64_t jailed_usec)
{
        ControlMessage message = {.type = CONTROL_READY};
        int r = link_send(link, &message, FD_NONE);

        if (r == 0)
                r = link_send_phase(link, CONTROL_PHASE_PROCESS_START, start_usec);
        return r < 0 ? r : link_send_phase(link, CONTROL_PHASE_JAILED, jailed_usec);
}
