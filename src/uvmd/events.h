/*
 * What happens to sandboxes, containers, images and volumes, told at the very places where it happens, so
 * that no state is too short to be told: each becomes an event of the log (eventlog.h), and who listens on
 * the bus hears that there is something new. An event that can't be kept is no failure of what happened.
 */
#pragma once

#include <stdint.h>

typedef struct Container Container;
typedef struct EventLog EventLog;
typedef struct Image Image;
typedef struct Manager Manager;
typedef struct Mount Mount;
typedef struct Nic Nic;
typedef struct Sandbox Sandbox;
typedef struct Task Task;
typedef struct Volume Volume;

/* Opens the log, and closes it: from then on nothing is told. 0 or -errno. */
int events_open(Manager *manager);
void events_close(Manager *manager);

void event_sandbox_new(const Sandbox *sandbox);
void event_sandbox_state(const Sandbox *sandbox); /* its state is the event */
void event_sandbox_resized(const Sandbox *sandbox);
void event_sandbox_limits(const Sandbox *sandbox);
void event_sandbox_removed(const Sandbox *sandbox);

/* What a guest has of a network: the device's state is the event; NULL states that it is gone. */
void event_nic(const Nic *nic);
void event_nic_gone(const Nic *nic);

/* A container or process. */
void event_task_new(const Task *task);
void event_task_started(const Task *task);
void event_task_signal(const Task *task, int signal);
void event_task_exited(const Task *task);

void event_container_oom(const Container *container);
void event_container_limits(const Container *container);
void event_container_removed(const Container *container);

/* Something was mounted into a container that runs, or taken away again. */
void event_mount(const Mount *mount);
void event_unmount(const Mount *mount);

void event_image(Manager *manager, const Image *image, const char *action);
void event_volume(const Volume *volume, const char *action);
