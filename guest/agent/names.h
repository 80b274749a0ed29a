/*
 * How a container's programs turn names into addresses: the request RESOLVER, and the container's own
 * /etc/hosts and /etc/resolv.conf.
 *
 * Each container has two files in the agent's state, names/ID/, which are mounted over its own when it is
 * created, and rewritten in place when the host says something new; so it is seen at once. The container
 * may write them: they are its own until then. As podman has it:
 *
 *   - a container whose specification mounts something on one of them, or on /etc, has that;
 *   - what the image has as /etc/hosts doesn't count;
 *   - what it has as /etc/resolv.conf is what is read there until the host names servers, domains or
 *     options, and always in a container with a network namespace of its own, which reaches none of
 *     the host's; there the host's lines of /etc/hosts don't stand either;
 *   - a file that the image lacks is made, in the container's layer; one that can't be made (a read-only
 *     root without a layer, or a directory of the host's as it is) isn't there. A link is followed, in
 *     the container's root.
 */
#pragma once

#include <stdbool.h>

#include "proto/agent.h"

#include "agent/container.h"
#include "agent/fault.h"

/* Before the container's first process is made: its files. 0 or -errno with @fault filled in. */
int names_prepare(Container *container, Fault *fault);

/* In that process, which still has the agent's mounts: mounts them below @root. What the image or the
 * specification doesn't allow is left out. 0 or -errno with @fault filled in. */
int names_mount(const char *state, const char *id, const AgentContainerSpec *spec, int root,
                Fault *fault);

/* Set up: what the host has said meanwhile counts. */
void names_refresh(Container *container);

/* It is gone. Harmless if there are none. */
void names_remove(const Guest *guest, const char *id);

/* Whether the file at @path in a container, an empty one, may be ours. */
bool names_is_place(const char *path);

/* The request; takes what @resolver owns. */
void names_set(Guest *guest, uint32_t request, AgentResolver *resolver);
