/* /etc/passwd and /etc/group; see passwd.h. */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/parse.h"

#include "agent/passwd.h"

#define FIELDS_MAX 7
#define NUMBER_MAX 10 /* digits of a 32-bit number */

/* A stretch of the text: not terminated. */
typedef struct Span {
        const char *at;
        size_t size;
} Span;

typedef struct Line {
        Span fields[FIELDS_MAX];
        unsigned n;
} Line;

static bool span_is(Span span, const char *text)
{
        return strlen(text) == span.size && memcmp(span.at, text, span.size) == 0;
}

static bool span_number(Span span, uint32_t *ret)
{
        char digits[NUMBER_MAX + 1];

        if (span.size > NUMBER_MAX)
                return false;
        memcpy(digits, span.at, span.size);
        digits[span.size] = '\0';
        /* The highest id is "no change" to chown() and setresuid(). */
        return parse_u32(digits, 0, UINT32_MAX - 1, ret) == 0;
}

/* Cuts off what stands before the first @separator; the rest stays in @span. */
static Span span_cut(Span *span, char separator)
{
        const char *end = span->size ? memchr(span->at, separator, span->size) : NULL;
        Span head = *span;

        if (!end) {
                span->at += span->size;
                span->size = 0;
                return head;
        }
        head.size = (size_t)(end - span->at);
        span->at = end + 1;
        span->size -= head.size + 1;
        return head;
}

/* The next line that has at least @min fields; the last field takes the rest. */
static bool next_line(Span *text, unsigned min, Line *ret)
{
        while (text->size > 0) {
                Span line = span_cut(text, '\n');

                ret->n = 0;
                for (bool more = true; more && ret->n < FIELDS_MAX; ret->n++) {
                        more = line.size > 0 && ret->n + 1 < FIELDS_MAX &&
                               memchr(line.at, ':', line.size);
                        ret->fields[ret->n] = more ? span_cut(&line, ':') : line;
                }
                if (ret->n >= min && ret->fields[0].size > 0)
                        return true;
        }
        return false;
}

static bool span_copy(Span span, char *buffer, size_t size)
{
        if (span.size >= size || memchr(span.at, 0, span.size))
                return false;
        memcpy(buffer, span.at, span.size);
        buffer[span.size] = '\0';
        return true;
}

int passwd_find_user(const char *text, size_t size, const char *key, PasswdUser *ret)
{
        Span rest = {text, size};
        uint32_t number;
        bool numeric = span_number((Span){key, strlen(key)}, &number);
        PasswdUser user;
        Line line;

        while (next_line(&rest, 6, &line)) {
                if (!span_number(line.fields[2], &user.uid) ||
                    !span_number(line.fields[3], &user.gid) ||
                    !span_copy(line.fields[0], user.name, sizeof(user.name)) ||
                    !span_copy(line.fields[5], user.home, sizeof(user.home)))
                        continue;
                if (strcmp(user.name, key) != 0 && !(numeric && user.uid == number))
                        continue;
                *ret = user;
                return 0;
        }
        return -ENOENT;
}

int passwd_find_group(const char *text, size_t size, const char *key, uint32_t *ret_gid)
{
        Span rest = {text, size};
        uint32_t number, gid;
        bool numeric = span_number((Span){key, strlen(key)}, &number);
        Line line;

        while (next_line(&rest, 3, &line)) {
                if (!span_number(line.fields[2], &gid))
                        continue;
                if (!span_is(line.fields[0], key) && !(numeric && gid == number))
                        continue;
                *ret_gid = gid;
                return 0;
        }
        return -ENOENT;
}

unsigned passwd_member_groups(const char *text, size_t size, const char *user, uint32_t *gids,
                              unsigned max)
{
        Span rest = {text, size};
        unsigned n = 0;
        Line line;

        while (n < max && next_line(&rest, 4, &line)) {
                Span members = line.fields[3];

                if (!span_number(line.fields[2], &gids[n]))
                        continue;
                while (members.size > 0)
                        if (span_is(span_cut(&members, ','), user)) {
                                n++;
                                break;
                        }
        }
        return n;
}
