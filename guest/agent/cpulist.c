/* Lists of CPUs; see cpulist.h. */
#include "base/cpulist.h"

#include "agent/cpulist.h"

#define CPU_MAX 65536

uint32_t cpulist_count(const char *text)
{
        uint32_t count = 0;
        int r;

        do {
                uint32_t first, last;

                r = cpulist_read_range(&text, CPU_MAX, &first, &last);
                if (r < 0)
                        return 0;
                count += last - first + 1;
        } while (r > 0);
        return *text == '\0' || *text == '\n' ? count : 0;
}
