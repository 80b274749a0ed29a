/* What happens becomes events; see events.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "uvmd/bus/events.h"
#include "uvmd/eventlog.h"
#include "uvmd/events.h"
#include "uvmd/net/nic.h"
#include "uvmd/sandbox.h"
#include "uvmd/volume.h"

static void events_on_import(void *userdata, const Image *image)
{
        event_image(userdata, image, "import");
}

int events_open(Manager *manager)
{
        _cleanup_(freep) char *path = NULL;

        if (asprintf(&path, "%s/uvmd.events", manager->paths.run_dir) < 0) {
                path = NULL;
                return -ENOMEM;
        }
        image_store_watch(manager->images, events_on_import, manager);
        return eventlog_open(&manager->events, path);
}

void events_close(Manager *manager)
{
        manager->events = eventlog_close(manager->events);
}

/* ------------------------------------------------------------------ one event */

typedef struct Event {
        const char *type, *action;
        const char *id, *name;
        json_object *attributes; /* consumed; NULL: none */
} Event;

static void put_text(json_object *object, const char *key, const char *value)
{
        if (value && value[0])
                json_object_object_add(object, key, json_object_new_string(value));
}

static void put_number(json_object *object, const char *key, uint64_t value)
{
        json_object_object_add(object, key, json_object_new_uint64(value));
}

/* @sandbox, @container: what it belongs to, or NULL. */
static void event_add(Manager *manager, uint32_t owner, const Sandbox *sandbox,
                      const Container *container, const Event *event)
{
        json_object *object = json_object_new_object();
        int r;

        if (!manager->events) {
                json_object_put(event->attributes);
                json_object_put(object);
                return;
        }
        put_text(object, "Type", event->type);
        put_text(object, "Event", event->action);
        put_text(object, "Id", event->id);
        put_text(object, "Name", event->name);
        if (sandbox) {
                put_text(object, "Sandbox", sandbox->name);
                put_text(object, "SandboxId", sandbox->id);
        }
        if (container)
                put_text(object, "Container", container->name);
        if (event->attributes)
                json_object_object_add(object, "Attributes", event->attributes);
        r = eventlog_add(manager->events, owner, object);
        if (r < 0)
                log_warning_errno(r, "An event may be lost with uvmd: it can't be written");
        bus_events_tell(manager);
}

static json_object *labels_of(char *const *labels)
{
        json_object *object = json_object_new_object();

        for (; labels && labels[0]; labels += 2)
                put_text(object, labels[0], labels[1]);
        return object;
}

static void put_labels(json_object *attributes, char *const *labels)
{
        if (labels && labels[0])
                json_object_object_add(attributes, "Labels", labels_of(labels));
}

/* ------------------------------------------------------------------ sandboxes */

static void event_of_sandbox(const Sandbox *sandbox, const char *action, json_object *attributes)
{
        const Event event = {
                .type = "sandbox",
                .action = action,
                .id = sandbox->id,
                .name = sandbox->name,
                .attributes = attributes,
        };

        event_add(sandbox->manager, sandbox->owner, sandbox, NULL, &event);
}

void event_sandbox_new(const Sandbox *sandbox)
{
        json_object *attributes = json_object_new_object();

        put_labels(attributes, sandbox->config.labels);
        event_of_sandbox(sandbox, "create", attributes);
}

void event_sandbox_state(const Sandbox *sandbox)
{
        json_object *attributes = json_object_new_object();

        if (sandbox->state == SANDBOX_STOPPING || sandbox->state == SANDBOX_STOPPED) {
                put_text(attributes, "Reason", sandbox_reason_to_string(sandbox->reason));
                put_text(attributes, "ReasonText", sandbox->reason_text);
        }
        event_of_sandbox(sandbox, sandbox_state_to_string(sandbox->state), attributes);
}

void event_sandbox_resized(const Sandbox *sandbox)
{
        json_object *attributes = json_object_new_object();

        put_number(attributes, "VCPUs", sandbox->config.vcpus);
        put_number(attributes, "Memory", sandbox->config.memory);
        put_number(attributes, "MemoryActual", hotplug_memory(sandbox));
        event_of_sandbox(sandbox, "resize", attributes);
}

void event_sandbox_limits(const Sandbox *sandbox)
{
        event_of_sandbox(sandbox, "update", NULL);
}

void event_sandbox_removed(const Sandbox *sandbox)
{
        event_of_sandbox(sandbox, "remove", NULL);
}

