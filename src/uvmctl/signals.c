/* Signals by name; see signals.h. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/parse.h"
#include "uvmctl/signals.h"

int signal_parse(const char *text)
{
        uint64_t number;

        if (parse_u64(text, 1, (uint64_t)SIGRTMAX, &number) == 0)
                return (int)number;
        if (strncasecmp(text, "SIG", 3) == 0)
                text += 3;
        if (strncasecmp(text, "RTMIN", 5) == 0) {
                if (!text[5])
                        return SIGRTMIN;
                if (text[5] == '+' &&
                    parse_u64(text + 6, 0, (uint64_t)(SIGRTMAX - SIGRTMIN), &number) == 0)
                        return SIGRTMIN + (int)number;
                return -EINVAL;
        }
        for (int i = 1; i < SIGRTMIN; i++) {
                const char *name = sigabbrev_np(i);

                if (name && strcasecmp(name, text) == 0)
                        return i;
        }
        return -EINVAL;
}
