/* uvmctl metrics: all figures as OpenMetrics text. */
#include <stdio.h>

#include "client/bus.h"
#include "uvmctl/exporter.h"
#include "uvmctl/metrics.h"
#include "uvmctl/verbs.h"

static int metrics_verb(int argc, char **argv)
{
        static const struct option options[] = {{"http", no_argument, NULL, 'H'}, {0}};
        int option, r;
        bool http = false;

        while ((option = getopt_long(argc, argv, "", options, NULL)) >= 0) {
                if (option != 'H')
                        return verb_usage_error(&verb_metrics, "these options are not understood");
                http = true;
        }
        if (optind != argc)
                return verb_usage_error(&verb_metrics, "this takes no arguments");
        if (http)
                return exporter_run();
        r = metrics_collect(stdout);
        return r || fflush(stdout) == 0 ? r : client_fail("cannot write");
}

const Verb verb_metrics = {
        .name = "metrics",
        .arguments = "[--http]",
        .summary = "print the figures of all sandboxes as OpenMetrics",
        .help = "      --http    answer one HTTP request on standard input "
                "(uvm-exporter@.service)\n",
        .run = metrics_verb,
};
