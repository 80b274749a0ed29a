/*
 * Transfers; see transfer.h. What the agent answers is hostile: it is decoded, and bounded where it
 * is kept.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/log.h"
#include "uvmd/errors.h"
#include "uvmd/journal.h"
#include "uvmd/sandbox.h"
#include "uvmd/strv.h"
#include "uvmd/transfer.h"
#include "uvmd/transfer_kinds.h"

ENUM_TABLE(transfer_state, TransferState, TRANSFER_STATE_MAX_)
= {
        [TRANSFER_WAITING] = "waiting",       [TRANSFER_EXPORTING] = "exporting",
        [TRANSFER_PLUGGING] = "plugging",     [TRANSFER_ASKING] = "asking",
        [TRANSFER_UNPLUGGING] = "unplugging",
};

#define TO(state) (1U << TRANSFER_##state)

static const unsigned transitions[TRANSFER_STATE_MAX_] = {
        [TRANSFER_WAITING] = TO(EXPORTING) | TO(ASKING), /* a list of changes needs no device */
        [TRANSFER_EXPORTING] = TO(PLUGGING),
        [TRANSFER_PLUGGING] = TO(ASKING) | TO(UNPLUGGING), /* nobody waits any more */
        [TRANSFER_ASKING] = TO(UNPLUGGING) | TO(ASKING),   /* asks for more changes */
        [TRANSFER_UNPLUGGING] = 0,
};

static void transfer_set_state(Transfer *transfer, TransferState state)
{
        assert(transitions[transfer->state] & (1U << state));
        container_log_debug(transfer->container, "transfer: %s → %s",
                            transfer_state_to_string(transfer->state),
                            transfer_state_to_string(state));
        transfer->state = state;
}

static Sandbox *transfer_sandbox(const Transfer *transfer)
{
        return transfer->container->task.sandbox;
}

/* ------------------------------------------------------------------ life */

Transfer *transfer_free(Transfer *transfer, int r, const sd_bus_error *error)
{
        if (!transfer)
                return NULL;
        transfer->container->transfer = NULL;
        shim_link_forget(transfer_sandbox(transfer)->link, transfer);
        worker_free(transfer->worker);
        sd_bus_track_unref(transfer->track);
        if (transfer->call && r < 0)
                error_reply(transfer->call, r, error);
        sd_bus_message_unref(transfer->call);
        sd_bus_error_free(&transfer->error);
        fd_close(transfer->directory);
        transfer_commit_done(transfer);
        transfer_changes_done(transfer);
        free(transfer->name);
        free(transfer->path);
        free(transfer);
        return NULL;
}

/* COPY itself answers, and that is what the transfer waits for. */
static void transfer_on_stopped(void *userdata, int r, const ShimReply *reply)
{
        const Transfer *transfer = userdata;

        if (reply && r < 0)
                container_log_warning(transfer->container, "a copy can't be stopped: %s",
                                      reply->text);
}

static void transfer_stop(Transfer *transfer)
{
        const AgentContainer message = {.container = transfer->container->id};
        uint8_t payload[128];
        size_t size;
        int r = agent_container_encode(&message, payload, sizeof(payload), &size);

        if (r >= 0)
                r = sandbox_ask_agent(transfer_sandbox(transfer), AGENT_REQUEST_STOP_COPY, 0,
                                      payload, size, transfer_on_stopped, transfer);
        if (r < 0)
                container_log_warning(transfer->container, "a copy can't be stopped: %s",
                                      strerror(-r));
}

/* Nobody waits any more: the guest leaves off, and gives the directory back. */
static int transfer_on_caller_gone(sd_bus_track *track, void *userdata)
{
        Transfer *transfer = userdata;

        container_log_info(transfer->container, "the caller of a copy has left");
        transfer->call = sd_bus_message_unref(transfer->call);
        if (transfer->state == TRANSFER_WAITING || transfer->state == TRANSFER_EXPORTING)
                transfer_free(transfer, -ECANCELED, NULL);
        else if (transfer->state == TRANSFER_ASKING && transfer->kind != TRANSFER_CHANGES)
                transfer_stop(transfer);
        return 0;
}

static int transfer_watch_caller(Transfer *transfer, sd_bus_message *call)
{
        int r = sd_bus_track_new(transfer_sandbox(transfer)->manager->bus, &transfer->track,
                                 transfer_on_caller_gone, transfer);

        return r < 0 ? r : sd_bus_track_add_sender(transfer->track, call);
}

/* The same at the end of a step: a deletion of the container may have waited for it. */
static void transfer_end(Transfer *transfer, int r, const sd_bus_error *error)
{
        Container *container = transfer->container;

        transfer_free(transfer, r, error);
        container_continue(container);
}

