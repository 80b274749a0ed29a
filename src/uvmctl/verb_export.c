/* uvmctl diff, export and commit: what has become of a container's root file system. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "client/files/staging.h"
#include "client/files/tarball.h"
#include "uvmctl/borrow.h"
#include "uvmctl/verbs.h"

/* ------------------------------------------------------------------ diff */

static const struct {
        const char *kind;
        char letter; /* podman's */
} kinds[] = {{"added", 'A'}, {"modified", 'C'}, {"deleted", 'D'}};

/* Names are a container's bytes: none of them may steer the terminal. */
static void diff_print(json_object *changes)
{
        for (size_t i = 0; i < json_object_array_length(changes); i++) {
                json_object *change = json_object_array_get_idx(changes, i);
                const char *kind = json_object_get_string(json_object_array_get_idx(change, 0));
                const char *path = json_object_get_string(json_object_array_get_idx(change, 1));

                for (size_t j = 0; j < ELEMENTSOF(kinds); j++)
                        if (strcmp(kinds[j].kind, kind) == 0)
                                printf("%c ", kinds[j].letter);
                for (; *path; path++)
                        putchar((unsigned char)*path < ' ' || *path == 127 ? '?' : *path);
                putchar('\n');
        }
}

/* podman's form: a list of paths for each kind that there is. */
static void diff_print_json(json_object *changes)
{
        static const char *const keys[] = {"added", "changed", "deleted"};
        _cleanup_(json_object_putp) json_object *all = json_object_new_object();

        for (size_t i = 0; i < json_object_array_length(changes); i++) {
                json_object *change = json_object_array_get_idx(changes, i), *list;
                const char *kind = json_object_get_string(json_object_array_get_idx(change, 0));

                for (size_t j = 0; j < ELEMENTSOF(kinds); j++) {
                        if (strcmp(kinds[j].kind, kind) != 0)
                                continue;
                        if (!json_object_object_get_ex(all, keys[j], &list)) {
                                list = json_object_new_array();
                                json_object_object_add(all, keys[j], list);
                        }
                        json_object_array_add(
                                list, json_object_get(json_object_array_get_idx(change, 1)));
                }
        }
        client_json_print(all);
}

static int diff(int argc, char **argv)
{
        static const struct option options[] = {{"format", required_argument, NULL, 'f'}, {0}};
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL, *reply = NULL;
        _cleanup_(json_object_putp) json_object *changes = NULL;
        _cleanup_(borrow_done) Borrow borrow = {};
        int option, json = 0, r;

        while ((option = getopt_long(argc, argv, "", options, NULL)) >= 0)
                if (option != 'f' || verb_parse_format(&verb_diff, optarg, &json))
                        return verb_usage_error(&verb_diff, "these options are not understood");
        if (optind + 1 != argc)
                return verb_usage_error(&verb_diff, "which container?");
        r = borrow_open(&borrow, argv[optind], true);
        if (!r)
                r = borrow_message(&borrow, "GetChanges", &message);
        if (!r)
                r = borrow_send(&borrow, message, "Comparing …", &reply);
        if (r)
                return r;
        changes = client_json_read(reply);
        if (!changes)
                return CLIENT_EXIT_FAILED;
        if (json)
                diff_print_json(changes);
        else
                diff_print(changes);
        return 0;
}

/* ------------------------------------------------------------------ export */

static int export_to(const char *name, int to)
{
        _cleanup_(staging_done) Staging staging = STAGING_INIT;
        int r = staging_open(&staging, NULL);

        if (!r) {
                _cleanup_(borrow_done) Borrow borrow = {};

                r = borrow_open(&borrow, name, false);
                if (!r)
                        r = borrow_copy_out(&borrow, staging.fd, "/", "", false, true);
        }
        return r ? r : tarball_write(staging.fd, NULL, geteuid() == 0, to);
}

static int export_verb(int argc, char **argv)
{
        static const struct option options[] = {{"output", required_argument, NULL, 'o'}, {0}};
        _cleanup_(fd_closep) int file = FD_NONE;
        const char *output = NULL;
        int option, r;

        while ((option = getopt_long(argc, argv, "o:", options, NULL)) >= 0) {
                if (option != 'o')
                        return verb_usage_error(&verb_export, "unknown option");
                output = optarg;
        }
        if (optind + 1 != argc)
                return verb_usage_error(&verb_export, "which container?");
        if (!output) {
                if (isatty(STDOUT_FILENO))
                        return client_fail("a tar archive is not for the terminal: redirect it, "
                                           "or give -o FILE");
                return export_to(argv[optind], STDOUT_FILENO);
        }
        file = open(output, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0666);
        if (file < 0)
                return client_fail_errno(errno_neg(), "cannot write %s", output);
        r = export_to(argv[optind], file);
        if (r)
                unlink(output);
        return r;
}

/* ------------------------------------------------------------------ commit */

/* The parts of an image's configuration that --change sets, by docker's names. */
typedef struct Change {
        const char *word;
        const char *key;
        char kind; /* 'l': a list, 's': a text, 'e': one more NAME=value */
} Change;

static const Change changes_known[] = {
        {"CMD", "Command", 'l'},     {"ENTRYPOINT", "Entrypoint", 'l'},
        {"ENV", "Environment", 'e'}, {"WORKDIR", "WorkingDirectory", 's'},
        {"USER", "User", 's'},
};

