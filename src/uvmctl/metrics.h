/*
 * The figures of all sandboxes as OpenMetrics text (specification 1.0): families with TYPE, UNIT and
 * HELP, counters that end in _total, "# EOF" at the end.
 */
#pragma once

#include <stdio.h>

#include "client/json.h"

#define METRICS_CONTENT_TYPE "application/openmetrics-text; version=1.0.0; charset=utf-8"

/* A sandbox: its properties and, where it runs, what GetStats said. */
typedef struct MetricsSandbox {
        json_object *properties;
        json_object *figures; /* NULL: it doesn't run */
} MetricsSandbox;

void metrics_print(FILE *to, const MetricsSandbox *sandboxes, size_t n);

/* Asks uvmd for all of it and prints it. A status as in client/bus.h. */
int metrics_collect(FILE *to);