/* ------------------------------------------------------------------ steps */

/* The last one: answers, with what the guest said. */
static void transfer_finish(Transfer *transfer)
{
        int r = transfer->failure;

        if (r >= 0)
                r = transfer_answer(transfer, &transfer->error);
        if (!transfer->call)
                container_log_info(transfer->container, "the copy that nobody waits for: %s",
                                   r < 0 ? strerror(-r) : "done");
        transfer_end(transfer, r, &transfer->error);
}

static void transfer_on_unplugged(void *userdata, int r, const ShimReply *reply)
{
        Transfer *transfer = userdata;

        if (!reply)
                return;
        if (r < 0) {
                container_log_warning(transfer->container,
                                      "the device of a copy can't be removed: %s", reply->text);
                if (transfer->failure >= 0)
                        transfer->failure = error_set(&transfer->error, r, ERROR_FAILED,
                                                      "The guest doesn't give the directory of "
                                                      "the copy back: %s",
                                                      reply->text);
        }
        transfer_finish(transfer);
}

static void transfer_unplug(Transfer *transfer)
{
        ShimMessage message = {
                .type = SHIM_REMOVE_DEVICE,
                .remove_device = {.slot = transfer->slot},
        };

        transfer_set_state(transfer, TRANSFER_UNPLUGGING);
        if (!transfer_sandbox(transfer)->link ||
            shim_link_request(transfer_sandbox(transfer)->link, &message, NULL, 0,
                              transfer_on_unplugged, transfer) < 0)
                transfer_finish(transfer);
}

static void transfer_on_answer(void *userdata, int r, const ShimReply *reply)
{
        Transfer *transfer = userdata;

        if (!reply)
                return; /* the link ended; transfer_on_guest_gone() or an adoption follows */
        if (r < 0)
                error_set(&transfer->error, r, ERROR_WRONG_STATE, "The guest ended: %s",
                          reply->text);
        else
                r = transfer_read_answer(transfer, reply, &transfer->error);
        transfer->failure = MIN(r, 0);
        if (transfer->failure >= 0 && transfer->more)
                transfer_ask(transfer);
        else if (transfer->kind == TRANSFER_CHANGES)
                transfer_finish(transfer);
        else
                transfer_unplug(transfer);
}

void transfer_ask(Transfer *transfer)
{
        _cleanup_(freep) uint8_t *buffer = malloc(SHIM_PAYLOAD_MAX);
        uint32_t type = 0;
        size_t size;
        int r = buffer ? transfer_encode(transfer, buffer, SHIM_PAYLOAD_MAX, &type, &size)
                       : -ENOMEM;

        transfer_set_state(transfer, TRANSFER_ASKING);
        if (r >= 0)
                r = sandbox_ask_agent(transfer_sandbox(transfer), type, 0, buffer, size,
                                      transfer_on_answer, transfer);
        if (r >= 0)
                return;
        transfer->failure = r;
        if (transfer->kind == TRANSFER_CHANGES)
                transfer_finish(transfer);
        else
                transfer_unplug(transfer);
}

static void transfer_on_plugged(void *userdata, int r, const ShimReply *reply)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        Transfer *transfer = userdata;

        if (!reply || r == -ECANCELED)
                return;
        if (r < 0) {
                error_set(&error, r, r == -ENOSPC ? ERROR_LIMIT_EXCEEDED : ERROR_FAILED,
                          "The directory of the copy can't be plugged in: %s",
                          reply->text[0] ? reply->text : strerror(-r));
                transfer_end(transfer, r, &error);
                return;
        }
        transfer->slot = reply->value;
        if (transfer->call)
                transfer_ask(transfer);
        else
                transfer_unplug(transfer);
}

static void transfer_on_export(void *userdata, int r, const sd_bus_error *error,
                               const uint8_t *payload, size_t size, IoMessage *message)
{
        Transfer *transfer = userdata;
        ShimMessage add = {
                .type = SHIM_ADD_DEVICE,
                .add_device =
                        {
                                .kind = SHIM_DEVICE_P9,
                                .flags = transfer->kind == TRANSFER_IN ? SHIM_DEVICE_READ_ONLY : 0,
                        },
        };

        transfer->worker = NULL;
        transfer->directory = fd_close(transfer->directory);
        if (r >= 0 && message->n_fds != 1)
                r = -EBADMSG;
        if (r >= 0 && !transfer_sandbox(transfer)->link)
                r = -ENOTCONN;
        if (r >= 0) {
                transfer_tag(transfer, add.add_device.tag);
                transfer_set_state(transfer, TRANSFER_PLUGGING);
                r = shim_link_request(transfer_sandbox(transfer)->link, &add, message->fds, 1,
                                      transfer_on_plugged, transfer);
        }
        if (r < 0)
                transfer_end(transfer, r, error);
}

