/* org.uvm1.Manager: dbus/org.uvm1.Manager.xml says what each method does. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "config.h"

#include "base/fd.h"
#include "uvmd/bus/bus.h"
#include "uvmd/bus/call.h"
#include "uvmd/bus/emit.h"
#include "uvmd/bus/events.h"
#include "uvmd/bus/manager_networks.h"
#include "uvmd/bus/networks.h"
#include "uvmd/bus/paths.h"
#include "uvmd/bus/volumes.h"
#include "uvmd/errors.h"
#include "uvmd/events.h"
#include "uvmd/firmware_copy.h"
#include "uvmd/image/importer.h"
#include "uvmd/strv.h"

static int check_sandbox_name(const BusCall *call, const char *name, sd_bus_error *error)
{
        if (name[0] && !name_is_valid(name))
                return error_set(error, -EINVAL, ERROR_INVALID_NAME,
                                 "\"%s\" is no name: it takes letters, digits, '_', '.' and '-', "
                                 "the first one a letter or digit, at most %d.",
                                 name, NAME_SIZE_MAX);
        if (name[0] && manager_find_sandbox_of(call->manager, call->uid, name))
                return error_set(error, -EEXIST, ERROR_NAME_IN_USE,
                                 "You have a sandbox \"%s\" already; remove it or take another "
                                 "name.",
                                 name);
        return 0;
}

/* All but its firmware is there. */
static void answer_sandbox(Sandbox *sandbox, sd_bus_message *message)
{
        _cleanup_(freep) char *path = sandbox_path(sandbox);
        int r = path ? 0 : -ENOMEM;

        if (r >= 0 && sandbox->config.firmware >= 0)
                r = firmware_copy(sandbox, message);
        else if (r >= 0)
                r = sd_bus_reply_method_return(message, "o", path);
        if (r < 0)
                error_reply(message, r, NULL);
}

static int create_sandbox(BusCall *call, void *object, sd_bus_error *error)
{
        _cleanup_(sandbox_config_done) SandboxConfig config;
        Sandbox *sandbox;
        const char *name;
        int r;

        sandbox_config_init(&config);
        r = sd_bus_message_read(call->message, "s", &name);
        if (r >= 0)
                r = options_read(call->message, sandbox_options, sandbox_options_n, &config, error);
        if (r >= 0)
                r = sandbox_config_check(&config, error);
        if (r >= 0)
                r = check_sandbox_name(call, name, error);
        if (r >= 0)
                r = bus_check_networks(call, &config, error);
        if (r >= 0)
                r = admission_check(call->manager, NULL, config.memory, config.vcpus, error);
        if (r >= 0)
                r = sandbox_new(&sandbox, call->manager, call->uid, name, &config, error);
        if (r < 0)
                return r;
        r = network_configure(sandbox, error);
        if (r < 0) {
                sandbox_forget(sandbox);
                return r;
        }
        bus_emit_sandbox_new(sandbox);
        if (sandbox->config.network_namespace >= 0)
                return network_hold_given(sandbox, call->message, answer_sandbox);
        answer_sandbox(sandbox, call->message);
        return 0;
}
BUS_METHOD(create_sandbox, BUS_ACTION_CREATE, bus_find_manager, userdata)

static int get_sandbox(BusCall *call, void *object, sd_bus_error *error)
{
        _cleanup_(freep) char *path = NULL;
        Sandbox *sandbox;
        const char *name;
        int r = sd_bus_message_read(call->message, "s", &name);

        if (r < 0)
                return r;
        sandbox = manager_find_sandbox_of(call->manager, call->uid, name);
        if (!sandbox)
                return error_set(error, -ENOENT, ERROR_NO_SUCH_SANDBOX,
                                 "There is no sandbox \"%s\".", name);
        path = sandbox_path(sandbox);
        return path ? sd_bus_reply_method_return(call->message, "o", path) : -ENOMEM;
}
BUS_METHOD(get_sandbox, BUS_ACTION_READ, bus_find_manager, userdata)

