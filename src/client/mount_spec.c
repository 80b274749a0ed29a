/* The notations of mounts; see mount_spec.h. */
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "client/mount_spec.h"

static int fail(char **ret_error, const char *format, ...) __attribute__((format(printf, 2, 3)));

static int fail(char **ret_error, const char *format, ...)
{
        va_list arguments;
        int n;

        va_start(arguments, format);
        n = vasprintf(ret_error, format, arguments);
        va_end(arguments);
        if (n < 0)
                *ret_error = NULL;
        return -EINVAL;
}

typedef enum KeyKind {
        KEY_TEXT,
        KEY_FLAG,     /* "KEY" or "KEY=yes" */
        KEY_NOT_FLAG, /* the opposite */
        KEY_SIZE,     /* bytes, with a suffix */
        KEY_COUNT,
        KEY_OPTION, /* goes into the options of the file system, by the name in @option */
} KeyKind;

typedef struct Key {
        const char *name;
        KeyKind kind;
        size_t offset;
        bool short_form; /* -v takes it too */
        const char *option;
} Key;

#define KEY(name_, kind_, member_, ...)                                                   \
        {                                                                                 \
                .name = (name_), .kind = (kind_), .offset = offsetof(MountSpec, member_), \
                __VA_ARGS__                                                               \
        }

static const Key keys[] = {
        KEY("type", KEY_TEXT, type),
        KEY("source", KEY_TEXT, source),
        KEY("src", KEY_TEXT, source),
        KEY("target", KEY_TEXT, target),
        KEY("dst", KEY_TEXT, target),
        KEY("destination", KEY_TEXT, target),
        KEY("readonly", KEY_FLAG, read_only),
        KEY("ro", KEY_FLAG, read_only, .short_form = true),
        KEY("rw", KEY_NOT_FLAG, read_only, .short_form = true),
        KEY("nosuid", KEY_FLAG, nosuid, .short_form = true),
        KEY("suid", KEY_NOT_FLAG, nosuid, .short_form = true),
        KEY("nodev", KEY_FLAG, nodev, .short_form = true),
        KEY("noexec", KEY_FLAG, noexec, .short_form = true),
        KEY("exec", KEY_NOT_FLAG, noexec, .short_form = true),
        KEY("nocopy", KEY_FLAG, nocopy, .short_form = true),
        KEY("volume-nocopy", KEY_FLAG, nocopy),
        KEY("cache", KEY_TEXT, cache, .short_form = true),
        KEY("fs", KEY_TEXT, file_system),
        KEY("serial", KEY_TEXT, serial),
        KEY("bps", KEY_SIZE, bytes, .short_form = true),
        KEY("bps-burst", KEY_SIZE, bytes_burst, .short_form = true),
        KEY("iops", KEY_COUNT, ops, .short_form = true),
        KEY("iops-burst", KEY_COUNT, ops_burst, .short_form = true),
        {.name = "options", .kind = KEY_OPTION},
        {.name = "tmpfs-size", .kind = KEY_OPTION, .option = "size"},
        {.name = "tmpfs-mode", .kind = KEY_OPTION, .option = "mode"},
};

static const Key *key_find(const char *name, bool short_form)
{
        for (size_t i = 0; i < ELEMENTSOF(keys); i++)
                if (strcmp(keys[i].name, name) == 0 && (!short_form || keys[i].short_form))
                        return &keys[i];
        return NULL;
}

static int take_option(MountSpec *spec, const Key *key, const char *value)
{
        char *options;

        if (asprintf(&options, "%s%s%s%s%s", spec->options ?: "", spec->options ? "," : "",
                     key->option ?: "", key->option ? "=" : "", value) < 0)
                return -ENOMEM;
        free(spec->options);
        spec->options = options;
        return 0;
}

static int take_flag(MountSpec *spec, const Key *key, const char *value, char **ret_error)
{
        bool on = true;

        if (value && parse_bool(value, &on) < 0)
                return fail(ret_error, "\"%s\" takes yes or no, not \"%s\"", key->name, value);
        *(bool *)((char *)spec + key->offset) = on == (key->kind == KEY_FLAG);
        return 0;
}

static int take_key(MountSpec *spec, const Key *key, const char *value, char **ret_error)
{
        void *at = (char *)spec + key->offset;

        if (key->kind == KEY_FLAG || key->kind == KEY_NOT_FLAG)
                return take_flag(spec, key, value, ret_error);
        if (!value || !value[0])
                return fail(ret_error, "\"%s\" needs a value", key->name);
        switch (key->kind) {
        case KEY_TEXT:
                *(const char **)at = value;
                return 0;
        case KEY_OPTION:
                return take_option(spec, key, value);
        case KEY_SIZE:
                return parse_bytes(value, at) < 0
                               ? fail(ret_error, "%s: \"%s\" is no size such as 10m", key->name,
                                      value)
                               : 0;
        case KEY_COUNT:
                return parse_u64(value, 0, UINT64_MAX, at) < 0
                               ? fail(ret_error, "%s: \"%s\" is no number", key->name, value)
                               : 0;
        case KEY_FLAG:
        case KEY_NOT_FLAG:
                break;
        }
        return -EINVAL;
}

