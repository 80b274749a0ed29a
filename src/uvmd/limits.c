/* Limits of scopes as tables and as properties of units; see limits.h. What systemd sends is trusted. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "uvmd/errors.h"
#include "uvmd/limits.h"

const Option limits_options[] = {UNIT_LIMIT_OPTIONS(UnitLimits, )};
const size_t limits_options_n = ELEMENTSOF(limits_options);

bool limits_is_device(const char *path)
{
        return path[0] == '/';
}

void limits_done(UnitLimits *limits)
{
        options_done(limits_options, limits_options_n, limits);
}

int limits_check(const UnitLimits *limits, sd_bus_error *error)
{
        if (limits->memory_max && limits->memory_high != UINT64_MAX &&
            limits->memory_high > limits->memory_max)
                return error_set(error, -EINVAL, ERROR_INVALID_ARGUMENT,
                                 "MemoryHigh must not be above MemoryMax.");
        return 0;
}

/* ------------------------------------------------------------------ to systemd */

static int append_devices(sd_bus_message *message, const OptionList *list)
{
        int r = sd_bus_message_open_container(message, 'v', "a(st)");

        if (r >= 0)
                r = sd_bus_message_open_container(message, 'a', "(st)");
        for (size_t i = 0; r >= 0 && i < list->n; i++)
                r = sd_bus_message_append(message, "(st)", list->items[i].name,
                                          list->items[i].values[0]);
        for (unsigned depth = 0; r >= 0 && depth < 2; depth++)
                r = sd_bus_message_close_container(message);
        return r;
}

static int append_cpus(sd_bus_message *message, const char *list)
{
        uint8_t mask[CPULIST_MASK_SIZE];
        size_t size = 0;
        int r = list[0] ? cpulist_parse(list, mask, &size) : 0;

        if (r >= 0)
                r = sd_bus_message_open_container(message, 'v', "ay");
        if (r >= 0)
                r = sd_bus_message_append_array(message, 'y', mask, size);
        return r < 0 ? r : sd_bus_message_close_container(message);
}

static const void *member(const Option *option, const UnitLimits *limits)
{
        return (const char *)limits + option->offset;
}

static bool is_given(const Option *option, const UnitLimits *limits)
{
        const void *at = member(option, limits);

        if (option->type == OPTION_NAMED)
                return ((const OptionList *)at)->n > 0;
        if (option->type == OPTION_STRING)
                return *(char *const *)at;
        return *(const uint64_t *)at;
}

/* What is protected is the other way round: none of it is 0. */
static uint64_t unit_value(const Option *option, uint64_t value)
{
        bool protects = option->offset == offsetof(UnitLimits, memory_low) ||
                        option->offset == offsetof(UnitLimits, memory_min);

        return protects && value == UINT64_MAX ? 0 : value;
}

static int append_value(sd_bus_message *message, const Option *option, const UnitLimits *limits)
{
        const void *at = member(option, limits);

        if (option->type == OPTION_NAMED)
                return append_devices(message, at);
        if (option->type == OPTION_STRING)
                return append_cpus(message, *(char *const *)at);
        return sd_bus_message_append(message, "v", "t", unit_value(option, *(const uint64_t *)at));
}

int limits_append_unit(sd_bus_message *message, const UnitLimits *limits)
{
        int r = 0;

        for (size_t i = 0; r >= 0 && i < limits_options_n; i++) {
                if (!is_given(&limits_options[i], limits))
                        continue;
                r = sd_bus_message_open_container(message, 'r', "sv");
                if (r >= 0)
                        r = sd_bus_message_append(message, "s", limits_options[i].key);
                if (r >= 0)
                        r = append_value(message, &limits_options[i], limits);
                if (r >= 0)
                        r = sd_bus_message_close_container(message);
        }
        return r;
}

/* ------------------------------------------------------------------ from systemd */

static int read_devices(sd_bus_message *message, OptionList *list)
{
        const char *path;
        uint64_t value;
        int r = sd_bus_message_enter_container(message, 'v', "a(st)");

        if (r >= 0)
                r = sd_bus_message_enter_container(message, 'a', "(st)");
        while (r >= 0 && (r = sd_bus_message_read(message, "(st)", &path, &value)) > 0)
                r = option_list_set(list, path, value);
        for (unsigned depth = 0; r >= 0 && depth < 2; depth++)
                r = sd_bus_message_exit_container(message);
        return r;
}

static int read_cpus(sd_bus_message *message, char **ret)
{
        char text[CPULIST_TEXT_MAX];
        const void *mask;
        size_t size;
        int r = sd_bus_message_enter_container(message, 'v', "ay");

        if (r >= 0)
                r = sd_bus_message_read_array(message, 'y', &mask, &size);
        if (r >= 0)
                r = sd_bus_message_exit_container(message);
        if (r < 0)
                return r;
        cpulist_format(mask, size, text);
        free(*ret);
        *ret = strdup(text);
        return *ret ? 0 : -ENOMEM;
}

int limits_read_unit(sd_bus_message *message, const char *name, UnitLimits *limits)
{
        for (size_t i = 0; i < limits_options_n; i++) {
                void *at = (char *)limits + limits_options[i].offset;
                int r;

                if (strcmp(limits_options[i].key, name) != 0)
                        continue;
                if (limits_options[i].type == OPTION_NAMED)
                        r = read_devices(message, at);
                else if (limits_options[i].type == OPTION_STRING)
                        r = read_cpus(message, at);
                else
                        r = sd_bus_message_read(message, "v", "t", (uint64_t *)at);
                return r < 0 ? r : 1;
        }
        return 0;
}
