/*
 * uvmctl's verbs: one file each, one row each in the table of main.c.
 *
 * A verb gets its own name as argv[0] and returns the status for exit(). --help is answered before it
 * runs; what its options mean is said in its `help` text, which is all that a person sees of it.
 */
#pragma once

#include <getopt.h>

typedef struct Verb {
        const char *name;      /* "run"; "image import" for the second level */
        const char *arguments; /* "[OPTION…] IMAGE [COMMAND [ARGUMENT…]]" */
        const char *summary;   /* one line for the overview */
        const char *help;      /* the options, a line each; NULL for none */
        int (*run)(int argc, char **argv);
} Verb;

extern const Verb verb_attach, verb_commit, verb_cp, verb_create, verb_diff, verb_disk_attach,
        verb_disk_detach, verb_events, verb_exec, verb_export, verb_image_import, verb_image_list,
        verb_image_rm, verb_inspect, verb_kill, verb_logs, verb_metrics, verb_network_attach,
        verb_network_check, verb_network_create, verb_network_rm, verb_network_detach,
        verb_network_inspect, verb_network_list, verb_port, verb_ps, verb_rm, verb_run,
        verb_sandbox_list, verb_sandbox_show, verb_start, verb_stats, verb_stop, verb_top,
        verb_update, verb_version, verb_volume_attach, verb_volume_create, verb_volume_detach,
        verb_volume_inspect, verb_volume_list, verb_volume_prune, verb_volume_rm, verb_wait;

/* For a verb whose arguments make no sense: says which verb's --help to read. A status. */
int verb_usage_error(const Verb *verb, const char *format, ...)
        __attribute__((format(printf, 2, 3)));

/* "table" (*ret_json false) or "json"; anything else is reported. A status. */
int verb_parse_format(const Verb *verb, const char *text, int *ret_json);
