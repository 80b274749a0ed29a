/*
 * Tells that something has changed in a network namespace: links, addresses, routes, neighbours. What
 * has changed it doesn't say: whoever wants to know looks. Changes in quick succession are one, and
 * a namespace where something changes all the time is looked at some ten times a second.
 */
#pragma once

#include <systemd/sd-event.h>

#include "base/cleanup.h"

typedef struct Monitor Monitor;

typedef void (*MonitorHandler)(void *userdata);

/* Consumes @fd, a socket of NETLINK_ROUTE that was opened in that namespace. 0 or -errno. */
int monitor_new(Monitor **ret, sd_event *event, int fd, MonitorHandler handler, void *userdata);

Monitor *monitor_free(Monitor *monitor);
DEFINE_CLEANUP(Monitor *, monitor_free)
