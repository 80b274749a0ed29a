/* CopyIn, CopyOut, GetChanges, Commit: what is asked, and what the answers mean; see transfer.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/log.h"
#include "uvmd/bus/console.h"
#include "uvmd/errors.h"
#include "uvmd/image/remove.h"
#include "uvmd/sandbox.h"
#include "uvmd/strv.h"
#include "uvmd/transfer.h"
#include "uvmd/transfer_kinds.h"

/* ------------------------------------------------------------------ copies */

void transfer_tag(const Transfer *transfer, char tag[SHIM_TAG_MAX + 1])
{
        snprintf(tag, SHIM_TAG_MAX + 1, "t%u", transfer->number);
}

/* A single component, or "". */
static bool transfer_name_is_valid(const char *name)
{
        return strlen(name) <= 255 && !strchr(name, '/') && strcmp(name, ".") != 0 &&
               strcmp(name, "..") != 0;
}

static int transfer_check_names(const char *name, const char *path, sd_bus_error *error)
{
        if (!transfer_name_is_valid(name))
                return error_set(error, -EINVAL, ERROR_INVALID_ARGUMENT,
                                 "\"%s\" is no name in the directory of the copy: it takes one "
                                 "without \"/\", or \"\" for all that is in it.",
                                 name);
        if (path[0] != '/' || strlen(path) > AGENT_PATH_MAX)
                return error_set(error, -EINVAL, ERROR_INVALID_ARGUMENT,
                                 "\"%s\" is no absolute path in the container.", path);
        return 0;
}

int transfer_copy_in(Container *container, const TransferCaller *caller, int directory,
                     const char *name, const char *path, bool into, sd_bus_message *call,
                     sd_bus_error *error)
{
        Transfer template = {
                .container = container,
                .kind = TRANSFER_IN,
                .caller = *caller,
                .flags = into ? AGENT_COPY_INTO : 0,
                .directory = directory,
                .name = (char *)name,
                .path = (char *)path,
        };
        Transfer *transfer;
        int r = transfer_check_names(name, path, error);

        return r < 0 ? r : transfer_start(&transfer, &template, call, error);
}

int transfer_copy_out(Container *container, const TransferCaller *caller, int directory,
                      const char *path, const char *name, bool follow, bool root_only,
                      sd_bus_message *call, sd_bus_error *error)
{
        Transfer template = {
                .container = container,
                .kind = TRANSFER_OUT,
                .caller = *caller,
                .flags = AGENT_COPY_OUT | (follow ? AGENT_COPY_FOLLOW : 0) |
                         (root_only ? AGENT_COPY_ROOT : 0),
                .directory = directory,
                .name = (char *)name,
                .path = (char *)path,
        };
        Transfer *transfer;
        int r = transfer_check_names(name, path, error);

        return r < 0 ? r : transfer_start(&transfer, &template, call, error);
}

int transfer_changes(Container *container, sd_bus_message *call, sd_bus_error *error)
{
        Transfer template = {
                .container = container,
                .kind = TRANSFER_CHANGES,
                .directory = FD_NONE,
        };
        Transfer *transfer;

        return transfer_start(&transfer, &template, call, error);
}

int transfer_encode(const Transfer *transfer, void *buffer, size_t size, uint32_t *ret_type,
                    size_t *ret_size)
{
        char tag[SHIM_TAG_MAX + 1];
        const AgentCopy copy = {
                .container = transfer->container->id,
                .tag = tag,
                .name = transfer->name,
                .path = transfer->path,
                .flags = transfer->flags,
        };
        const AgentDiff diff = {
                .container = transfer->container->id,
                .skip = (uint32_t)transfer->n_changes,
        };

        if (transfer->kind == TRANSFER_CHANGES) {
                *ret_type = AGENT_REQUEST_DIFF;
                return agent_diff_encode(&diff, buffer, size, ret_size);
        }
        transfer_tag(transfer, tag);
        *ret_type = AGENT_REQUEST_COPY;
        return agent_copy_encode(&copy, buffer, size, ret_size);
}

/* ------------------------------------------------------------------ answers */

static int transfer_keep_changes(Transfer *transfer, const AgentChanges *changes,
                                 sd_bus_error *error)
{
        /* One that says "more" and gives none would be asked for ever. */
        transfer->more = changes->more && changes->n_changes > 0;
        for (uint32_t i = 0; i < changes->n_changes; i++) {
                const AgentChange *change = &changes->changes[i];
                _cleanup_(freep) char *path = console_to_text(change->path, strlen(change->path));
                int r = path ? strv_append(&transfer->kinds,
                                           agent_change_kind_to_string(change->kind))
                             : -ENOMEM;

                if (r >= 0)
                        r = strv_append(&transfer->paths, path);
                if (r < 0)
                        return r;
                transfer->n_changes++;
                transfer->n_bytes += strlen(path);
                if (transfer->n_changes > TRANSFER_CHANGES_MAX ||
                    transfer->n_bytes > TRANSFER_CHANGES_BYTES_MAX)
                        return error_set(error, -E2BIG, ERROR_LIMIT_EXCEEDED,
                                         "The container has changed more than %d files; export it "
                                         "and compare that.",
                                         TRANSFER_CHANGES_MAX);
        }
        return 0;
}

