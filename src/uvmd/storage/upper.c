/* Writable layers on their way into guests; see upper.h. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/log.h"
#include "uvmd/boot.h"
#include "uvmd/errors.h"
#include "uvmd/journal.h"
#include "uvmd/sandbox.h"
#include "uvmd/storage/layer.h"
#include "uvmd/storage/upper.h"

ENUM_TABLE(upper_state, UpperState, UPPER_STATE_MAX_)
= {
        [UPPER_ABSENT] = "absent",     [UPPER_OPENING] = "opening", [UPPER_OPENED] = "opened",
        [UPPER_PLUGGING] = "plugging", [UPPER_PLUGGED] = "plugged",
};

#define TO(state) (1U << UPPER_##state)

/* Each may fall back to absent: the guest is gone, or the step failed. */
static const unsigned transitions[UPPER_STATE_MAX_] = {
        [UPPER_ABSENT] = TO(OPENING) | TO(PLUGGED), /* plugged at once: adopted */
        [UPPER_OPENING] = TO(OPENED),
        [UPPER_OPENED] = TO(PLUGGING),
        [UPPER_PLUGGING] = TO(PLUGGED),
        [UPPER_PLUGGED] = 0,
};

static void upper_set_state(Container *container, UpperState state)
{
        Upper *upper = &container->upper;

        assert(state == UPPER_ABSENT || transitions[upper->state] & (1U << state));
        container_log_debug(container, "its layer: %s → %s", upper_state_to_string(upper->state),
                            upper_state_to_string(state));
        upper->state = state;
}

void upper_init(Upper *upper)
{
        *upper = (Upper){.fd = FD_NONE};
}

void upper_done(Upper *upper)
{
        upper->worker = worker_free(upper->worker);
        upper->fd = fd_close(upper->fd);
}

bool upper_is_wanted(const Container *container)
{
        const ContainerConfig *config = &container->config;

        return !config->read_only && config->storage && strcmp(config->storage, "disk") == 0;
}

void upper_serial(const Container *container, char ret[UPPER_SERIAL_SIZE])
{
        snprintf(ret, UPPER_SERIAL_SIZE, "root-%.8s", container->id);
}

bool upper_is_moving(const Container *container)
{
        UpperState state = container->upper.state;

        return state != UPPER_ABSENT && state != UPPER_PLUGGED;
}

bool upper_is_ready(const Container *container)
{
        return !upper_is_wanted(container) || container->upper.state == UPPER_PLUGGED;
}

/* What an answer means for the container and the sandbox's boot; the container may be freed. */
static void upper_pass_on(Container *container)
{
        Sandbox *sandbox = container->task.sandbox;

        container_continue(container);
        boot_continue(sandbox);
}

static void upper_fail(Container *container, int r, const sd_bus_error *error)
{
        Sandbox *sandbox = container->task.sandbox;

        upper_done(&container->upper);
        upper_set_state(container, UPPER_ABSENT);
        container_fail(container, r, error);
        boot_continue(sandbox);
}

static void upper_on_plugged(void *userdata, int r, const ShimReply *reply)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        Container *container = userdata;

        if (!reply || r == -ECANCELED || container->upper.state != UPPER_PLUGGING)
                return; /* link or guest have ended: on_guest_gone or an adoption follows */
        if (r < 0) {
                error_set(&error, r, ERROR_FAILED, "The writable layer can't be plugged in: %s",
                          reply->text[0] ? reply->text : strerror(-r));
                upper_fail(container, r, &error);
                return;
        }
        container->upper.slot = reply->value;
        upper_set_state(container, UPPER_PLUGGED);
        upper_pass_on(container);
}

static int upper_plug(Container *container)
{
        ShimMessage message = {
                .type = SHIM_ADD_DEVICE,
                .add_device = {.kind = SHIM_DEVICE_BLOCK, .throttle = container->throttle},
        };
        _cleanup_(fd_closep) int fd = TAKE_FD(container->upper.fd);

        upper_serial(container, message.add_device.tag);
        upper_set_state(container, UPPER_PLUGGING);
        return shim_link_request(container->task.sandbox->link, &message, &fd, 1, upper_on_plugged,
                                 container);
}

void upper_continue(Container *container)
{
        int r;

        if (container->upper.state != UPPER_OPENED ||
            container->task.sandbox->boot < SANDBOX_BOOT_PLUGGING)
                return;
        r = upper_plug(container);
        if (r < 0)
                upper_fail(container, r, NULL);
}

static void upper_on_open(void *userdata, int r, const sd_bus_error *error, const uint8_t *payload,
                          size_t size, IoMessage *message)
{
        Container *container = userdata;
        Upper *upper = &container->upper;

        upper->worker = NULL;
        if (r >= 0 && message->n_fds != 1)
                r = -EBADMSG;
        if (r < 0) {
                upper_fail(container, r, error);
                return;
        }
        upper->fd = TAKE_FD(message->fds[0]);
        upper_set_state(container, UPPER_OPENED);
        if (!upper->exists) {
                upper->exists = true;
                sandbox_save(container->task.sandbox);
        }
        upper_continue(container);
        upper_pass_on(container);
}

int upper_set_up(Container *container, sd_bus_error *error)
{
        Manager *manager = container->task.sandbox->manager;
        Upper *upper = &container->upper;
        int r;

        if (!upper_is_wanted(container) || upper->state != UPPER_ABSENT)
                return 0;
        r = layer_open(&upper->worker, manager->event, manager->paths.state_dir, container->id,
                       container->config.storage_size, upper->exists, upper_on_open, container);
        if (r >= 0)
                upper_set_state(container, UPPER_OPENING);
        return r;
}

void upper_undo(Container *container)
{
        switch (container->upper.state) {
        case UPPER_OPENING:
        case UPPER_OPENED:
                upper_done(&container->upper);
                upper_set_state(container, UPPER_ABSENT);
                break;
        case UPPER_PLUGGED:
                upper_unplug(container);
                break;
        case UPPER_ABSENT:
        case UPPER_PLUGGING:
        case UPPER_STATE_MAX_:
                break;
        }
}

void upper_unplug(Container *container)
{
        Sandbox *sandbox = container->task.sandbox;
        ShimMessage message = {
                .type = SHIM_REMOVE_DEVICE,
                .remove_device = {.slot = container->upper.slot},
        };

        if (container->upper.state != UPPER_PLUGGED)
                return;
        if (sandbox->link && sandbox->state == SANDBOX_RUNNING)
                shim_link_request(sandbox->link, &message, NULL, 0, NULL, NULL);
        upper_set_state(container, UPPER_ABSENT);
}

void upper_on_guest_gone(Container *container)
{
        upper_done(&container->upper);
        if (container->upper.state != UPPER_ABSENT)
                upper_set_state(container, UPPER_ABSENT);
}

void upper_adopt(Container *container, uint32_t slot)
{
        container->upper.slot = slot;
        upper_set_state(container, UPPER_PLUGGED);
}

void upper_remove(Container *container)
{
        Manager *manager = container->task.sandbox->manager;

        if (upper_is_wanted(container))
                layer_remove(manager->event, manager->paths.state_dir, container->id);
}