static int append_sandbox(sd_bus_message *reply, Sandbox *sandbox)
{
        _cleanup_(freep) char *path = sandbox_path(sandbox);
        int r = path ? sd_bus_message_open_container(reply, 'r', "oa{sv}") : -ENOMEM;

        if (r >= 0)
                r = sd_bus_message_append(reply, "o", path);
        if (r >= 0)
                r = bus_append_properties(reply, sandbox->manager->bus, path, BUS_SANDBOX,
                                          bus_sandbox_vtable, sandbox);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int list_sandboxes(BusCall *call, void *object, sd_bus_error *error)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        Sandbox *sandbox, *next;
        int r = sd_bus_message_new_method_return(call->message, &reply);

        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "(oa{sv})");
        HASH_ITER (hh, call->manager->sandboxes, sandbox, next)
                if (r >= 0)
                        r = append_sandbox(reply, sandbox);
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}
BUS_METHOD(list_sandboxes, BUS_ACTION_READ, bus_find_manager, userdata)

static int import_image(BusCall *call, void *object, sd_bus_error *error)
{
        _cleanup_(importer_options_done) ImporterOptions options = {};
        const char *name, *format;
        int fd, r = sd_bus_message_read(call->message, "shs", &name, &fd, &format);

        if (r >= 0)
                r = options_read(call->message, importer_options, importer_options_n, &options,
                                 error);
        if (r < 0)
                return r;
        if (!name_is_valid(name))
                return error_set(error, -EINVAL, ERROR_INVALID_NAME,
                                 "\"%s\" is no name for an image: it takes letters, digits, '_', "
                                 "'.' and '-', the first one a letter or digit, at most %d.",
                                 name, NAME_SIZE_MAX);
        return importer_start(call->manager->images, name, fd, format, &options, call->message,
                              error);
}
BUS_METHOD(import_image, BUS_ACTION_CREATE, bus_find_manager, userdata)

static int append_strings(sd_bus_message *reply, const char *key, char *const *strings)
{
        int r = sd_bus_message_open_container(reply, 'e', "sv");

        if (r >= 0)
                r = sd_bus_message_append(reply, "s", key);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'v', "as");
        if (r >= 0)
                r = sd_bus_message_append_strv(reply, (char **)strings);
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int append_labels(sd_bus_message *reply, char *const *labels)
{
        int r = sd_bus_message_open_container(reply, 'e', "sv");

        if (r >= 0)
                r = sd_bus_message_append(reply, "s", "Labels");
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'v', "a{ss}");
        if (r >= 0)
                r = bus_append_map(reply, labels);
        for (unsigned depth = 0; r >= 0 && depth < 2; depth++)
                r = sd_bus_message_close_container(reply);
        return r;
}

static int append_image(sd_bus_message *reply, const Image *image)
{
        const ImageConfig *config = &image->config;
        int r = sd_bus_message_open_container(reply, 'a', "{sv}");

        if (r >= 0)
                r = sd_bus_message_append(
                        reply, "{sv}{sv}{sv}{sv}{sv}{sv}{sv}", "Name", "s", image->name ?: "", "Id",
                        "s", image->id, "Size", "t", image->size, "Created", "t", image->created,
                        "Architecture", "s", config->architecture ?: "", "WorkingDirectory", "s",
                        config->working_directory ?: "", "User", "s", config->user ?: "");
        if (r >= 0)
                r = append_strings(reply, "Command", config->command);
        if (r >= 0)
                r = append_strings(reply, "Entrypoint", config->entrypoint);
        if (r >= 0)
                r = append_strings(reply, "Environment", config->environment);
        if (r >= 0)
                r = append_strings(reply, "ExposedPorts", config->exposed_ports);
        if (r >= 0)
                r = append_strings(reply, "Volumes", config->volumes);
        if (r >= 0)
                r = append_labels(reply, config->labels);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int list_images(BusCall *call, void *object, sd_bus_error *error)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        Image *image, *next;
        int r = sd_bus_message_new_method_return(call->message, &reply);

        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "a{sv}");
        HASH_ITER (hh, image_store_all(call->manager->images), image, next)
                if (r >= 0)
                        r = append_image(reply, image);
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}
BUS_METHOD(list_images, BUS_ACTION_READ, bus_find_manager, userdata)

static int remove_image(BusCall *call, void *object, sd_bus_error *error)
{
        const char *name;
        int force, r = sd_bus_message_read(call->message, "sb", &name, &force);
        Image *image;

        if (r < 0)
                return r;
        image = image_store_find(call->manager->images, name);
        if (!image)
                return error_set(error, -ENOENT, ERROR_NO_SUCH_IMAGE, "There is no image \"%s\".",
                                 name);
        if (image->n_users > 0 && !force)
                return error_set(error, -EBUSY, ERROR_IMAGE_IN_USE,
                                 "%u containers use the image \"%s\"; remove them first, or force "
                                 "its removal.",
                                 image->n_users, name);
        event_image(call->manager, image, "remove");
        image_remove(image);
        return sd_bus_reply_method_return(call->message, NULL);
}
BUS_METHOD(remove_image, BUS_ACTION_CREATE, bus_find_manager, userdata)

