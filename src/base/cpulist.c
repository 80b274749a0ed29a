/* Lists of CPUs; see cpulist.h. */
#include <errno.h>

#include "base/cpulist.h"

/* Reads a number and goes on behind it. 0 or -EINVAL. */
static int read_number(const char **text, uint32_t max, uint32_t *ret)
{
        uint32_t value = 0;
        const char *at = *text;

        for (; *at >= '0' && *at <= '9'; at++) {
                if (value > max / 10)
                        return -EINVAL;
                value = value * 10 + (uint32_t)(*at - '0');
                if (value >= max)
                        return -EINVAL;
        }
        if (at == *text)
                return -EINVAL;
        *text = at;
        *ret = value;
        return 0;
}

int cpulist_read_range(const char **text, uint32_t max, uint32_t *ret_first, uint32_t *ret_last)
{
        int r = read_number(text, max, ret_first);

        if (r < 0)
                return r;
        *ret_last = *ret_first;
        if (**text == '-') {
                (*text)++;
                r = read_number(text, max, ret_last);
                if (r < 0 || *ret_last < *ret_first)
                        return -EINVAL;
        }
        if (**text != ',')
                return 0;
        (*text)++;
        return 1;
}