/* @list is cut up. */
static int take_list(MountSpec *spec, char *list, bool short_form, char **ret_error)
{
        for (char *next = list, *item; (item = strsep(&next, ","));) {
                char *value = strchr(item, '=');
                const Key *key;
                int r;

                if (value)
                        *value++ = 0;
                key = key_find(item, short_form);
                if (!key)
                        return fail(ret_error, "there is no option \"%s\" for a mount", item);
                r = take_key(spec, key, value, ret_error);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int check(MountSpec *spec, char **ret_error)
{
        if (!spec->target)
                return fail(ret_error, "a mount needs a target: an absolute path in the container");
        if (spec->target[0] != '/')
                return fail(ret_error,
                            "the target \"%s\" must be an absolute path in the container",
                            spec->target);
        return 0;
}

static bool is_path(const char *source)
{
        return source[0] == '/' || source[0] == '.';
}

int mount_spec_parse_volume(MountSpec *spec, const char *text, char **ret_error)
{
        char *source, *target, *options;
        int r = 0;

        *spec = (MountSpec){.text = strdup(text)};
        if (!spec->text)
                return -ENOMEM;
        source = spec->text;
        target = strchr(source, ':');
        if (!target && source[0] == '/') {
                spec->type = "volume";
                spec->target = source;
                return check(spec, ret_error);
        }
        if (!target || target == source)
                return fail(ret_error,
                            "\"%s\" is not of the form DIRECTORY:TARGET, VOLUME:TARGET or TARGET",
                            text);
        *target++ = 0;
        options = strchr(target, ':');
        if (options)
                *options++ = 0;
        spec->type = is_path(source) ? "bind" : "volume";
        spec->source = source;
        spec->target = target;
        if (options)
                r = take_list(spec, options, true, ret_error);
        return r < 0 ? r : check(spec, ret_error);
}

int mount_spec_parse_mount(MountSpec *spec, const char *text, char **ret_error)
{
        int r;

        *spec = (MountSpec){.text = strdup(text)};
        if (!spec->text)
                return -ENOMEM;
        r = take_list(spec, spec->text, false, ret_error);
        if (r < 0)
                return r;
        if (!spec->type)
                spec->type = "volume";
        if (!spec->source && strcmp(spec->type, "tmpfs") != 0 && strcmp(spec->type, "volume") != 0)
                return fail(ret_error, "a mount of type %s needs a source", spec->type);
        if (spec->source && strcmp(spec->type, "tmpfs") == 0)
                return fail(ret_error, "a mount of type tmpfs takes no source");
        return check(spec, ret_error);
}

/* Whether it can be a list of options, and not the name of a file system. */
static bool is_list(const char *text)
{
        _cleanup_(freep) char *first = strndup(text, strcspn(text, ",="));

        return first && key_find(first, true);
}

/* Where nothing else is said the guest has it under its own name: "/dev/data.img". */
static int default_disk_target(MountSpec *spec)
{
        const char *slash = strrchr(spec->source, '/');
        const char *name = slash ? slash + 1 : spec->source;

        /* The strings of a specification point into its text: this one goes behind the others. */
        size_t used = strlen(spec->source) + 1, size = used + strlen("/dev/") + strlen(name) + 1;
        char *grown = malloc(size);

        if (!grown)
                return -ENOMEM;
        memcpy(grown, spec->source, used);
        snprintf(grown + used, size - used, "/dev/%s", name);
        free(spec->text);
        spec->text = grown;
        spec->source = grown;
        spec->target = grown + used;
        return 0;
}

int mount_spec_parse_disk(MountSpec *spec, const char *text, char **ret_error)
{
        char *next, *part;
        int r = 0;

        *spec = (MountSpec){.type = "block", .text = strdup(text)};
        if (!spec->text)
                return -ENOMEM;
        next = spec->text;
        spec->source = strsep(&next, ":");
        if (!spec->source[0])
                return fail(ret_error, "\"%s\" is not of the form PATH[:GUEST[:FS]][:ro]", text);
        while (r >= 0 && (part = strsep(&next, ":"))) {
                if (part[0] == '/' && !spec->target)
                        spec->target = part;
                else if (is_list(part) && !next)
                        r = take_list(spec, part, true, ret_error);
                else if (spec->target && !spec->file_system && part[0] && !strchr(part, '/'))
                        spec->file_system = part;
                else
                        r = fail(ret_error,
                                 "\"%s\" in \"%s\" makes no sense: it is "
                                 "PATH[:GUEST[:FS]][:ro]",
                                 part, text);
        }
        if (r >= 0 && !spec->target)
                r = default_disk_target(spec);
        return r < 0 ? r : check(spec, ret_error);
}

int mount_spec_parse_throttle(MountSpec *spec, const char *text, char **ret_error)
{
        char *limits;
        int r;

        *spec = (MountSpec){.type = "", .text = strdup(text)};
        if (!spec->text)
                return -ENOMEM;
        limits = strrchr(spec->text, ':');
        if (!limits || limits == spec->text)
                return fail(ret_error, "\"%s\" is not of the form TARGET:bps=SIZE,iops=N", text);
        *limits++ = 0;
        spec->target = spec->text;
        r = strcmp(limits, "none") == 0 ? 0 : take_list(spec, limits, true, ret_error);
        if (r < 0)
                return r;
        if (spec->read_only || spec->nosuid || spec->nodev || spec->noexec || spec->nocopy ||
            spec->cache)
                return fail(ret_error, "a throttle takes bps, bps-burst, iops and iops-burst");
        return check(spec, ret_error);
}

void mount_spec_done(MountSpec *spec)
{
        free(spec->text);
        free(spec->options);
        *spec = (MountSpec){};
}
