/*
 * Pressure stall information of a control group of the host: how long its tasks waited for want of CPU
 * time, memory or I/O (kernel Documentation/accounting/psi.rst).
 */
#pragma once

#include "proto/agent_report.h"

/* "some avg10=0.12 avg60=… avg300=… total=3456", and a line "full …". Pure. 0 or -EBADMSG. */
int pressure_parse(const char *text, AgentPressure *ret);

/* Of @resource ("cpu", "memory", "io") in the group at @path below the cgroup file system. 0 or -errno:
 * -ENOENT, -EOPNOTSUPP where the kernel doesn't count it. */
int pressure_read(const char *path, const char *resource, AgentPressure *ret);
