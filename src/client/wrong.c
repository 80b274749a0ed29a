/* What is wrong with an argument; see wrong.h. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "client/wrong.h"

int wrong(char **ret_error, const char *format, ...)
{
        va_list arguments;
        int n;

        va_start(arguments, format);
        n = vasprintf(ret_error, format, arguments);
        va_end(arguments);
        if (n >= 0)
                return -EINVAL;
        *ret_error = NULL;
        return -ENOMEM;
}
