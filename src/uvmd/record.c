/* Records of sandboxes; see record.h. A file may be cut or edited: all of it is checked. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "uvmd/jsonfile.h"
#include "uvmd/record.h"
#include "uvmd/strv.h"
#include "uvmd/throttle.h"

static char *record_path(const Manager *manager, const char *id, const char *suffix)
{
        char *path;
        int n = asprintf(&path, "%s/sandboxes/%s%s", manager->paths.state_dir, id, suffix);

        return n < 0 ? NULL : path;
}

char *record_firmware_path(const Sandbox *sandbox)
{
        return record_path(sandbox->manager, sandbox->id, ".fw");
}

/* ------------------------------------------------------------------ writing */

static void add_string(json_object *json, const char *key, const char *value)
{
        if (value)
                json_object_object_add(json, key, json_object_new_string(value));
}

static void add_u64(json_object *json, const char *key, uint64_t value)
{
        if (value)
                json_object_object_add(json, key, json_object_new_uint64(value));
}

static json_object *task_to_json(const Task *task)
{
        json_object *json = json_object_new_object(), *command = json_object_new_array();

        add_u64(json, "Token", task->token);
        /* A task that was being started is told of by the shim, or it never ran. */
        add_string(json, "State", task_state_to_string(task->state));
        json_object_object_add(json, "ExitCode", json_object_new_int(task->code));
        json_object_object_add(json, "OOMKilled", json_object_new_boolean(task->oom));
        add_u64(json, "Created", task->created);
        add_u64(json, "Started", task->started);
        add_u64(json, "Finished", task->finished);
        for (char **at = task->command; at && *at; at++)
                json_object_array_add(command, json_object_new_string(*at));
        json_object_object_add(json, "Command", command);
        return json;
}

static json_object *mount_to_json(const Mount *mount)
{
        json_object *json = json_object_new_object();

        add_u64(json, "Id", mount->id);
        add_string(json, "State", mount_state_to_string(mount->state));
        add_string(json, "Goal", mount_goal_to_string(mount->goal));
        add_string(json, "Route", mount_route_to_string(mount->route));
        add_string(json, "Cache", agent_cache_to_string(mount->cache));
        add_u64(json, "Slot", mount->slot);
        json_object_object_add(
                json, "Origin",
                options_to_json(mount_origin_options, mount_origin_options_n, &mount->origin));
        json_object_object_add(json, "Config",
                               options_to_json(mount_options, mount_options_n, &mount->config));
        return json;
}

static json_object *mounts_to_json(const Container *container)
{
        json_object *json = json_object_new_array();

        list_for_each (item, (List *)&container->mounts)
                json_object_array_add(json, mount_to_json(LIST_ENTRY(item, Mount, link)));
        return json;
}

static json_object *container_to_json(const Container *container)
{
        json_object *json = json_object_new_object();

        add_string(json, "Id", container->id);
        add_string(json, "Name", container->name);
        add_string(json, "ImageId", container->image_id);
        add_u64(json, "Slot", container->slot);
        if (container->upper.state == UPPER_PLUGGED)
                json_object_object_add(json, "LayerSlot",
                                       json_object_new_uint64(container->upper.slot));
        json_object_object_add(json, "Layer", json_object_new_boolean(container->upper.exists));
        json_object_object_add(json, "Ready",
                               json_object_new_boolean(container->stage == CONTAINER_READY));
        json_object_object_add(json, "Mounts", mounts_to_json(container));
        json_object_object_add(json, "Task", task_to_json(&container->task));
        json_object_object_add(
                json, "Throttle",
                options_to_json(throttle_options, throttle_options_n, &container->throttle));
        json_object_object_add(
                json, "Config",
                options_to_json(container_options, container_options_n, &container->config));
        return json;
}

static json_object *process_to_json(const Process *process)
{
        json_object *json = json_object_new_object();

        add_string(json, "Container", process->container->id);
        json_object_object_add(json, "Task", task_to_json(&process->task));
        json_object_object_add(
                json, "Config",
                options_to_json(process_options, process_options_n, &process->config));
        return json;
}

