/* What went wrong; see fault.h. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "agent/fault.h"

static void fault_fill(Fault *fault, int r, uint8_t exit_code, const char *format,
                       va_list arguments)
{
        fault->error = r;
        fault->exit_code = exit_code;
        vsnprintf(fault->text, sizeof(fault->text), format, arguments);
}

int fault_set(Fault *fault, int r, const char *format, ...)
{
        va_list arguments;
        size_t length;

        va_start(arguments, format);
        fault_fill(fault, r, FAULT_EXIT_SETUP, format, arguments);
        va_end(arguments);
        length = strlen(fault->text);
        snprintf(fault->text + length, sizeof(fault->text) - length, ": %s", strerror(-r));
        return r;
}

int fault_set_exit(Fault *fault, int r, uint8_t exit_code, const char *format, ...)
{
        va_list arguments;

        va_start(arguments, format);
        fault_fill(fault, r, exit_code, format, arguments);
        va_end(arguments);
        return r;
}
