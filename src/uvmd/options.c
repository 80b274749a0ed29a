/*
 * a{sv} by table; see options.h. The bytes are a caller's: types, counts, sizes and ranges are
 * checked before anything is kept.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "uvmd/errors.h"
#include "uvmd/options.h"
#include "uvmd/strv.h"

const char *const option_signatures[OPTION_TYPE_MAX] = {
        [OPTION_BOOL] = "b",        [OPTION_I32] = "i",    [OPTION_U32] = "u",
        [OPTION_U64] = "t",         [OPTION_STRING] = "s", [OPTION_STRINGS] = "as",
        [OPTION_MAP] = "a{ss}",     [OPTION_FD] = "h",     [OPTION_NAMED] = "a(st)",
        [OPTION_RANGES] = "a(stt)",
};

static void *member(const Option *option, void *target)
{
        return (char *)target + option->offset;
}

static void list_done(OptionList *list)
{
        for (size_t i = 0; i < list->n; i++)
                free(list->items[i].name);
        free(list->items);
        *list = (OptionList){};
}

static int list_append(OptionList *list, const char *name, uint64_t first, uint64_t second)
{
        OptionListItem *grown = reallocarray(list->items, list->n + 1, sizeof(*grown));
        char *copy;

        if (!grown)
                return -ENOMEM;
        list->items = grown;
        copy = strdup(name);
        if (!copy)
                return -ENOMEM;
        grown[list->n++] = (OptionListItem){.name = copy, .values = {first, second}};
        return 0;
}

int option_list_set(OptionList *list, const char *name, uint64_t value)
{
        for (size_t i = 0; i < list->n; i++)
                if (strcmp(list->items[i].name, name) == 0) {
                        list->items[i].values[0] = value;
                        return 0;
                }
        return list_append(list, name, value, 0);
}

void option_list_drop(OptionList *list, uint64_t value)
{
        size_t kept = 0;

        for (size_t i = 0; i < list->n; i++) {
                if (list->items[i].values[0] == value)
                        free(list->items[i].name);
                else
                        list->items[kept++] = list->items[i];
        }
        list->n = kept;
}

static void option_done(const Option *option, void *target)
{
        void *at = member(option, target);

        switch (option->type) {
        case OPTION_BOOL:
                *(bool *)at = false;
                break;
        case OPTION_I32:
        case OPTION_U32:
                *(uint32_t *)at = 0;
                break;
        case OPTION_U64:
                *(uint64_t *)at = 0;
                break;
        case OPTION_STRING:
                free(*(char **)at);
                *(char **)at = NULL;
                break;
        case OPTION_STRINGS:
        case OPTION_MAP:
                *(char ***)at = strv_free(*(char ***)at);
                break;
        case OPTION_FD:
                *(int *)at = fd_close(*(int *)at);
                break;
        case OPTION_NAMED:
        case OPTION_RANGES:
                list_done(at);
                break;
        case OPTION_TYPE_MAX:
                break;
        }
}

void options_done(const Option *table, size_t n, void *target)
{
        for (size_t i = 0; i < n; i++)
                option_done(&table[i], target);
}

/* The checks that the bus and JSON share. -EINVAL: not of the form, -ERANGE: out of range. */

static int check_number(const Option *option, uint64_t value)
{
        uint64_t max = option->max ?: option->type == OPTION_U32 ? UINT32_MAX : UINT64_MAX;

        if (option->unlimited && value == UINT64_MAX)
                return 0;
        return value < option->min || value > max ? -ERANGE : 0;
}

static int check_signed(const Option *option, int64_t value)
{
        int64_t min = option->max ? (int64_t)option->min : INT32_MIN;
        int64_t max = option->max ? (int64_t)option->max : INT32_MAX;

        return value < min || value > max ? -ERANGE : 0;
}

