/* Heads of HTTP requests; see http.h. */
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "client/http.h"

/* RFC 9110 §5.6.2 */
static bool is_token(char c)
{
        return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
               (c && strchr("!#$%&'*+-.^_`|~", c));
}

static bool is_visible(char c)
{
        return c > ' ' && c < 127;
}

/* Takes the characters that @is holds for, 1 to @max of them, and the blank behind. 0 or -EBADMSG. */
static int take_word(const char **at, const char *end, bool (*is)(char), size_t max, char *ret)
{
        size_t n = 0;

        while (*at + n < end && is((*at)[n]))
                n++;
        if (n == 0 || n > max || *at + n == end || (*at)[n] != ' ')
                return -EBADMSG;
        memcpy(ret, *at, n);
        ret[n] = 0;
        *at += n + 1;
        return 0;
}

static int parse_line(const char *line, const char *end, HttpRequest *ret)
{
        HttpRequest request;
        int r = take_word(&line, end, is_token, HTTP_METHOD_MAX, request.method);

        if (r >= 0)
                r = take_word(&line, end, is_visible, HTTP_PATH_MAX, request.path);
        if (r < 0)
                return r;
        if (request.path[0] != '/' || end - line != 8 || memcmp(line, "HTTP/1.", 7) != 0)
                return -EBADMSG;
        request.path[strcspn(request.path, "?")] = 0;
        *ret = request;
        return 0;
}

int http_request_parse(const char *data, size_t size, HttpRequest *ret)
{
        const char *end = memmem(data, size, "\r\n\r\n", 4);
        const char *line = memmem(data, size, "\r\n", 2);

        if (size > HTTP_HEAD_MAX)
                return -EBADMSG;
        if (!end)
                return size < HTTP_HEAD_MAX ? -EAGAIN : -EBADMSG;
        return parse_line(data, line, ret);
}
