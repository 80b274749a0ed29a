/* Lists of CPUs; see cpulist.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cpulist.h"
#include "uvmd/cpulist.h"

int cpulist_parse(const char *text, uint8_t mask[CPULIST_MASK_SIZE], size_t *ret_size)
{
        size_t size = 0;
        int r;

        memset(mask, 0, CPULIST_MASK_SIZE);
        do {
                uint32_t first, last;

                r = cpulist_read_range(&text, CPULIST_MAX, &first, &last);
                if (r < 0)
                        return r;
                for (uint32_t n = first; n <= last; n++)
                        mask[n / 8] |= (uint8_t)(1U << n % 8);
                if (last / 8 + 1 > size)
                        size = last / 8 + 1;
        } while (r > 0);
        if (*text)
                return -EINVAL;
        *ret_size = size;
        return 0;
}

static bool mask_has(const uint8_t *mask, size_t size, unsigned n)
{
        return n / 8 < size && n < CPULIST_MAX && mask[n / 8] & 1U << n % 8;
}

void cpulist_format(const uint8_t *mask, size_t size, char text[CPULIST_TEXT_MAX])
{
        size_t at = 0;

        text[0] = 0;
        for (unsigned n = 0; n < CPULIST_MAX; n++) {
                unsigned first = n;

                if (!mask_has(mask, size, n))
                        continue;
                while (mask_has(mask, size, n + 1))
                        n++;
                at += (size_t)snprintf(text + at, CPULIST_TEXT_MAX - at, "%s%u", at ? "," : "",
                                       first);
                if (n > first)
                        at += (size_t)snprintf(text + at, CPULIST_TEXT_MAX - at, "-%u", n);
        }
}

bool cpulist_is_valid(const char *text)
{
        uint8_t mask[CPULIST_MASK_SIZE];
        size_t size;

        return !text[0] || cpulist_parse(text, mask, &size) >= 0;
}
