/* uvmctl: finds the verb, answers --help, and leaves the rest to it. */
#include <errno.h>
#include <locale.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "client/bus.h"
#include "uvmctl/verbs.h"

static const Verb *const verbs[] = {
        &verb_run,
        &verb_create,
        &verb_start,
        &verb_exec,
        &verb_attach,
        &verb_stop,
        &verb_kill,
        &verb_rm,
        &verb_wait,
        &verb_ps,
        &verb_inspect,
        &verb_logs,
        &verb_stats,
        &verb_events,
        &verb_metrics,
        &verb_top,
        &verb_cp,
        &verb_diff,
        &verb_export,
        &verb_commit,
        &verb_image_import,
        &verb_image_list,
        &verb_image_rm,
        &verb_volume_create,
        &verb_volume_list,
        &verb_volume_inspect,
        &verb_volume_rm,
        &verb_volume_prune,
        &verb_volume_attach,
        &verb_volume_detach,
        &verb_disk_attach,
        &verb_disk_detach,
        &verb_network_create,
        &verb_network_list,
        &verb_network_inspect,
        &verb_network_rm,
        &verb_network_attach,
        &verb_network_detach,
        &verb_network_check,
        &verb_port,
        &verb_update,
        &verb_sandbox_list,
        &verb_sandbox_show,
        &verb_version,
};

static void print_overview(FILE *to)
{
        fputs("Usage: uvmctl VERB [OPTION…] …\n"
              "Run containers, each inside a virtual machine of its own.\n\n",
              to);
        for (size_t i = 0; i < ELEMENTSOF(verbs); i++)
                fprintf(to, "  %-14s %s\n", verbs[i]->name, verbs[i]->summary);
        fputs("\nuvmctl VERB --help says more about each; uvmctl(1) says it all.\n", to);
}

static int print_help(const Verb *verb)
{
        printf("Usage: uvmctl %s %s\n%c%s.\n", verb->name, verb->arguments,
               verb->summary[0] & ~0x20, verb->summary + 1);
        if (verb->help)
                printf("\n%s", verb->help);
        return EXIT_SUCCESS;
}

int verb_usage_error(const Verb *verb, const char *format, ...)
{
        _cleanup_(freep) char *text = NULL;
        va_list arguments;

        va_start(arguments, format);
        if (vasprintf(&text, format, arguments) < 0)
                text = NULL;
        va_end(arguments);
        return client_fail("%s\nTry: uvmctl %s --help", text ? text : "wrong arguments",
                           verb->name);
}

int verb_parse_format(const Verb *verb, const char *text, int *ret_json)
{
        if (strcmp(text, "json") == 0 || strcmp(text, "table") == 0) {
                *ret_json = text[0] == 'j';
                return 0;
        }
        return verb_usage_error(verb, "--format takes table or json, not \"%s\"", text);
}

/* How many of the words at @argv name @verb: 0 if they don't. */
static int verb_match(const Verb *verb, int argc, char **argv)
{
        const char *blank = strchr(verb->name, ' ');
        size_t size = blank ? (size_t)(blank - verb->name) : strlen(verb->name);

        if (argc < 1 || strlen(argv[0]) != size || strncmp(argv[0], verb->name, size) != 0)
                return 0;
        if (!blank)
                return 1;
        if (argc < 2)
                return 0;
        /* podman's word for the same. */
        if (strcmp(argv[1], "ls") == 0 && strcmp(blank + 1, "list") == 0)
                return 2;
        return strcmp(argv[1], blank + 1) == 0 ? 2 : 0;
}

/* --help anywhere among the verb's own options, not behind its first plain argument. */
static int wants_help(int argc, char **argv)
{
        for (int i = 1; i < argc && argv[i][0] == '-'; i++)
                if (strcmp(argv[i], "--help") == 0)
                        return 1;
        return 0;
}

static int run_verb(const Verb *verb, int argc, char **argv)
{
        if (wants_help(argc, argv))
                return print_help(verb);
        opterr = 1;
        return verb->run(argc, argv);
}

int main(int argc, char **argv)
{
        setlocale(LC_ALL, "");
        if (argc < 2) {
                print_overview(stderr);
                return CLIENT_EXIT_FAILED;
        }
        if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
            strcmp(argv[1], "help") == 0) {
                print_overview(stdout);
                return EXIT_SUCCESS;
        }
        if (strcmp(argv[1], "--version") == 0)
                return verb_version.run(1, argv + 1);
        for (size_t i = 0; i < ELEMENTSOF(verbs); i++) {
                int n = verb_match(verbs[i], argc - 1, argv + 1);

                if (n > 0)
                        return run_verb(verbs[i], argc - n, argv + n);
        }
        return client_fail("there is no verb \"%s\"\nTry: uvmctl --help", argv[1]);
}
