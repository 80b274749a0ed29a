/* Limits of network devices; see throttle_arg.h. */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "client/throttle_arg.h"
#include "client/wrong.h"

static const struct {
        const char *name;
        bool is_size;
        size_t offset;
} limits[] = {
        {"bps", true, offsetof(ThrottleArgLimits, bytes)},
        {"bps-burst", true, offsetof(ThrottleArgLimits, bytes_burst)},
        {"pps", false, offsetof(ThrottleArgLimits, packets)},
        {"pps-burst", false, offsetof(ThrottleArgLimits, packets_burst)},
};

static int read_value(bool is_size, const char *text, uint64_t *ret)
{
        int r = is_size ? parse_bytes(text, ret) : parse_u64(text, 1, INT64_MAX, ret);

        return r >= 0 && *ret > 0 && *ret <= INT64_MAX ? 0 : -EINVAL;
}

/* @value NULL: "none". */
static int set(ThrottleArgLimits *to, const char *name, const char *value)
{
        if (!value) {
                *to = (ThrottleArgLimits){.given = true};
                return strcmp(name, "none") == 0 ? 0 : -EINVAL;
        }
        for (size_t i = 0; i < ELEMENTSOF(limits); i++) {
                if (strcmp(limits[i].name, name) != 0)
                        continue;
                to->given = true;
                return read_value(limits[i].is_size, value,
                                  (uint64_t *)((char *)to + limits[i].offset));
        }
        return -EINVAL;
}

static int take_item(ThrottleArg *arg, char *item, char **ret_error)
{
        char *value = strchr(item, '=');
        bool transmit = strncmp(item, "rx-", 3) != 0, receive = strncmp(item, "tx-", 3) != 0;
        const char *name = item + (transmit && receive ? 0 : 3);
        int r = 0;

        if (value)
                *value++ = 0;
        if (transmit)
                r = set(&arg->transmit, name, value);
        if (r >= 0 && receive)
                r = set(&arg->receive, name, value);
        if (r < 0)
                return wrong(ret_error,
                             "\"%s%s%s\" is no limit: they are bps=SIZE, pps=N, bps-burst=SIZE, "
                             "pps-burst=N, with tx- or rx- in front for one direction, or none",
                             item, value ? "=" : "", value ? value : "");
        return 0;
}

static int take_list(ThrottleArg *arg, char *list, char **ret_error)
{
        int r = 0;

        for (char *next = list, *item; r >= 0 && (item = strsep(&next, ","));)
                r = take_item(arg, item, ret_error);
        return r;
}

int throttle_arg_parse(ThrottleArg *arg, const char *text, char **ret_error)
{
        char *colon;

        *ret_error = NULL;
        *arg = (ThrottleArg){.text = strdup(text)};
        if (!arg->text)
                return -ENOMEM;
        colon = strrchr(arg->text, ':');
        if (!colon || colon == arg->text)
                return wrong(ret_error, "\"%s\" is not of the form INTERFACE:bps=SIZE,pps=N", text);
        *colon++ = 0;
        arg->interface = arg->text;
        return take_list(arg, colon, ret_error);
}

int throttle_arg_parse_limits(ThrottleArg *arg, const char *text, char **ret_error)
{
        *ret_error = NULL;
        *arg = (ThrottleArg){.text = strdup(text)};
        return arg->text ? take_list(arg, arg->text, ret_error) : -ENOMEM;
}

void throttle_arg_done(ThrottleArg *arg)
{
        free(arg->text);
        *arg = (ThrottleArg){};
}
