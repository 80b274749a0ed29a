/*
 * Signals. They reach everybody whom the bus's policy lets listen, so they carry opaque ids and say
 * which properties changed, never their values.
 */
#pragma once

#include "uvmd/sandbox.h"

void bus_emit_sandbox_new(const Sandbox *sandbox);
void bus_emit_sandbox_changed(const Sandbox *sandbox);
void bus_emit_sandbox_resized(const Sandbox *sandbox); /* VCPUs, Memory, MemoryActual */
void bus_emit_sandbox_networks(const Sandbox *sandbox);
void bus_emit_sandbox_removed(const Sandbox *sandbox);

/* A container or process of a sandbox comes, changes, exits, goes. */
void bus_emit_task_new(const Task *task);
void bus_emit_task_changed(const Task *task);
void bus_emit_task_exited(const Task *task);
void bus_emit_task_removed(const Task *task);
void bus_emit_container_oom(const Container *container);