/* "[\"a\", \"b\"]" as JSON has it, or words for a shell. */
static json_object *change_list(const char *value)
{
        json_object *list;

        if (value[0] == '[')
                return json_tokener_parse(value);
        list = json_object_new_array();
        json_object_array_add(list, json_object_new_string("/bin/sh"));
        json_object_array_add(list, json_object_new_string("-c"));
        json_object_array_add(list, json_object_new_string(value));
        return list;
}

static bool change_is_list(json_object *list)
{
        if (!json_object_is_type(list, json_type_array))
                return false;
        for (size_t i = 0; i < json_object_array_length(list); i++)
                if (!json_object_is_type(json_object_array_get_idx(list, i), json_type_string))
                        return false;
        return true;
}

/* "CMD=…" or "CMD …", into @config with the bus's keys. A status. */
static int change_add(json_object *config, const char *text)
{
        for (size_t i = 0; i < ELEMENTSOF(changes_known); i++) {
                const Change *change = &changes_known[i];
                size_t size = strlen(change->word);
                json_object *value;

                if (strncasecmp(text, change->word, size) != 0 ||
                    (text[size] != '=' && text[size] != ' '))
                        continue;
                text += size + 1;
                if (change->kind == 'e') {
                        if (!json_object_object_get_ex(config, change->key, &value)) {
                                value = json_object_new_array();
                                json_object_object_add(config, change->key, value);
                        }
                        json_object_array_add(value, json_object_new_string(text));
                        return 0;
                }
                value = change->kind == 'l' ? change_list(text) : json_object_new_string(text);
                json_object_object_add(config, change->key, value);
                if (change->kind == 'l' && !change_is_list(value))
                        return client_fail("--change: \"%s\" is no list of texts", text);
                return 0;
        }
        return client_fail("--change: \"%s\" can't be set: CMD, ENTRYPOINT, ENV, WORKDIR and USER "
                           "can",
                           text);
}

static int change_append_strings(sd_bus_message *message, const char *key, json_object *list)
{
        int r = sd_bus_message_open_container(message, 'e', "sv");

        if (r >= 0)
                r = sd_bus_message_append(message, "s", key);
        if (r >= 0)
                r = sd_bus_message_open_container(message, 'v', "as");
        if (r >= 0)
                r = sd_bus_message_open_container(message, 'a', "s");
        for (size_t i = 0; r >= 0 && i < json_object_array_length(list); i++)
                r = sd_bus_message_append(
                        message, "s", json_object_get_string(json_object_array_get_idx(list, i)));
        for (int depth = 0; r >= 0 && depth < 3; depth++)
                r = sd_bus_message_close_container(message);
        return r;
}

static int change_append_all(sd_bus_message *message, json_object *config)
{
        int r = sd_bus_message_open_container(message, 'a', "{sv}");

        json_object_object_foreach (config, key, value) {
                if (r < 0)
                        break;
                r = json_object_is_type(value, json_type_array)
                            ? change_append_strings(message, key, value)
                            : sd_bus_message_append(message, "{sv}", key, "s",
                                                    json_object_get_string(value));
        }
        return r < 0 ? r : sd_bus_message_close_container(message);
}

static int commit_send(const char *name, const char *image, json_object *config)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL, *reply = NULL;
        _cleanup_(borrow_done) Borrow borrow = {};
        const char *id;
        int r = borrow_open(&borrow, name, true);

        if (!r)
                r = borrow_message(&borrow, "Commit", &message);
        if (r)
                return r;
        r = sd_bus_message_append(message, "s", image);
        if (r >= 0)
                r = change_append_all(message, config);
        if (r < 0)
                return client_fail_errno(r, "cannot make the call");
        r = borrow_send(&borrow, message, "Copying …", &reply);
        if (r)
                return r;
        if (sd_bus_message_read(reply, "s", &id) < 0)
                return client_fail("uvmd's answer can't be read");
        puts(id);
        return 0;
}

static int commit(int argc, char **argv)
{
        static const struct option options[] = {{"change", required_argument, NULL, 'c'}, {0}};
        _cleanup_(json_object_putp) json_object *config = json_object_new_object();
        int option, r;

        while ((option = getopt_long(argc, argv, "c:", options, NULL)) >= 0) {
                if (option != 'c')
                        return verb_usage_error(&verb_commit, "unknown option");
                r = change_add(config, optarg);
                if (r)
                        return r;
        }
        if (optind + 2 != argc)
                return verb_usage_error(&verb_commit, "which container, and what is the image "
                                                      "called?");
        return commit_send(argv[optind], argv[optind + 1], config);
}

const Verb verb_diff = {
        .name = "diff",
        .arguments = "[OPTION…] CONTAINER",
        .summary = "list what a container has added, changed and deleted",
        .help = "      --format FORMAT   table or json\n",
        .run = diff,
};

const Verb verb_export = {
        .name = "export",
        .arguments = "[OPTION…] CONTAINER",
        .summary = "write a container's root file system as a tar archive",
        .help = "  -o, --output FILE   instead of standard output\n",
        .run = export_verb,
};

const Verb verb_commit = {
        .name = "commit",
        .arguments = "[OPTION…] CONTAINER IMAGE",
        .summary = "make an image of a container's root file system",
        .help = "  -c, --change CHANGE   CMD=…, ENTRYPOINT=…, ENV=K=V, WORKDIR=… or USER=…\n",
        .run = commit,
};