static int check_string(const Option *option, const char *text)
{
        size_t max = OPTION_STRING_MAX;

        if (option->type == OPTION_STRING && option->max)
                max = option->max;
        if (strnlen(text, max + 1) > max)
                return -ERANGE;
        return option->is_valid && !option->is_valid(text) ? -EINVAL : 0;
}

static int check_count(const Option *option, size_t n)
{
        return n > (option->max ?: OPTION_ITEMS_MAX) ? -ERANGE : 0;
}

/* Readers of the bus: the message stands at a value of the option's own type. */

static int read_strings(sd_bus_message *message, const Option *option, char ***ret)
{
        _cleanup_(strv_freep) char **array = strv_new();
        const char *text;
        size_t n = 0, total = 0;
        int r;

        if (!array)
                return -ENOMEM;
        r = sd_bus_message_enter_container(message, 'a', "s");
        while (r >= 0 && (r = sd_bus_message_read(message, "s", &text)) > 0) {
                total += strlen(text);
                r = total > OPTION_TOTAL_MAX ? -ERANGE : check_count(option, ++n);
                if (r >= 0)
                        r = check_string(option, text);
                if (r >= 0)
                        r = strv_append(&array, text);
        }
        if (r < 0)
                return r;
        strv_free(*ret);
        *ret = TAKE_PTR(array);
        return sd_bus_message_exit_container(message);
}

static int read_map(sd_bus_message *message, const Option *option, char ***ret)
{
        _cleanup_(strv_freep) char **map = strv_new();
        const char *key, *value;
        size_t n = 0, total = 0;
        int r;

        if (!map)
                return -ENOMEM;
        r = sd_bus_message_enter_container(message, 'a', "{ss}");
        while (r >= 0 && (r = sd_bus_message_read(message, "{ss}", &key, &value)) > 0) {
                total += strlen(key) + strlen(value);
                r = total > OPTION_TOTAL_MAX ? -ERANGE : check_count(option, ++n);
                if (r >= 0)
                        r = strv_map_get(map, key) ? -EINVAL : check_string(option, key);
                if (r >= 0)
                        r = strv_append(&map, key);
                if (r >= 0)
                        r = strv_append(&map, value);
        }
        if (r < 0)
                return r;
        strv_free(*ret);
        *ret = TAKE_PTR(map);
        return sd_bus_message_exit_container(message);
}

static int read_list(sd_bus_message *message, const Option *option, OptionList *ret)
{
        bool range = option->type == OPTION_RANGES;
        uint64_t first, second = 0;
        const char *name;
        int r;

        list_done(ret);
        r = sd_bus_message_enter_container(message, 'a', range ? "(stt)" : "(st)");
        while (r >= 0) {
                r = range ? sd_bus_message_read(message, "(stt)", &name, &first, &second)
                          : sd_bus_message_read(message, "(st)", &name, &first);
                if (r <= 0)
                        break;
                r = check_count(option, ret->n + 1);
                if (r >= 0)
                        r = check_string(option, name);
                if (r >= 0 && range && first > second)
                        r = -ERANGE;
                if (r >= 0)
                        r = list_append(ret, name, first, second);
        }
        return r < 0 ? r : sd_bus_message_exit_container(message);
}

static int read_scalar(sd_bus_message *message, const Option *option, void *at)
{
        union {
                int b;
                int32_t i;
                uint32_t u;
                uint64_t t;
        } value;
        int r = sd_bus_message_read_basic(message, option_signatures[option->type][0], &value);

        if (r < 0)
                return r;
        switch (option->type) {
        case OPTION_BOOL:
                *(bool *)at = value.b;
                return 0;
        case OPTION_I32:
                *(int32_t *)at = value.i;
                return check_signed(option, value.i);
        case OPTION_U32:
                *(uint32_t *)at = value.u;
                return check_number(option, value.u);
        case OPTION_U64:
                *(uint64_t *)at = value.t;
                return check_number(option, value.t);
        case OPTION_STRING:
        case OPTION_STRINGS:
        case OPTION_MAP:
        case OPTION_FD:
        case OPTION_NAMED:
        case OPTION_RANGES:
        case OPTION_TYPE_MAX:
                break;
        }
        return -EINVAL;
}