static void event_of_nic(const Nic *nic, const char *action)
{
        json_object *attributes = json_object_new_object();
        char mac[18];
        const Event event = {
                .type = "network",
                .action = action,
                .id = nic->sandbox->id,
                .name = nic->network.name,
                .attributes = attributes,
        };
        const uint8_t *address = nic->network.mac;

        snprintf(mac, sizeof(mac), "%02x:%02x:%02x:%02x:%02x:%02x", address[0], address[1],
                 address[2], address[3], address[4], address[5]);
        put_text(attributes, "MACAddress", mac);
        event_add(nic->sandbox->manager, nic->sandbox->owner, nic->sandbox, NULL, &event);
}

void event_nic(const Nic *nic)
{
        /* Not each time that it is told anew what it is like. */
        if (nic->state == NIC_CONFIGURED && !nic->taken)
                event_of_nic(nic, "connect");
        else if (nic->state == NIC_REFUSED)
                event_of_nic(nic, "refuse");
        else if (nic->state == NIC_FAILED)
                event_of_nic(nic, "fail");
}

void event_nic_gone(const Nic *nic)
{
        event_of_nic(nic, "disconnect");
}

/* ------------------------------------------------------------------ containers, processes */

static const Container *task_owner(const Task *task)
{
        return task->kind == TASK_CONTAINER ? CONTAINER_OF(task, const Container, task)
                                            : CONTAINER_OF(task, const Process, task)->container;
}

static void event_of_task(const Task *task, const char *action, json_object *attributes)
{
        const Container *container = task_owner(task);
        char token[24];
        Event event = {
                .type = "container",
                .action = action,
                .id = container->id,
                .name = container->name,
                .attributes = attributes,
        };

        snprintf(token, sizeof(token), "%llu", (unsigned long long)task->token);
        if (task->kind == TASK_PROCESS) {
                event.type = "process";
                event.id = event.name = token;
        }
        event_add(task->sandbox->manager, task->sandbox->owner, task->sandbox,
                  task->kind == TASK_PROCESS ? container : NULL, &event);
}

void event_task_new(const Task *task)
{
        const Container *container = task_owner(task);
        json_object *attributes = json_object_new_object();

        if (task->kind == TASK_CONTAINER) {
                put_text(attributes, "Image", container->config.image);
                put_labels(attributes, container->config.labels);
        } else {
                put_text(attributes, "Command", task->command[0]);
        }
        event_of_task(task, "create", attributes);
}

void event_task_started(const Task *task)
{
        event_of_task(task, "start", NULL);
}

void event_task_signal(const Task *task, int signal)
{
        json_object *attributes = json_object_new_object();

        put_number(attributes, "Signal", (uint64_t)signal);
        event_of_task(task, "kill", attributes);
}

void event_task_exited(const Task *task)
{
        json_object *attributes = json_object_new_object();

        put_number(attributes, "ExitCode", (uint64_t)MAX(task->code, 0));
        json_object_object_add(attributes, "OOMKilled", json_object_new_boolean(task->oom));
        event_of_task(task, "exit", attributes);
}

void event_container_oom(const Container *container)
{
        json_object *attributes = json_object_new_object();

        put_number(attributes, "OOMKills", container->oom_kills);
        event_of_task(&container->task, "oom", attributes);
}

void event_container_limits(const Container *container)
{
        event_of_task(&container->task, "update", NULL);
}

void event_container_removed(const Container *container)
{
        event_of_task(&container->task, "remove", NULL);
}

static void event_of_mount(const Mount *mount, const char *action)
{
        json_object *attributes = json_object_new_object();

        put_text(attributes, "Target", mount->config.target);
        put_text(attributes, "Type", mount_kind_to_string(mount->kind));
        put_text(attributes, "Volume", mount->config.volume);
        put_text(attributes, "SourcePath", mount->config.source_path);
        event_of_task(&mount->container->task, action, attributes);
}

void event_mount(const Mount *mount)
{
        event_of_mount(mount, "mount");
}

void event_unmount(const Mount *mount)
{
        event_of_mount(mount, "unmount");
}

/* ------------------------------------------------------------------ what is stored */

/* Images are everybody's. */
void event_image(Manager *manager, const Image *image, const char *action)
{
        const Event event = {
                .type = "image",
                .action = action,
                .id = image->id,
                .name = image->name,
        };

        event_add(manager, EVENTLOG_EVERYBODY, NULL, NULL, &event);
}

void event_volume(const Volume *volume, const char *action)
{
        const Event event = {
                .type = "volume",
                .action = action,
                .id = volume->key,
                .name = volume->name,
        };

        event_add(volume->manager, volume->owner, NULL, NULL, &event);
}
