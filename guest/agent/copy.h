/*
 * The request COPY: files between a container and a 9p device that is plugged in for it, by a worker
 * that mounts the device, enters the container's mount namespace, copies (copytree.h), and unmounts
 * the device before the answer. The device is mounted uncached: what is read and written passes once,
 * in whole messages.
 */
#pragma once

#include "agent/container.h"

/* Answers request @request later. Takes the fields of the message. */
void copy_start(Container *container, uint32_t request, AgentCopy *message);

/* Has those of the container end soon. */
void copy_stop(Container *container);
