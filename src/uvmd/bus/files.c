/* A container's files on the bus; see files.h. */
#include <errno.h>

#include "base/parse.h"
#include "uvmd/bus/files.h"
#include "uvmd/container.h"
#include "uvmd/errors.h"
#include "uvmd/throttle.h"
#include "uvmd/transfer.h"

typedef struct CopyOptions {
        bool into, follow, root_only;
} CopyOptions;

static TransferCaller transfer_caller(const BusCall *call)
{
        return (TransferCaller){.uid = call->uid, .pid = call->pid};
}

int bus_copy_in(BusCall *call, void *container, sd_bus_error *error)
{
        static const Option table[] = {
                {.key = "Into", .type = OPTION_BOOL, .offset = offsetof(CopyOptions, into)},
        };
        const TransferCaller caller = transfer_caller(call);
        CopyOptions options = {};
        const char *name, *path;
        int fd, r = sd_bus_message_read(call->message, "hss", &fd, &name, &path);

        if (r >= 0)
                r = options_read(call->message, table, ELEMENTSOF(table), &options, error);
        return r < 0 ? r
                     : transfer_copy_in(container, &caller, fd, name, path, options.into,
                                        call->message, error);
}

int bus_copy_out(BusCall *call, void *container, sd_bus_error *error)
{
        static const Option table[] = {
                {.key = "Follow", .type = OPTION_BOOL, .offset = offsetof(CopyOptions, follow)},
                {.key = "RootOnly",
                 .type = OPTION_BOOL,
                 .offset = offsetof(CopyOptions, root_only)},
        };
        const TransferCaller caller = transfer_caller(call);
        CopyOptions options = {};
        const char *name, *path;
        int fd, r = sd_bus_message_read(call->message, "hss", &fd, &path, &name);

        if (r >= 0)
                r = options_read(call->message, table, ELEMENTSOF(table), &options, error);
        return r < 0 ? r
                     : transfer_copy_out(container, &caller, fd, path, name, options.follow,
                                         options.root_only, call->message, error);
}

int bus_get_changes(BusCall *call, void *container, sd_bus_error *error)
{
        return transfer_changes(container, call->message, error);
}

int bus_commit(BusCall *call, void *container, sd_bus_error *error)
{
        _cleanup_(importer_options_done) ImporterOptions options = {};
        const char *image;
        int r = sd_bus_message_read(call->message, "s", &image);

        if (r >= 0)
                r = options_read(call->message, importer_options, importer_options_n, &options,
                                 error);
        if (r < 0)
                return r;
        if (!name_is_valid(image))
                return error_set(error, -EINVAL, ERROR_INVALID_NAME,
                                 "\"%s\" is no name for an image: it takes letters, digits, '_', "
                                 "'.' and '-', the first one a letter or digit, at most %d.",
                                 image, NAME_SIZE_MAX);
        if (options.tag)
                return error_set(error, -EINVAL, ERROR_UNKNOWN_OPTION,
                                 "Tag is for ImportImage: a container is one image.");
        return transfer_commit(container, image, &options, call->message, error);
}

int bus_set_throttle(BusCall *call, void *container, sd_bus_error *error)
{
        ThrottleLimits limits = {};
        const char *target;
        int r = sd_bus_message_read(call->message, "s", &target);

        if (r >= 0)
                r = options_read(call->message, throttle_options, throttle_options_n, &limits,
                                 error);
        return r < 0 ? r : throttle_set(container, target, &limits, call->message, error);
}

int bus_get_storage(sd_bus *bus, const char *path, const char *interface, const char *property,
                    sd_bus_message *reply, void *container, sd_bus_error *error)
{
        const ContainerConfig *config = &((const Container *)container)->config;

        return sd_bus_message_append(reply, "s",
                                     config->read_only ? "" : config->storage ?: "memory");
}

int bus_get_storage_size(sd_bus *bus, const char *path, const char *interface, const char *property,
                         sd_bus_message *reply, void *container, sd_bus_error *error)
{
        return sd_bus_message_append(reply, "t",
                                     ((const Container *)container)->config.storage_size);
}

int bus_get_throttle(sd_bus *bus, const char *path, const char *interface, const char *property,
                     sd_bus_message *reply, void *container, sd_bus_error *error)
{
        const ThrottleLimits *limits = &((const Container *)container)->throttle;
        const struct {
                const char *key;
                uint64_t value;
        } items[] = {
                {"BytesPerSecond", limits->bytes},
                {"BytesBurst", limits->bytes_burst},
                {"OperationsPerSecond", limits->ops},
                {"OperationsBurst", limits->ops_burst},
        };
        int r = sd_bus_message_open_container(reply, 'a', "{sv}");

        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(items); i++)
                if (items[i].value)
                        r = sd_bus_message_append(reply, "{sv}", items[i].key, "t", items[i].value);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}