static int read_string(sd_bus_message *message, const Option *option, char **ret)
{
        const char *text;
        char *copy;
        int r = sd_bus_message_read(message, "s", &text);

        if (r >= 0)
                r = check_string(option, text);
        if (r < 0)
                return r;
        copy = strdup(text);
        if (!copy)
                return -ENOMEM;
        free(*ret);
        *ret = copy;
        return 0;
}

/* The message owns its fds: ours is a copy. */
static int read_fd(sd_bus_message *message, int *ret)
{
        int fd, r = sd_bus_message_read(message, "h", &fd);

        if (r < 0)
                return r;
        fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        if (fd < 0)
                return -errno;
        fd_close(*ret);
        *ret = fd;
        return 0;
}

static int read_value(sd_bus_message *message, const Option *option, void *target)
{
        void *at = member(option, target);

        switch (option->type) {
        case OPTION_BOOL:
        case OPTION_I32:
        case OPTION_U32:
        case OPTION_U64:
                return read_scalar(message, option, at);
        case OPTION_STRING:
                return read_string(message, option, at);
        case OPTION_STRINGS:
                return read_strings(message, option, at);
        case OPTION_MAP:
                return read_map(message, option, at);
        case OPTION_FD:
                return read_fd(message, at);
        case OPTION_NAMED:
        case OPTION_RANGES:
                return read_list(message, option, at);
        case OPTION_TYPE_MAX:
                break;
        }
        return -EINVAL;
}

static int explain(const Option *option, int r, sd_bus_error *error)
{
        if (r == -EINVAL)
                return error_set(error, r, ERROR_INVALID_ARGUMENT, "%s must be %s.", option->key,
                                 option->expected ?: "well formed");
        if (r != -ERANGE)
                return r;
        switch (option->type) {
        case OPTION_I32:
                return error_set(error, r, ERROR_INVALID_ARGUMENT,
                                 "%s is out of range: %" PRIi64 " to %" PRIi64 " is allowed.",
                                 option->key, (int64_t)option->min, (int64_t)option->max);
        case OPTION_U32:
        case OPTION_U64:
                return error_set(error, r, ERROR_INVALID_ARGUMENT,
                                 "%s is out of range: %" PRIu64 " to %" PRIu64 " is allowed.",
                                 option->key, option->min, option->max ?: UINT64_MAX);
        case OPTION_RANGES:
                return error_set(error, r, ERROR_INVALID_ARGUMENT,
                                 "%s has too many entries, or a soft limit above its hard limit.",
                                 option->key);
        case OPTION_BOOL:
        case OPTION_STRING:
        case OPTION_STRINGS:
        case OPTION_MAP:
        case OPTION_FD:
        case OPTION_NAMED:
        case OPTION_TYPE_MAX:
                break;
        }
        return error_set(error, r, ERROR_INVALID_ARGUMENT, "%s is too long.", option->key);
}

static int read_entry(sd_bus_message *message, const Option *option, void *target,
                      sd_bus_error *error)
{
        const char *signature = option_signatures[option->type], *contents;
        int r = sd_bus_message_peek_type(message, NULL, &contents);

        if (r < 0)
                return r;
        if (strcmp(contents, signature) != 0)
                return error_set(error, -EINVAL, ERROR_INVALID_ARGUMENT,
                                 "%s must be of type \"%s\", not \"%s\".", option->key, signature,
                                 contents);
        r = sd_bus_message_enter_container(message, 'v', signature);
        if (r >= 0)
                r = read_value(message, option, target);
        if (r < 0)
                return explain(option, r, error);
        return sd_bus_message_exit_container(message);
}

