/* Bus values as JSON; see json.h. What uvmd sends is well-typed: sd-bus checked it. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "client/bus.h"
#include "client/json.h"

static int json_read_value(sd_bus_message *message, json_object **ret);

/* An unsigned 64-bit number above JSON's signed range becomes the largest that fits. */
static json_object *json_from_u64(uint64_t value)
{
        return json_object_new_uint64(value);
}

static int json_read_basic(sd_bus_message *message, char type, json_object **ret)
{
        union {
                uint8_t y;
                int b;
                int16_t n;
                uint16_t q;
                int32_t i;
                uint32_t u;
                int64_t x;
                uint64_t t;
                double d;
                const char *s;
        } value;
        int r = sd_bus_message_read_basic(message, type, &value);

        if (r < 0)
                return r;
        switch (type) {
        case SD_BUS_TYPE_BYTE:
                *ret = json_object_new_int(value.y);
                return 0;
        case SD_BUS_TYPE_BOOLEAN:
                *ret = json_object_new_boolean(value.b);
                return 0;
        case SD_BUS_TYPE_INT16:
                *ret = json_object_new_int(value.n);
                return 0;
        case SD_BUS_TYPE_UINT16:
                *ret = json_object_new_int(value.q);
                return 0;
        case SD_BUS_TYPE_INT32:
                *ret = json_object_new_int(value.i);
                return 0;
        case SD_BUS_TYPE_UINT32:
                *ret = json_object_new_int64(value.u);
                return 0;
        case SD_BUS_TYPE_INT64:
                *ret = json_object_new_int64(value.x);
                return 0;
        case SD_BUS_TYPE_UINT64:
                *ret = json_from_u64(value.t);
                return 0;
        case SD_BUS_TYPE_DOUBLE:
                *ret = json_object_new_double(value.d);
                return 0;
        case SD_BUS_TYPE_STRING:
        case SD_BUS_TYPE_OBJECT_PATH:
        case SD_BUS_TYPE_SIGNATURE:
                *ret = json_object_new_string(value.s);
                return 0;
        default:
                *ret = NULL;
                return 0;
        }
}

static int json_read_members(sd_bus_message *message, json_object *array)
{
        while (sd_bus_message_at_end(message, false) == 0) {
                json_object *member = NULL;
                int r = json_read_value(message, &member);

                if (r < 0)
                        return r;
                json_object_array_add(array, member);
        }
        return 0;
}

static int json_read_entries(sd_bus_message *message, json_object *object)
{
        const char *contents;
        char type;
        int r;

        while ((r = sd_bus_message_peek_type(message, &type, &contents)) > 0) {
                _cleanup_(json_object_putp) json_object *key = NULL;
                json_object *value = NULL;

                r = sd_bus_message_enter_container(message, SD_BUS_TYPE_DICT_ENTRY, contents);
                if (r >= 0)
                        r = json_read_value(message, &key);
                if (r >= 0)
                        r = json_read_value(message, &value);
                if (r < 0)
                        return r;
                json_object_object_add(object, json_object_get_string(key), value);
                r = sd_bus_message_exit_container(message);
                if (r < 0)
                        return r;
        }
        return r;
}

static int json_read_container(sd_bus_message *message, char type, const char *contents,
                               json_object **ret)
{
        _cleanup_(json_object_putp) json_object *object = NULL;
        int r = sd_bus_message_enter_container(message, type, contents);

        if (r < 0)
                return r;
        if (type == SD_BUS_TYPE_VARIANT) {
                r = json_read_value(message, &object);
        } else if (type == SD_BUS_TYPE_ARRAY && contents[0] == '{') {
                object = json_object_new_object();
                r = json_read_entries(message, object);
        } else {
                object = json_object_new_array();
                r = json_read_members(message, object);
        }
        if (r >= 0)
                r = sd_bus_message_exit_container(message);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(object);
        return 0;
}

static int json_read_value(sd_bus_message *message, json_object **ret)
{
        const char *contents;
        char type;
        int r = sd_bus_message_peek_type(message, &type, &contents);

        if (r <= 0)
                return r < 0 ? r : -ENODATA;
        if (contents)
                return json_read_container(message, type, contents, ret);
        return json_read_basic(message, type, ret);
}

json_object *client_json_read(sd_bus_message *message)
{
        json_object *object = NULL;
        int r = json_read_value(message, &object);

        if (r < 0) {
                client_fail_errno(r, "uvmd's answer can't be read");
                return NULL;
        }
        return object;
}

const char *client_json_string(json_object *object, const char *key)
{
        json_object *member;

        if (!json_object_object_get_ex(object, key, &member) || !member)
                return "";
        return json_object_get_string(member);
}

int64_t client_json_int(json_object *object, const char *key)
{
        json_object *member;

        if (!json_object_object_get_ex(object, key, &member))
                return 0;
        return json_object_get_int64(member);
}

bool client_json_bool(json_object *object, const char *key)
{
        json_object *member;

        return json_object_object_get_ex(object, key, &member) && json_object_get_boolean(member);
}

void client_json_print(json_object *object)
{
        puts(json_object_to_json_string_ext(object, JSON_C_TO_STRING_PRETTY |
                                                            JSON_C_TO_STRING_SPACED |
                                                            JSON_C_TO_STRING_NOSLASHESCAPE));
}