json_object *record_to_json(const Sandbox *sandbox)
{
        json_object *json = json_object_new_object();
        json_object *containers = json_object_new_array(), *processes = json_object_new_array();
        json_object *phases = json_object_new_array();
        Container *container, *next_container;
        Process *process, *next_process;

        json_object_object_add(json, "Version", json_object_new_int(RECORD_VERSION));
        add_string(json, "Name", sandbox->name);
        add_u64(json, "Owner", sandbox->owner);
        add_string(json, "State", sandbox_state_to_string(sandbox->state));
        add_string(json, "Reason", sandbox_reason_to_string(sandbox->reason));
        add_string(json, "ReasonText", sandbox->reason_text);
        add_u64(json, "Created", sandbox->created);
        add_u64(json, "Started", sandbox->started);
        add_u64(json, "Stopped", sandbox->stopped);
        add_u64(json, "RangeBase", sandbox->range_base);
        add_u64(json, "NextToken", sandbox->next_token);
        add_u64(json, "NextMount", sandbox->next_mount);
        add_u64(json, "Slots", sandbox->slots);
        add_u64(json, "BootMemory", sandbox->hotplug.boot_memory);
        add_u64(json, "BootMemoryLimit", sandbox->hotplug.memory_limit);
        add_u64(json, "BootVCPUsMax", sandbox->hotplug.vcpus_max);
        if (sandbox->binds.state == BINDS_PLUGGED)
                json_object_object_add(json, "BindsSlot",
                                       json_object_new_uint64(sandbox->binds.slot));
        json_object_object_add(json, "Identity", json_object_new_boolean(sandbox->identity));
        json_object_object_add(json, "CustomFirmware",
                               json_object_new_boolean(sandbox->config.custom_firmware));
        for (unsigned i = 0; i < SANDBOX_PHASES; i++)
                json_object_array_add(phases, json_object_new_uint64(sandbox->phases[i]));
        json_object_object_add(json, "Phases", phases);
        json_object_object_add(
                json, "Config",
                options_to_json(sandbox_options, sandbox_options_n, &sandbox->config));
        HASH_ITER (hh, sandbox->containers, container, next_container)
                json_object_array_add(containers, container_to_json(container));
        json_object_object_add(json, "Containers", containers);
        json_object_object_add(json, "Network", network_to_json(sandbox));
        HASH_ITER (hh, sandbox->processes, process, next_process)
                json_object_array_add(processes, process_to_json(process));
        json_object_object_add(json, "Processes", processes);
        return json;
}

int record_save(Sandbox *sandbox)
{
        _cleanup_(freep) char *path = record_path(sandbox->manager, sandbox->id, ".json");
        bool settled = sandbox->state == SANDBOX_CREATED || sandbox->state == SANDBOX_STOPPED;
        json_object *json = record_to_json(sandbox);
        int r = -ENOMEM;

        if (path && json)
                r = jsonfile_write(path, json, settled && !sandbox->config.auto_remove);
        json_object_put(json);
        return r;
}

void record_remove(const Sandbox *sandbox)
{
        static const char *const suffixes[] = {".json", ".fw"};

        for (size_t i = 0; i < ELEMENTSOF(suffixes); i++) {
                _cleanup_(freep) char *path = record_path(sandbox->manager, sandbox->id,
                                                          suffixes[i]);

                if (path && unlink(path) < 0 && errno != ENOENT)
                        log_warning_errno(errno_neg(), "Can't remove %s", path);
        }
}

/* ------------------------------------------------------------------ reading */

static uint64_t get_u64(json_object *json, const char *key)
{
        json_object *value;

        if (!json_object_object_get_ex(json, key, &value) ||
            !json_object_is_type(value, json_type_int))
                return 0;
        return json_object_get_uint64(value);
}

static int task_from_json(Task *task, json_object *record)
{
        json_object *json, *item, *code;
        int state, r;

        if (!json_object_object_get_ex(record, "Task", &json) ||
            !jsonfile_get_string(json, "State"))
                return -EBADMSG;
        state = task_state_from_string(jsonfile_get_string(json, "State"));
        if (state < 0)
                return -EBADMSG;
        task->state = (TaskState)state;
        task->token = get_u64(json, "Token");
        if (json_object_object_get_ex(json, "ExitCode", &code))
                task->code = json_object_get_int(code);
        task->oom = jsonfile_get_bool(json, "OOMKilled");
        task->created = get_u64(json, "Created");
        task->started = get_u64(json, "Started");
        task->finished = get_u64(json, "Finished");
        for (size_t i = 0; (item = jsonfile_get_item(json, "Command", i)); i++) {
                r = strv_append(&task->command, json_object_get_string(item) ?: "");
                if (r < 0)
                        return r;
        }
        return task->command ? 0 : -EBADMSG;
}

static int config_from_json(const Option *table, size_t n, void *target, json_object *record)
{
        json_object *json;

        if (!json_object_object_get_ex(record, "Config", &json))
                return -EBADMSG;
        return options_from_json(table, n, target, json);
}

