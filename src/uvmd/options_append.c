/* Values of option tables as a{sv}; see options.h. */
#include <errno.h>

#include "uvmd/options.h"

static int append_strings(sd_bus_message *message, const char *contents, char *const *array)
{
        int r = sd_bus_message_open_container(message, 'a', contents);

        while (r >= 0 && *array) {
                if (contents[0] == '{') {
                        r = sd_bus_message_append(message, "{ss}", array[0], array[1]);
                        array += 2;
                } else {
                        r = sd_bus_message_append(message, "s", *array++);
                }
        }
        return r < 0 ? r : sd_bus_message_close_container(message);
}

static int append_list(sd_bus_message *message, bool range, const OptionList *list)
{
        int r = sd_bus_message_open_container(message, 'a', range ? "(stt)" : "(st)");

        for (size_t i = 0; r >= 0 && i < list->n; i++) {
                const OptionListItem *item = &list->items[i];

                r = range ? sd_bus_message_append(message, "(stt)", item->name, item->values[0],
                                                  item->values[1])
                          : sd_bus_message_append(message, "(st)", item->name, item->values[0]);
        }
        return r < 0 ? r : sd_bus_message_close_container(message);
}

static int append_value(sd_bus_message *message, const Option *option, const void *at)
{
        switch (option->type) {
        case OPTION_BOOL:
                return sd_bus_message_append(message, "b", *(const bool *)at);
        case OPTION_I32:
        case OPTION_U32:
                return sd_bus_message_append_basic(message, option_signatures[option->type][0], at);
        case OPTION_U64:
                return sd_bus_message_append(message, "t", *(const uint64_t *)at);
        case OPTION_STRING:
                return sd_bus_message_append(message, "s", *(char *const *)at);
        case OPTION_STRINGS:
        case OPTION_MAP:
                return append_strings(message, option_signatures[option->type] + 1,
                                      *(char **const *)at);
        case OPTION_NAMED:
        case OPTION_RANGES:
                return append_list(message, option->type == OPTION_RANGES, at);
        case OPTION_FD:
        case OPTION_TYPE_MAX:
                break;
        }
        return -EINVAL;
}

static bool is_given(const Option *option, const void *at)
{
        switch (option->type) {
        case OPTION_BOOL:
                return *(const bool *)at;
        case OPTION_I32:
        case OPTION_U32:
                return *(const uint32_t *)at;
        case OPTION_U64:
                return *(const uint64_t *)at;
        case OPTION_STRING:
        case OPTION_STRINGS:
        case OPTION_MAP:
                return *(void *const *)at;
        case OPTION_NAMED:
        case OPTION_RANGES:
                return ((const OptionList *)at)->n > 0;
        case OPTION_FD:
        case OPTION_TYPE_MAX:
                break;
        }
        return false;
}

int options_append(sd_bus_message *message, const Option *table, size_t n, const void *source)
{
        int r = 0;

        for (size_t i = 0; r >= 0 && i < n; i++) {
                const void *at = (const char *)source + table[i].offset;

                if (!is_given(&table[i], at))
                        continue;
                r = sd_bus_message_open_container(message, 'e', "sv");
                if (r >= 0)
                        r = sd_bus_message_append(message, "s", table[i].key);
                if (r >= 0)
                        r = sd_bus_message_open_container(message, 'v',
                                                          option_signatures[table[i].type]);
                if (r >= 0)
                        r = append_value(message, &table[i], at);
                if (r >= 0)
                        r = sd_bus_message_close_container(message);
                if (r >= 0)
                        r = sd_bus_message_close_container(message);
        }
        return r;
}
