/* /proc/PID/stat and its kin; see procstat.h. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#include "agent/procstat.h"

/* Fields behind the name, as proc(5) numbers them, less 3. */
enum {
        FIELD_PPID = 4 - 3,
        FIELD_TTY = 7 - 3,
        FIELD_UTIME = 14 - 3,
        FIELD_STIME = 15 - 3,
        FIELD_START = 22 - 3,
        FIELD_SIZE = 23 - 3,
        FIELD_RSS = 24 - 3,
        FIELDS,
};

static void copy_printable(const char *from, size_t size, char *to)
{
        for (size_t i = 0; i < size; i++)
                to[i] = isprint((unsigned char)from[i]) || (unsigned char)from[i] >= 0x80 ? from[i]
                                                                                          : '?';
        to[size] = '\0';
}

/* The name may hold blanks and parentheses: it ends at the last one of the line. */
int procstat_parse(const char *line, ProcStat *ret)
{
        const char *name = strchr(line, '('), *end = strrchr(line, ')');
        uint64_t fields[FIELDS] = {};
        const char *at;

        if (!name || !end || end < name || end[1] != ' ' || !end[2])
                return -EBADMSG;
        at = end + 3;
        for (unsigned i = 1; i < FIELDS; i++) {
                char *next;

                fields[i] = (uint64_t)strtoll(at, &next, 10);
                if (next == at)
                        return -EBADMSG;
                at = next;
        }
        *ret = (ProcStat){
                .state = (uint8_t)end[2],
                .ppid = (uint32_t)fields[FIELD_PPID],
                .tty = (uint32_t)fields[FIELD_TTY],
                .cpu_ticks = fields[FIELD_UTIME] + fields[FIELD_STIME],
                .start_ticks = fields[FIELD_START],
                .size = fields[FIELD_SIZE],
                .rss_pages = fields[FIELD_RSS],
        };
        copy_printable(name + 1, MIN((size_t)(end - name - 1), (size_t)PROCSTAT_NAME_MAX),
                       ret->name);
        return 0;
}

static const char *find_line(const Text *text, const char *key)
{
        size_t length = strlen(key);
        const char *at = text->data;

        while (at && *at) {
                if (strncmp(at, key, length) == 0 && at[length] == ':')
                        return at + length + 1;
                at = strchr(at, '\n');
                if (at)
                        at++;
        }
        return NULL;
}

uint32_t procstat_last_number(const Text *status, const char *key)
{
        const char *at = find_line(status, key);
        uint32_t number = 0;

        while (at && *at && *at != '\n') {
                char *next;
                unsigned long value = strtoul(at, &next, 10);

                if (next == at)
                        break;
                number = (uint32_t)value;
                at = next;
                at += strspn(at, " \t");
        }
        return number;
}

void procstat_command(const char *data, size_t size, char *buffer, size_t buffer_size)
{
        size_t length = MIN(size, buffer_size - 1);

        while (length > 0 && data[length - 1] == '\0')
                length--;
        if (length > 0)
                memcpy(buffer, data, length);
        for (size_t i = 0; i < length; i++)
                if (!buffer[i] || isspace((unsigned char)buffer[i]))
                        buffer[i] = ' ';
        copy_printable(buffer, length, buffer);
}
