/* Pressure stall information; see pressure.h. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#include "agent/pressure.h"
#include "agent/textfile.h"

#define PERCENT_MAX 10000 /* in hundredths */

/* "12.34" in hundredths. */
static uint32_t hundredths(const char *at)
{
        char *end;
        unsigned long whole = strtoul(at, &end, 10), part = 0;

        if (*end == '.' && strspn(end + 1, "0123456789") >= 2)
                part = (unsigned long)(end[1] - '0') * 10 + (unsigned long)(end[2] - '0');
        return whole > PERCENT_MAX / 100 ? PERCENT_MAX : (uint32_t)(whole * 100 + part);
}

static void parse_line(const char *line, size_t size, uint64_t *ret_usec, uint32_t *ret_avg10)
{
        static const char average[] = "avg10=", total[] = "total=";
        const char *at = memmem(line, size, average, sizeof(average) - 1);

        if (at)
                *ret_avg10 = hundredths(at + sizeof(average) - 1);
        at = memmem(line, size, total, sizeof(total) - 1);
        if (at)
                *ret_usec = strtoull(at + sizeof(total) - 1, NULL, 10);
}

void pressure_parse(const char *text, AgentPressure *ret)
{
        *ret = (AgentPressure){};
        while (*text) {
                size_t size = strcspn(text, "\n");

                if (strncmp(text, "some ", 5) == 0)
                        parse_line(text, size, &ret->some_usec, &ret->some_avg10);
                else if (strncmp(text, "full ", 5) == 0)
                        parse_line(text, size, &ret->full_usec, &ret->full_avg10);
                text += size + (text[size] == '\n');
        }
}

void pressure_read(int directory, const char *path, AgentPressure *ret)
{
        _cleanup_(text_done) Text text = {};

        *ret = (AgentPressure){};
        if (text_read(directory, path, &text) == 0)
                pressure_parse(text.data, ret);
}