static int transfer_read_payload(Transfer *transfer, const AgentReply *answer, sd_bus_error *error)
{
        AgentChanges changes;
        AgentCopied copied;
        int r;

        if (transfer->kind == TRANSFER_CHANGES) {
                r = agent_changes_decode(answer->payload, answer->payload_size, &changes);
                if (r < 0)
                        return r;
                r = transfer_keep_changes(transfer, &changes, error);
                agent_changes_done(&changes);
                return r;
        }
        r = agent_copied_decode(answer->payload, answer->payload_size, &copied);
        if (r >= 0)
                transfer->copied = copied;
        return r;
}

int transfer_read_answer(Transfer *transfer, const ShimReply *reply, sd_bus_error *error)
{
        AgentReply answer;
        uint8_t code;
        int r = task_read_answer(reply, "The guest says", &code, error);

        if (r < 0)
                return r;
        r = agent_reply_decode(reply->payload, reply->payload_size, &answer);
        if (r < 0)
                return r;
        r = transfer_read_payload(transfer, &answer, error);
        agent_reply_done(&answer);
        return r < 0 ? error_set(error, r, ERROR_FAILED, "The guest's answer makes no sense.") : 0;
}

static int transfer_answer_changes(const Transfer *transfer)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int r = sd_bus_message_new_method_return(transfer->call, &reply);

        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "(ss)");
        for (size_t i = 0; r >= 0 && i < transfer->n_changes; i++)
                r = sd_bus_message_append(reply, "(ss)", transfer->kinds[i], transfer->paths[i]);
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}

void transfer_changes_done(Transfer *transfer)
{
        transfer->kinds = strv_free(transfer->kinds);
        transfer->paths = strv_free(transfer->paths);
}

/* ------------------------------------------------------------------ commit */

/* What the caller leaves open is the image's own; variables are added to the image's. */
static int commit_inherit(ImporterOptions *options, const ImageConfig *image)
{
        _cleanup_(strv_freep) char **environment = strv_new();
        int r = environment ? strv_append_all(&environment, image->environment) : -ENOMEM;

        for (char **at = options->environment; r >= 0 && at && *at; at++)
                r = strv_set_environment(&environment, *at);
        if (r < 0)
                return r;
        strv_free(options->environment);
        options->environment = TAKE_PTR(environment);
        /* A new entrypoint makes the old command its arguments no more: docker drops it too. */
        if (!options->command && !options->entrypoint && image->command)
                options->command = strv_copy(image->command);
        if (!options->entrypoint && image->entrypoint)
                options->entrypoint = strv_copy(image->entrypoint);
        if (!options->working_directory && image->working_directory)
                options->working_directory = strdup(image->working_directory);
        if (!options->user && image->user)
                options->user = strdup(image->user);
        if (!options->labels && image->labels)
                options->labels = strv_copy(image->labels);
        if (!options->volumes && image->volumes)
                options->volumes = strv_copy(image->volumes);
        if (!options->stop_signal)
                options->stop_signal = image->stop_signal;
        return 0;
}

int transfer_commit(Container *container, const char *image, ImporterOptions *options,
                    sd_bus_message *call, sd_bus_error *error)
{
        ImageStore *images = container->task.sandbox->manager->images;
        _cleanup_(fd_closep) int directory = FD_NONE;
        Transfer template = {
                .container = container,
                .kind = TRANSFER_COMMIT,
                .flags = AGENT_COPY_OUT | AGENT_COPY_ROOT,
                .path = (char *)"/",
        };
        Transfer *transfer;
        int r;

        if (!container->image)
                return error_set(error, -ENOENT, ERROR_NO_SUCH_IMAGE,
                                 "The image of container \"%s\" is gone.", container->name);
        r = transfer_check(container, error);
        if (r >= 0)
                r = commit_inherit(options, &container->image->config);
        if (r >= 0)
                r = importer_make_stage(images, template.stage, &directory);
        if (r < 0)
                return error_set(error, r, ERROR_FAILED, "Can't begin the commit: %s.",
                                 strerror(-r));
        template.directory = directory;
        template.image = strdup(image);
        template.options = *options;
        *options = (ImporterOptions){};
        return transfer_start(&transfer, &template, call, error);
}

void transfer_commit_done(Transfer *transfer)
{
        ImageStore *images = transfer->container->task.sandbox->manager->images;

        if (transfer->stage[0])
                image_remove_directory(images, transfer->stage);
        transfer->stage[0] = 0;
        importer_options_done(&transfer->options);
        free(TAKE_PTR(transfer->image));
}

/* The files are all there: they become an image as any directory does, with the same checks. */
static int transfer_answer_commit(Transfer *transfer, sd_bus_error *error)
{
        ImageStore *images = transfer->container->task.sandbox->manager->images;
        int r = importer_start_stage(images, transfer->image, transfer->stage, &transfer->options,
                                     transfer->call, error);

        if (r >= 0)
                transfer->stage[0] = 0; /* the importer's */
        return r;
}

int transfer_answer(Transfer *transfer, sd_bus_error *error)
{
        if (!transfer->call)
                return 0;
        switch (transfer->kind) {
        case TRANSFER_IN:
        case TRANSFER_OUT:
                return sd_bus_reply_method_return(transfer->call, "tt", transfer->copied.files,
                                                  transfer->copied.bytes);
        case TRANSFER_COMMIT:
                return transfer_answer_commit(transfer, error);
        case TRANSFER_CHANGES:
                return transfer_answer_changes(transfer);
        }
        return -EINVAL;
}
