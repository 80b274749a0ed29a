/* AttachVolume, DetachVolume and Mounts of org.uvm1.Container; see mounts.h. */
#include <errno.h>

#include "base/fd.h"
#include "uvmd/bus/bus.h"
#include "uvmd/bus/mounts.h"
#include "uvmd/container.h"
#include "uvmd/errors.h"

int bus_attach_volume(BusCall *call, void *container, sd_bus_error *error)
{
        _cleanup_(mount_config_done) MountConfig config = {.source = FD_NONE};
        MountCaller caller = {.uid = call->uid, .pid = call->pid};
        int r = options_read(call->message, mount_options, mount_options_n, &config, error);

        if (r >= 0)
                r = mount_config_check(&config, error);
        return r < 0 ? r : mount_attach(container, &config, &caller, call->message, error);
}

int bus_detach_volume(BusCall *call, void *container, sd_bus_error *error)
{
        const char *target;
        Mount *mount;
        int r = sd_bus_message_read(call->message, "s", &target);

        if (r < 0)
                return r;
        mount = mount_find(container, target);
        if (!mount)
                return error_set(error, -ENOENT, ERROR_NO_SUCH_MOUNT,
                                 "Nothing was attached at \"%s\" in this container.", target);
        return mount_detach(mount, call->message, error);
}

typedef struct TextItem {
        const char *key, *value;
} TextItem;

/* What was given; what wasn't is left out. */
static int append_texts(sd_bus_message *reply, const MountConfig *config)
{
        const TextItem items[] = {
                {"Type", config->type},
                {"Target", config->target},
                {"SourcePath", config->source_path},
                {"Volume", config->volume},
                {"FileSystem", config->file_system},
                {"Options", config->options},
                {"Serial", config->serial},
        };
        int r = 0;

        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(items); i++)
                if (items[i].value)
                        r = sd_bus_message_append(reply, "{sv}", items[i].key, "s", items[i].value);
        return r;
}

static int append_flags(sd_bus_message *reply, const MountConfig *config)
{
        return sd_bus_message_append(reply, "{sv}{sv}{sv}{sv}", "ReadOnly", "b", config->read_only,
                                     "NoSuid", "b", config->nosuid, "NoDev", "b", config->nodev,
                                     "NoExec", "b", config->noexec);
}

static int append_limits(sd_bus_message *reply, const MountConfig *config)
{
        const struct {
                const char *key;
                uint64_t value;
        } items[] = {
                {"BytesPerSecond", config->bytes},
                {"BytesBurst", config->bytes_burst},
                {"OperationsPerSecond", config->ops},
                {"OperationsBurst", config->ops_burst},
        };
        int r = 0;

        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(items); i++)
                if (items[i].value)
                        r = sd_bus_message_append(reply, "{sv}", items[i].key, "t", items[i].value);
        return r;
}

/* The cache mode is known once it is on its way into a guest; before, what was asked for. */
static const char *mount_cache(const Mount *mount)
{
        if (mount->kind != MOUNT_BIND && mount->kind != MOUNT_VOLUME)
                return NULL;
        if (mount->state >= MOUNT_EXPORTED)
                return agent_cache_to_string(mount->cache);
        return mount->config.cache;
}

static int append_mount(sd_bus_message *reply, const Mount *mount)
{
        const char *cache = mount_cache(mount);
        int r = sd_bus_message_open_container(reply, 'a', "{sv}");

        if (r >= 0)
                r = append_texts(reply, &mount->config);
        if (r >= 0)
                r = append_flags(reply, &mount->config);
        if (r >= 0)
                r = append_limits(reply, &mount->config);
        if (r >= 0 && mount->origin.anonymous)
                r = sd_bus_message_append(reply, "{sv}", "Anonymous", "b", 1);
        if (r >= 0 && cache)
                r = sd_bus_message_append(reply, "{sv}", "Cache", "s", cache);
        if (r >= 0)
                r = sd_bus_message_append(reply, "{sv}", "State", "s",
                                          mount_state_to_string(mount->state));
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

int bus_get_mounts(sd_bus *bus, const char *path, const char *interface, const char *property,
                   sd_bus_message *reply, void *container, sd_bus_error *error)
{
        int r = sd_bus_message_open_container(reply, 'a', "a{sv}");

        list_for_each (item, &((Container *)container)->mounts)
                if (r >= 0)
                        r = append_mount(reply, LIST_ENTRY(item, Mount, link));
        return r < 0 ? r : sd_bus_message_close_container(reply);
}