BUS_METHOD(bus_get_events, BUS_ACTION_READ, bus_find_manager, userdata)

BUS_METHOD(bus_list_networks, BUS_ACTION_READ, bus_find_manager, userdata)
BUS_METHOD(bus_create_network, BUS_ACTION_CREATE, bus_find_manager, userdata)
BUS_METHOD(bus_remove_network, BUS_ACTION_CREATE, bus_find_manager, userdata)

BUS_METHOD(bus_create_volume, BUS_ACTION_CREATE, bus_find_manager, userdata)
BUS_METHOD(bus_list_volumes, BUS_ACTION_READ, bus_find_manager, userdata)
BUS_METHOD(bus_remove_volume, BUS_ACTION_CREATE, bus_find_manager, userdata)

static int get_version(sd_bus *bus, const char *path, const char *interface, const char *property,
                       sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        return sd_bus_message_append(reply, "s", UVM_VERSION);
}

#define METHOD(name, in, in_names, out, out_names, handler)                            \
        SD_BUS_METHOD_WITH_NAMES(name, in, in_names, out, out_names, handler##_method, \
                                 SD_BUS_VTABLE_UNPRIVILEGED)

const sd_bus_vtable bus_manager_vtable[] = {
        SD_BUS_VTABLE_START(0),
        METHOD("CreateSandbox", "sa{sv}", SD_BUS_PARAM(name) SD_BUS_PARAM(options), "o",
               SD_BUS_PARAM(sandbox), create_sandbox),
        METHOD("GetSandbox", "s", SD_BUS_PARAM(name), "o", SD_BUS_PARAM(sandbox), get_sandbox),
        METHOD("ListSandboxes", NULL, NO_NAMES, "a(oa{sv})", SD_BUS_PARAM(sandboxes),
               list_sandboxes),
        METHOD("ImportImage", "shsa{sv}",
               SD_BUS_PARAM(name) SD_BUS_PARAM(source) SD_BUS_PARAM(format) SD_BUS_PARAM(options),
               "s", SD_BUS_PARAM(id), import_image),
        METHOD("ListImages", NULL, NO_NAMES, "aa{sv}", SD_BUS_PARAM(images), list_images),
        METHOD("RemoveImage", "sb", SD_BUS_PARAM(name) SD_BUS_PARAM(force), NULL, NO_NAMES,
               remove_image),
        METHOD("ListNetworks", NULL, NO_NAMES, "aa{sv}", SD_BUS_PARAM(networks), bus_list_networks),
        METHOD("CreateNetwork", "sa{sv}", SD_BUS_PARAM(name) SD_BUS_PARAM(options), "s",
               SD_BUS_PARAM(network), bus_create_network),
        METHOD("RemoveNetwork", "sb", SD_BUS_PARAM(name) SD_BUS_PARAM(force), NULL, NO_NAMES,
               bus_remove_network),
        METHOD("CreateVolume", "sa{sv}", SD_BUS_PARAM(name) SD_BUS_PARAM(options), "s",
               SD_BUS_PARAM(volume), bus_create_volume),
        METHOD("ListVolumes", NULL, NO_NAMES, "aa{sv}", SD_BUS_PARAM(volumes), bus_list_volumes),
        METHOD("RemoveVolume", "sb", SD_BUS_PARAM(name) SD_BUS_PARAM(force), NULL, NO_NAMES,
               bus_remove_volume),
        METHOD("GetEvents", "t", SD_BUS_PARAM(after), "aa{sv}tt",
               SD_BUS_PARAM(events) SD_BUS_PARAM(next) SD_BUS_PARAM(lost), bus_get_events),
        SD_BUS_SIGNAL_WITH_NAMES("EventsNew", "t", SD_BUS_PARAM(last), 0),
        SD_BUS_SIGNAL_WITH_NAMES("SandboxNew", "o", SD_BUS_PARAM(sandbox), 0),
        SD_BUS_SIGNAL_WITH_NAMES("SandboxRemoved", "o", SD_BUS_PARAM(sandbox), 0),
        SD_BUS_PROPERTY("Version", "s", get_version, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_VTABLE_END,
};
