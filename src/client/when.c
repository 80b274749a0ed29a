/* Points in time; see when.h. */
#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "client/when.h"

/* Digits behind a point, as µs; what is finer is left out. */
static uint64_t read_fraction(const char **text)
{
        uint64_t usec = 0, unit = USEC_PER_SEC / 10;

        if (**text != '.' && **text != ',')
                return 0;
        for ((*text)++; isdigit((unsigned char)**text); (*text)++, unit /= 10)
                usec += unit * (uint64_t)(**text - '0');
        return usec;
}

/* Seconds that fit when they are µs. */
static int read_number(const char **text, uint64_t *ret)
{
        char *end;

        if (!isdigit((unsigned char)**text))
                return -EINVAL;
        errno = 0;
        *ret = strtoull(*text, &end, 10);
        *text = end;
        return errno || *ret >= UINT64_MAX / USEC_PER_SEC ? -EINVAL : 0;
}

/* "Z", "+01:00", "-0330", or nothing: UTC. In seconds east of it. */
static int read_zone(const char *text, int64_t *ret)
{
        unsigned hours, minutes;
        int length = 0;

        *ret = 0;
        if (strcmp(text, "") == 0 || strcmp(text, "Z") == 0)
                return 0;
        if (text[0] != '+' && text[0] != '-')
                return -EINVAL;
        for (const char *at = text + 1; *at; at++)
                if (isdigit((unsigned char)*at))
                        length++;
                else if (*at != ':' || length != 2)
                        return -EINVAL;
        if (length != 4)
                return -EINVAL;
        hours = (unsigned)(text[1] - '0') * 10 + (unsigned)(text[2] - '0');
        text += text[3] == ':' ? 4 : 3;
        minutes = (unsigned)(text[0] - '0') * 10 + (unsigned)(text[1] - '0');
        if (hours > 23 || minutes > 59)
                return -EINVAL;
        *ret = (int64_t)(hours * 3600 + minutes * 60);
        return 0;
}

static int parse_date(const char *text, uint64_t *ret)
{
        struct tm tm = {0};
        const char *end = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
        bool west;
        uint64_t usec;
        int64_t zone;
        time_t seconds;
        int r;

        if (!end)
                return -EINVAL;
        usec = read_fraction(&end);
        west = *end == '-';
        r = read_zone(end, &zone);
        if (r < 0)
                return r;
        seconds = timegm(&tm) + (time_t)(west ? zone : -zone);
        if (seconds < 0)
                return -EINVAL;
        *ret = (uint64_t)seconds * USEC_PER_SEC + usec;
        return 0;
}

int when_parse(const char *text, uint64_t now, uint64_t *ret)
{
        static const struct {
                const char *suffix;
                uint64_t seconds;
        } units[] = {{"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}};
        const char *at = text;
        uint64_t number;
        int r;

        if (strchr(text, 'T'))
                return parse_date(text, ret);
        r = read_number(&at, &number);
        if (r < 0)
                return r;
        for (size_t i = 0; i < ELEMENTSOF(units); i++)
                if (strcmp(at, units[i].suffix) == 0) {
                        uint64_t ago = MIN(number, now / USEC_PER_SEC / units[i].seconds + 1);

                        *ret = now - MIN(now, ago * units[i].seconds * USEC_PER_SEC);
                        return 0;
                }
        number = number * USEC_PER_SEC + read_fraction(&at);
        if (*at)
                return -EINVAL;
        *ret = number;
        return 0;
}
