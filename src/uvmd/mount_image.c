/* The volumes that a container's image asks for, and the end of anonymous ones; see mount.h. */
#include <errno.h>
#include <string.h>

#include "uvmd/journal.h"
#include "uvmd/mount.h"
#include "uvmd/sandbox.h"
#include "uvmd/strv.h"

static bool is_wanted(const Container *container, const char *target)
{
        const ContainerConfig *config = &container->config;

        if (!mount_target_is_valid(target)) {
                container_log_warning(container, "the image's volume \"%s\" is no place for one",
                                      target);
                return false;
        }
        for (char **other = config->mount_targets; other && *other; other++)
                if (strcmp(*other, target) == 0)
                        return false;
        return !strv_map_get(config->tmpfs, target) && !mount_find(container, target);
}

static int add_image_volume(Container *container, const char *type, const char *target,
                            sd_bus_error *error)
{
        const MountCaller caller = {.uid = container->task.sandbox->owner};
        MountConfig config;
        int r;

        mount_config_init(&config);
        config.type = strdup(type);
        config.target = strdup(target);
        r = config.type && config.target ? mount_attach(container, &config, &caller, NULL, error)
                                         : -ENOMEM;
        mount_config_done(&config);
        return r;
}

int mounts_add_image_volumes(Container *container, sd_bus_error *error)
{
        const char *what = container->config.image_volumes ?: "anonymous";
        char **targets = container->image->config.volumes;
        int r = 0;

        if (strcmp(what, "ignore") == 0)
                return 0;
        for (; r >= 0 && targets && *targets; targets++)
                if (is_wanted(container, *targets))
                        r = add_image_volume(container,
                                             strcmp(what, "tmpfs") == 0 ? "tmpfs" : "volume",
                                             *targets, error);
        return r;
}

void mounts_free_with_volumes(Container *container)
{
        list_for_each (item, &container->mounts)
                mount_free_with_volume(LIST_ENTRY(item, Mount, link));
}
