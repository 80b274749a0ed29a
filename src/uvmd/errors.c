/* Named errors; see errors.h. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "uvmd/bus/console.h"
#include "uvmd/errors.h"

int error_set(sd_bus_error *error, int r, const char *name, const char *format, ...)
{
        _cleanup_(freep) char *text = NULL, *clean = NULL;
        va_list arguments;
        int n;

        if (!error || sd_bus_error_is_set(error))
                return r;
        va_start(arguments, format);
        n = vasprintf(&text, format, arguments);
        va_end(arguments);
        if (n < 0) {
                text = NULL;
                return -ENOMEM;
        }
        /* The guest's own words may be in it, and a text that is no UTF-8 could not be sent. */
        clean = console_to_text(text, (size_t)n);
        if (!clean)
                return -ENOMEM;
        sd_bus_error_set(error, name, clean);
        return r;
}

void error_reply(sd_bus_message *call, int r, const sd_bus_error *error)
{
        int sent;

        if (sd_bus_error_is_set(error))
                sent = sd_bus_reply_method_error(call, error);
        else
                sent = sd_bus_reply_method_errorf(call, ERROR_FAILED, "%s failed: %s",
                                                  sd_bus_message_get_member(call), strerror(-r));
        /* The caller may have gone meanwhile: nobody is left to tell. */
        if (sent < 0 && sent != -ENOTCONN && sent != -ECONNRESET)
                log_warning_errno(sent, "Can't answer a call of %s",
                                  sd_bus_message_get_member(call));
}
