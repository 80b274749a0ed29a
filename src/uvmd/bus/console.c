/* The guest's console as text; see console.h. The bytes are the guest's. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "uvmd/bus/console.h"
#include "uvmd/errors.h"

static const char replacement[] = "\xef\xbf\xbd"; /* U+FFFD */

/* The bytes of the UTF-8 character at @at (RFC 3629: shortest form, no surrogates), 0: it is none. */
static size_t utf8_size(const uint8_t *at, size_t left)
{
        static const struct {
                uint8_t mask, value, size;
                uint32_t min;
        } forms[] = {{0x80, 0x00, 1, 0x01},
                     {0xe0, 0xc0, 2, 0x80},
                     {0xf0, 0xe0, 3, 0x800},
                     {0xf8, 0xf0, 4, 0x10000}};

        for (size_t i = 0; i < ELEMENTSOF(forms); i++) {
                uint32_t point = at[0] & (uint8_t)~forms[i].mask;

                if ((at[0] & forms[i].mask) != forms[i].value)
                        continue;
                if (forms[i].size > left)
                        return 0;
                for (size_t n = 1; n < forms[i].size; n++) {
                        if ((at[n] & 0xc0) != 0x80)
                                return 0;
                        point = point << 6 | (at[n] & 0x3f);
                }
                if (point < forms[i].min || point > 0x10ffff || (point >= 0xd800 && point < 0xe000))
                        return 0;
                return forms[i].size;
        }
        return 0;
}

char *console_to_text(const void *data, size_t size)
{
        const uint8_t *at = data, *end = at + size;
        char *text, *to;

        text = to = malloc(size * 3 + 1); /* every byte may become a replacement */
        if (!text)
                return NULL;
        while (at < end) {
                size_t n = utf8_size(at, (size_t)(end - at));

                memcpy(to, n ? (const char *)at : replacement, n ?: sizeof(replacement) - 1);
                to += n ?: sizeof(replacement) - 1;
                at += n ?: 1;
        }
        *to = 0;
        return text;
}

static void console_on_reply(void *userdata, int r, const ShimReply *reply)
{
        sd_bus_message *call = userdata;
        _cleanup_(freep) char *text = NULL;

        if (r >= 0) {
                text = console_to_text(reply->payload, reply->payload_size);
                r = text ? 0 : -ENOMEM;
        }
        if (r < 0)
                error_reply(call, r, NULL);
        else
                sd_bus_reply_method_return(call, "s", text);
        sd_bus_message_unref(call);
}

int bus_get_console(Sandbox *sandbox, sd_bus_message *call, sd_bus_error *error)
{
        ShimMessage message = {.type = SHIM_GET_CONSOLE};
        int r;

        if (!sandbox->link)
                return error_set(error, -ESRCH, ERROR_WRONG_STATE,
                                 "The sandbox is %s: there is no console. ReasonText has the last "
                                 "lines of a failed one.",
                                 sandbox_state_to_string(sandbox->state));
        r = shim_link_request(sandbox->link, &message, NULL, 0, console_on_reply, call);
        if (r >= 0)
                sd_bus_message_ref(call);
        return r;
}