/* A caller's files have the caller's one id; root's and the image store's have the container's. */
static int transfer_export(Transfer *transfer)
{
        Sandbox *sandbox = transfer_sandbox(transfer);
        bool single = transfer->kind != TRANSFER_COMMIT && transfer->caller.uid != 0;
        ExportOptions options = {
                .source = transfer->directory,
                .path = transfer->kind == TRANSFER_COMMIT ? "the image store"
                                                          : "the directory of the copy",
                .caller = transfer->kind == TRANSFER_COMMIT ? 0 : transfer->caller.pid,
                .map = single ? EXPORT_MAP_SINGLE : EXPORT_MAP_RANGE,
                .range_base = sandbox->range_base,
                .uid = transfer->caller.uid,
                .read_only = transfer->kind == TRANSFER_IN,
        };

        if (sandbox->identity)
                options.map = EXPORT_MAP_IDENTITY;
        transfer_set_state(transfer, TRANSFER_EXPORTING);
        return export_start(&transfer->worker, sandbox->manager->event, &options,
                            transfer_on_export, transfer);
}

static void transfer_begin(Transfer *transfer)
{
        int r = 0;

        if (transfer->kind == TRANSFER_CHANGES)
                transfer_ask(transfer);
        else
                r = transfer_export(transfer);
        if (r < 0)
                transfer_free(transfer, r, NULL);
}

/* ------------------------------------------------------------------ the container */

void transfer_on_ready(Container *container)
{
        if (container->transfer && container->transfer->state == TRANSFER_WAITING)
                transfer_begin(container->transfer);
}

void transfer_on_failure(Container *container, int r, const sd_bus_error *error)
{
        if (container->transfer && container->transfer->state == TRANSFER_WAITING)
                transfer_free(container->transfer, r, error);
}

void transfer_on_guest_gone(Container *container)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;

        if (!container->transfer)
                return;
        error_set(&error, -ECANCELED, ERROR_WRONG_STATE,
                  "The sandbox ended before the files were copied.");
        transfer_free(container->transfer, -ECANCELED, &error);
}

int transfer_check(const Container *container, sd_bus_error *error)
{
        const Sandbox *sandbox = container->task.sandbox;

        if (sandbox->state != SANDBOX_STARTING && sandbox->state != SANDBOX_RUNNING)
                return error_set(error, -EBUSY, ERROR_WRONG_STATE,
                                 "The sandbox is %s; its files can be reached while it runs: start "
                                 "it.",
                                 sandbox_state_to_string(sandbox->state));
        if (container->transfer)
                return error_set(error, -EBUSY, ERROR_WRONG_STATE,
                                 "Files of this container are being copied; try again when that is "
                                 "done.");
        if (container->deletion)
                return error_set(error, -EBUSY, ERROR_WRONG_STATE, "It is being deleted.");
        return 0;
}

int transfer_start(Transfer **ret, Transfer *template, sd_bus_message *call, sd_bus_error *error)
{
        Container *container = template->container;
        Transfer *transfer = malloc(sizeof(*transfer));
        int r = transfer ? transfer_check(container, error) : -ENOMEM;

        if (r < 0) {
                transfer_commit_done(template);
                free(transfer);
                return r;
        }
        *transfer = *template;
        transfer->number = transfer_sandbox(transfer)->next_mount++;
        transfer->directory = template->directory < 0
                                      ? FD_NONE
                                      : fcntl(template->directory, F_DUPFD_CLOEXEC, 3);
        transfer->name = strdup(template->name ?: "");
        transfer->path = strdup(template->path ?: "");
        container->transfer = transfer;
        if (!transfer->name || !transfer->path)
                r = -ENOMEM;
        else if (transfer->kind == TRANSFER_COMMIT && !transfer->image)
                r = -ENOMEM;
        else if (template->directory >= 0 && transfer->directory < 0)
                r = -EMFILE;
        if (r >= 0)
                r = transfer_watch_caller(transfer, call);
        if (r >= 0 && container->stage == CONTAINER_ABSENT)
                r = container_set_up(container, error);
        if (r < 0) {
                transfer_free(transfer, r, error);
                return r;
        }
        transfer->call = sd_bus_message_ref(call);
        *ret = transfer;
        /* Where it is there already this begins; the transfer may be answered and gone then. */
        container_continue(container);
        return 0;
}