static int mount_read(Mount *mount, json_object *json)
{
        const char *state = jsonfile_get_string(json, "State"),
                   *goal = jsonfile_get_string(json, "Goal");
        const char *route = jsonfile_get_string(json, "Route"),
                   *cache = jsonfile_get_string(json, "Cache");
        int numbers[] = {
                state ? mount_state_from_string(state) : -EBADMSG,
                goal ? mount_goal_from_string(goal) : -EBADMSG,
                route ? mount_route_from_string(route) : -EBADMSG,
                cache ? agent_cache_from_string(cache) : -EBADMSG,
        };
        json_object *origin;
        int r = config_from_json(mount_options, mount_options_n, &mount->config, json);

        for (size_t i = 0; i < ELEMENTSOF(numbers); i++)
                if (numbers[i] < 0)
                        return -EBADMSG;
        if (r < 0 || mount_config_check(&mount->config, NULL) < 0 ||
            !json_object_object_get_ex(json, "Origin", &origin))
                return -EBADMSG;
        mount->id = (uint32_t)get_u64(json, "Id");
        mount->slot = (uint32_t)get_u64(json, "Slot");
        mount->goal = (MountGoal)numbers[1];
        mount->route = (MountRoute)numbers[2];
        mount->cache = (AgentCache)numbers[3];
        r = options_from_json(mount_origin_options, mount_origin_options_n, &mount->origin, origin);
        return r < 0 ? r : mount_restore(mount, (MountState)numbers[0]);
}

static int mount_from_json(Container *container, json_object *json)
{
        Mount *mount;
        int r = mount_new_empty(&mount, container);

        if (r < 0)
                return r;
        mount->config.target = strdup("");
        return mount->config.target ? mount_read(mount, json) : -ENOMEM;
}

/* The writable layer and the limits of the root file system. */
static int storage_from_json(Container *container, json_object *json)
{
        json_object *throttle, *slot;

        container->upper.exists = jsonfile_get_bool(json, "Layer");
        if (container->stage == CONTAINER_READY && upper_is_wanted(container) &&
            json_object_object_get_ex(json, "LayerSlot", &slot))
                upper_adopt(container, (uint32_t)json_object_get_uint64(slot));
        if (!json_object_object_get_ex(json, "Throttle", &throttle))
                return 0;
        return options_from_json(throttle_options, throttle_options_n, &container->throttle,
                                 throttle);
}

static int container_from_json(Sandbox *sandbox, json_object *json)
{
        const char *id = jsonfile_get_string(json, "Id"), *name = jsonfile_get_string(json, "Name");
        const char *image = jsonfile_get_string(json, "ImageId");
        Container *container;
        json_object *item;
        int r;

        if (!id || !id_is_valid(id) || !name || !image || !id_is_valid(image))
                return -EBADMSG;
        r = container_new_empty(&container, sandbox, id);
        if (r < 0)
                return r;
        container->name = strdup(name);
        if (!container->name)
                return -ENOMEM;
        strcpy(container->image_id, image);
        container->image = image_store_find(sandbox->manager->images, image);
        if (container->image)
                image_use(container->image);
        container->slot = (uint32_t)get_u64(json, "Slot");
        if (jsonfile_get_bool(json, "Ready") && sandbox->range_base)
                container_set_stage(container, CONTAINER_READY);
        r = config_from_json(container_options, container_options_n, &container->config, json);
        if (r >= 0)
                r = storage_from_json(container, json);
        for (size_t i = 0; r >= 0 && (item = jsonfile_get_item(json, "Mounts", i)); i++)
                r = mount_from_json(container, item);
        mounts_sort(container);
        return r < 0 ? r : task_from_json(&container->task, json);
}

static int process_from_json(Sandbox *sandbox, json_object *json)
{
        const char *id = jsonfile_get_string(json, "Container");
        Container *container = id ? sandbox_find_container(sandbox, id) : NULL;
        json_object *task;
        Process *process;
        uint64_t token;
        int r;

        if (!container || !json_object_object_get_ex(json, "Task", &task))
                return -EBADMSG;
        token = get_u64(task, "Token");
        if (token == 0 || sandbox_find_task(sandbox, token))
                return -EBADMSG;
        r = process_new_empty(&process, container, token);
        if (r < 0)
                return r;
        r = config_from_json(process_options, process_options_n, &process->config, json);
        return r < 0 ? r : task_from_json(&process->task, json);
}

