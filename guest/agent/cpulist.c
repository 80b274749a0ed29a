/* Lists of CPUs; see cpulist.h. */
#include <ctype.h>
#include <stdbool.h>

#include "agent/cpulist.h"

#define CPU_MAX 65535

/* Digits at *@at, which moves behind them. */
static bool take_number(const char **at, uint32_t *ret)
{
        uint32_t value = 0;

        if (!isdigit((unsigned char)**at))
                return false;
        while (isdigit((unsigned char)**at)) {
                value = value * 10 + (uint32_t)(**at - '0');
                if (value > CPU_MAX)
                        return false;
                (*at)++;
        }
        *ret = value;
        return true;
}

uint32_t cpulist_count(const char *text)
{
        uint32_t first, last, count = 0;

        for (;;) {
                if (!take_number(&text, &first))
                        return 0;
                last = first;
                if (*text == '-' && (text++, !take_number(&text, &last) || last < first))
                        return 0;
                count += last - first + 1;
                if (*text != ',')
                        break;
                text++;
        }
        return *text == '\0' || *text == '\n' ? count : 0;
}
