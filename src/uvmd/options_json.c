/*
 * The JSON side of the option tables; see options.h. Records are ours, but a file on disk may be cut
 * or edited: types and ranges are checked as on the bus.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "uvmd/options.h"
#include "uvmd/strv.h"

static const void *member(const Option *option, const void *source)
{
        return (const char *)source + option->offset;
}

static json_object *strings_to_json(char *const *array)
{
        json_object *json = json_object_new_array();

        for (; json && array && *array; array++)
                json_object_array_add(json, json_object_new_string(*array));
        return json;
}

static json_object *map_to_json(char *const *map)
{
        json_object *json = json_object_new_object();

        for (; json && map && map[0]; map += 2)
                json_object_object_add(json, map[0], json_object_new_string(map[1]));
        return json;
}

static json_object *list_to_json(const OptionList *list)
{
        json_object *json = json_object_new_array();

        for (size_t i = 0; json && i < list->n; i++) {
                json_object *item = json_object_new_array_ext(3);

                json_object_array_add(item, json_object_new_string(list->items[i].name));
                json_object_array_add(item, json_object_new_uint64(list->items[i].values[0]));
                json_object_array_add(item, json_object_new_uint64(list->items[i].values[1]));
                json_object_array_add(json, item);
        }
        return json;
}

/* NULL: nothing given, or out of memory; both are left out. */
static json_object *value_to_json(const Option *option, const void *source)
{
        const void *at = member(option, source);

        switch (option->type) {
        case OPTION_BOOL:
                return *(const bool *)at != option->is_on ? json_object_new_boolean(!option->is_on)
                                                          : NULL;
        case OPTION_I32:
                return *(const int32_t *)at ? json_object_new_int64(*(const int32_t *)at) : NULL;
        case OPTION_U32:
                return *(const uint32_t *)at ? json_object_new_uint64(*(const uint32_t *)at) : NULL;
        case OPTION_U64:
                return *(const uint64_t *)at ? json_object_new_uint64(*(const uint64_t *)at) : NULL;
        case OPTION_STRING:
                return *(char *const *)at ? json_object_new_string(*(char *const *)at) : NULL;
        case OPTION_MAP:
                return *(char **const *)at ? map_to_json(*(char **const *)at) : NULL;
        case OPTION_STRINGS:
                return *(char **const *)at ? strings_to_json(*(char **const *)at) : NULL;
        case OPTION_NAMED:
        case OPTION_RANGES:
                return ((const OptionList *)at)->n ? list_to_json(at) : NULL;
        case OPTION_FD:
        case OPTION_TYPE_MAX:
                break;
        }
        return NULL;
}

json_object *options_to_json(const Option *table, size_t n, const void *source)
{
        json_object *json = json_object_new_object();

        for (size_t i = 0; json && i < n; i++) {
                json_object *value = value_to_json(&table[i], source);

                if (value)
                        json_object_object_add(json, table[i].key, value);
        }
        return json;
}

static int number_from_json(const Option *option, json_object *json, uint64_t *ret)
{
        uint64_t value, max = option->max ?: option->type == OPTION_U32 ? UINT32_MAX : UINT64_MAX;

        if (!json_object_is_type(json, json_type_int))
                return -EBADMSG;
        value = json_object_get_uint64(json);
        if ((value < option->min || value > max) && !(option->unlimited && value == UINT64_MAX))
                return -EBADMSG;
        *ret = value;
        return 0;
}

static int string_from_json(json_object *json, char **ret)
{
        char *copy;

        if (!json_object_is_type(json, json_type_string))
                return -EBADMSG;
        if (strlen(json_object_get_string(json)) != (size_t)json_object_get_string_len(json))
                return -EBADMSG;
        copy = strdup(json_object_get_string(json));
        if (!copy)
                return -ENOMEM;
        free(*ret);
        *ret = copy;
        return 0;
}

static int strings_from_json(json_object *json, char ***ret)
{
        _cleanup_(strv_freep) char **array = strv_new();

        if (!array)
                return -ENOMEM;
        if (!json_object_is_type(json, json_type_array))
                return -EBADMSG;
        for (size_t i = 0; i < json_object_array_length(json); i++) {
                _cleanup_(freep) char *text = NULL;
                int r = string_from_json(json_object_array_get_idx(json, i), &text);

                if (r >= 0)
                        r = strv_append_take(&array, TAKE_PTR(text));
                if (r < 0)
                        return r;
        }
        strv_free(*ret);
        *ret = TAKE_PTR(array);
        return 0;
}

static int map_from_json(json_object *json, char ***ret)
{
        _cleanup_(strv_freep) char **map = strv_new();

        if (!map)
                return -ENOMEM;
        if (!json_object_is_type(json, json_type_object))
                return -EBADMSG;
        json_object_object_foreach (json, key, item) {
                _cleanup_(freep) char *text = NULL;
                int r = string_from_json(item, &text);

                if (r >= 0)
                        r = strv_append(&map, key);
                if (r >= 0)
                        r = strv_append_take(&map, TAKE_PTR(text));
                if (r < 0)
                        return r;
        }
        strv_free(*ret);
        *ret = TAKE_PTR(map);
        return 0;
}

static int list_from_json(json_object *json, OptionList *ret)
{
        size_t n;

        if (!json_object_is_type(json, json_type_array))
                return -EBADMSG;
        n = json_object_array_length(json);
        if (n == 0 || n > OPTION_ITEMS_MAX || ret->items)
                return -EBADMSG;
        ret->items = calloc(n, sizeof(*ret->items));
        if (!ret->items)
                return -ENOMEM;
        for (; ret->n < n; ret->n++) {
                json_object *item = json_object_array_get_idx(json, ret->n);
                int r;

                if (!json_object_is_type(item, json_type_array) ||
                    json_object_array_length(item) != 3)
                        return -EBADMSG;
                r = string_from_json(json_object_array_get_idx(item, 0), &ret->items[ret->n].name);
                if (r < 0)
                        return r;
                for (unsigned i = 0; i < 2; i++)
                        ret->items[ret->n].values[i] = json_object_get_uint64(
                                json_object_array_get_idx(item, i + 1));
        }
        return 0;
}

static int value_from_json(const Option *option, void *target, json_object *json)
{
        void *at = (char *)target + option->offset;
        uint64_t number = 0;
        int r;

        switch (option->type) {
        case OPTION_BOOL:
                *(bool *)at = json_object_get_boolean(json);
                return 0;
        case OPTION_I32:
                *(int32_t *)at = json_object_get_int(json);
                return 0;
        case OPTION_U32:
                r = number_from_json(option, json, &number);
                if (r >= 0)
                        *(uint32_t *)at = (uint32_t)number;
                return r;
        case OPTION_U64:
                return number_from_json(option, json, at);
        case OPTION_STRING:
                return string_from_json(json, at);
        case OPTION_STRINGS:
                return strings_from_json(json, at);
        case OPTION_MAP:
                return map_from_json(json, at);
        case OPTION_NAMED:
        case OPTION_RANGES:
                return list_from_json(json, at);
        case OPTION_FD:
        case OPTION_TYPE_MAX:
                break;
        }
        return -EBADMSG;
}

int options_from_json(const Option *table, size_t n, void *target, json_object *json)
{
        if (!json_object_is_type(json, json_type_object))
                return -EBADMSG;
        for (size_t i = 0; i < n; i++) {
                json_object *value;
                int r;

                if (!json_object_object_get_ex(json, table[i].key, &value))
                        continue;
                r = value_from_json(&table[i], target, value);
                if (r < 0)
                        return r;
        }
        return 0;
}