static const Option *option_find(const Option *table, size_t n, const char *key)
{
        for (size_t i = 0; i < n; i++)
                if (strcmp(table[i].key, key) == 0)
                        return &table[i];
        return NULL;
}

int options_read(sd_bus_message *message, const Option *table, size_t n, void *target,
                 sd_bus_error *error)
{
        uint64_t seen = 0;
        int r = sd_bus_message_enter_container(message, 'a', "{sv}");

        if (r < 0)
                return r;
        while ((r = sd_bus_message_enter_container(message, 'e', "sv")) > 0) {
                const Option *option;
                const char *key;

                r = sd_bus_message_read(message, "s", &key);
                if (r < 0)
                        return r;
                option = option_find(table, n, key);
                if (!option)
                        return error_set(error, -EINVAL, ERROR_UNKNOWN_OPTION,
                                         "There is no option \"%s\" here; the interface's "
                                         "description lists them.",
                                         key);
                if (seen & (1ULL << (option - table)))
                        return error_set(error, -EINVAL, ERROR_INVALID_ARGUMENT,
                                         "%s is given twice.", key);
                seen |= 1ULL << (option - table);
                r = read_entry(message, option, target, error);
                if (r >= 0)
                        r = sd_bus_message_exit_container(message);
                if (r < 0)
                        return r;
        }
        if (r >= 0)
                r = sd_bus_message_exit_container(message);
        return r < 0 ? r : 0;
}

/* ------------------------------------------------------------------ merging */

static int merge_list(OptionList *target, OptionList *source)
{
        int r = 0;

        for (size_t i = 0; r >= 0 && i < source->n; i++)
                r = option_list_set(target, source->items[i].name, source->items[i].values[0]);
        list_done(source);
        return r;
}

/* Pointers and numbers alike: what is given replaces what there was, and the source has it no more. */
static int option_merge(const Option *option, void *target, void *source)
{
        void *into = member(option, target), *from = member(option, source);

        switch (option->type) {
        case OPTION_BOOL:
                *(bool *)into |= *(bool *)from;
                return 0;
        case OPTION_I32:
        case OPTION_U32:
                *(uint32_t *)into = *(uint32_t *)from ?: *(uint32_t *)into;
                return 0;
        case OPTION_U64:
                *(uint64_t *)into = *(uint64_t *)from ?: *(uint64_t *)into;
                return 0;
        case OPTION_STRING:
        case OPTION_STRINGS:
        case OPTION_MAP:
                if (*(void **)from) {
                        option_done(option, target);
                        *(void **)into = TAKE_PTR(*(void **)from);
                }
                return 0;
        case OPTION_NAMED:
                return merge_list(into, from);
        case OPTION_RANGES:
                if (((OptionList *)from)->n > 0) {
                        option_done(option, target);
                        *(OptionList *)into = *(OptionList *)from;
                        *(OptionList *)from = (OptionList){};
                }
                return 0;
        case OPTION_FD:
                if (*(int *)from >= 0) {
                        option_done(option, target);
                        *(int *)into = TAKE_FD(*(int *)from);
                }
                return 0;
        case OPTION_TYPE_MAX:
                break;
        }
        return 0;
}

int options_merge(const Option *table, size_t n, void *target, void *source)
{
        int r = 0;

        for (size_t i = 0; r >= 0 && i < n; i++)
                r = option_merge(&table[i], target, source);
        return r;
}

void options_tidy(const Option *table, size_t n, void *target)
{
        for (size_t i = 0; i < n; i++) {
                void *at = member(&table[i], target);

                if (table[i].type == OPTION_U64 && *(uint64_t *)at == UINT64_MAX)
                        *(uint64_t *)at = 0;
                else if (table[i].type == OPTION_NAMED)
                        option_list_drop(at, UINT64_MAX);
                else if (table[i].type == OPTION_STRING && *(char **)at && !**(char **)at)
                        option_done(&table[i], target);
        }
}
