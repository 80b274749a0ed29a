/* Pressure stall information, as the kernel prints it (Documentation/accounting/psi.rst). */
#pragma once

#include "proto/agent_report.h"

/*
 * "some avg10=0.12 avg60=0.00 avg300=0.00 total=345", then the same with "full". What isn't there, as
 * on a kernel that doesn't measure, stays 0. Pure.
 */
void pressure_parse(const char *text, AgentPressure *ret);

/* From the file @path below @directory; all 0 if there is none. */
void pressure_read(int directory, const char *path, AgentPressure *ret);