static int sandbox_from_json(Sandbox *sandbox, json_object *json)
{
        const char *name = jsonfile_get_string(json, "Name"),
                   *state = jsonfile_get_string(json, "State");
        const char *reason = jsonfile_get_string(json, "Reason"),
                   *text = jsonfile_get_string(json, "ReasonText");
        int state_number = state ? sandbox_state_from_string(state) : -EINVAL;
        int reason_number = reason ? sandbox_reason_from_string(reason) : 0;

        if (get_u64(json, "Version") != RECORD_VERSION || !name || !name_is_valid(name) ||
            state_number < 0 || reason_number < 0)
                return -EBADMSG;
        sandbox->name = strdup(name);
        sandbox->reason_text = strdup(text ?: "");
        if (!sandbox->name || !sandbox->reason_text)
                return -ENOMEM;
        sandbox->state = (SandboxState)state_number;
        sandbox->reason = (SandboxReason)reason_number;
        sandbox->owner = (uint32_t)get_u64(json, "Owner");
        sandbox->created = get_u64(json, "Created");
        sandbox->started = get_u64(json, "Started");
        sandbox->stopped = get_u64(json, "Stopped");
        sandbox->range_base = (uint32_t)get_u64(json, "RangeBase");
        sandbox->next_token = MAX(get_u64(json, "NextToken"), 1ULL);
        sandbox->next_mount = (uint32_t)get_u64(json, "NextMount");
        sandbox->slots = (uint32_t)get_u64(json, "Slots");
        sandbox->hotplug.boot_memory = get_u64(json, "BootMemory");
        sandbox->hotplug.memory_limit = get_u64(json, "BootMemoryLimit");
        sandbox->hotplug.vcpus_max = (uint32_t)get_u64(json, "BootVCPUsMax");
        sandbox->identity = jsonfile_get_bool(json, "Identity");
        if (json_object_object_get_ex(json, "BindsSlot", NULL)) {
                sandbox->binds.state = BINDS_PLUGGED;
                sandbox->binds.slot = (uint32_t)get_u64(json, "BindsSlot");
        }
        sandbox->config.custom_firmware = jsonfile_get_bool(json, "CustomFirmware");
        for (unsigned i = 0; i < SANDBOX_PHASES; i++)
                sandbox->phases[i] = json_object_get_uint64(jsonfile_get_item(json, "Phases", i));
        return config_from_json(sandbox_options, sandbox_options_n, &sandbox->config, json);
}

int record_from_json(Manager *manager, const char *id, json_object *json, Sandbox **ret)
{
        json_object *item;
        Sandbox *sandbox;
        int r = sandbox_new_empty(&sandbox, manager, id);

        if (r < 0)
                return r;
        r = sandbox_from_json(sandbox, json);
        if (r >= 0 && json_object_object_get_ex(json, "Network", &item))
                r = network_from_json(sandbox, item);
        for (size_t i = 0; r >= 0 && (item = jsonfile_get_item(json, "Containers", i)); i++)
                r = container_from_json(sandbox, item);
        for (size_t i = 0; r >= 0 && (item = jsonfile_get_item(json, "Processes", i)); i++)
                r = process_from_json(sandbox, item);
        if (r < 0) {
                sandbox_free(sandbox);
                return r;
        }
        *ret = sandbox;
        return 0;
}

static int record_load(Manager *manager, const char *id)
{
        _cleanup_(freep) char *path = record_path(manager, id, ".json");
        json_object *json = NULL;
        Sandbox *sandbox;
        int r = path ? jsonfile_read(path, &json) : -ENOMEM;

        if (r >= 0)
                r = record_from_json(manager, id, json, &sandbox);
        json_object_put(json);
        return r;
}

int record_load_all(Manager *manager)
{
        _cleanup_(freep) char *path = record_path(manager, "", "");
        struct dirent *entry;
        DIR *directory;

        if (!path)
                return -ENOMEM;
        if (mkdir(path, 0700) < 0 && errno != EEXIST)
                return errno_neg();
        directory = opendir(path);
        if (!directory)
                return errno_neg();
        while ((entry = readdir(directory))) {
                char id[ID_SIZE + 1];
                int r;

                if (strlen(entry->d_name) != ID_SIZE + 5 ||
                    strcmp(entry->d_name + ID_SIZE, ".json") != 0)
                        continue;
                memcpy(id, entry->d_name, ID_SIZE);
                id[ID_SIZE] = 0;
                r = id_is_valid(id) ? record_load(manager, id) : -EINVAL;
                if (r < 0)
                        log_error_errno(r, "Can't read the record %s%s", path, entry->d_name);
        }
        closedir(directory);
        return 0;
}
