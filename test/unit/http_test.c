/* Heads of HTTP requests: what Prometheus and curl send, pieces, and what is none. */
#include <errno.h>

#include "client/http.h"
#include "test/unit.h"

static int parse(const char *text, HttpRequest *ret)
{
        return http_request_parse(text, strlen(text), ret);
}

static void reads_requests(void)
{
        static const char scrape[] = "GET /metrics?a=b HTTP/1.1\r\nHost: localhost:9878\r\n"
                                     "Accept: application/openmetrics-text\r\n\r\n";
        HttpRequest request = {};

        unit_assert_int(parse(scrape, &request), 0);
        unit_assert_string(request.method, "GET");
        unit_assert_string(request.path, "/metrics");
        unit_assert_int(parse("HEAD / HTTP/1.0\r\n\r\n", &request), 0);
        unit_assert_string(request.method, "HEAD");
        unit_assert_string(request.path, "/");
        for (size_t i = 0; i < strlen(scrape); i++)
                unit_assert_int(http_request_parse(scrape, i, &request), -EAGAIN);
}

static void refuses_the_rest(void)
{
        static const char *const bad[] = {
                "\r\n\r\n",
                "GET\r\n\r\n",
                "GET /\r\n\r\n",
                " / HTTP/1.1\r\n\r\n",
                "GET  / HTTP/1.1\r\n\r\n",
                "GET / HTTP/2.0\r\n\r\n",
                "GET / HTTP/1.1 \r\n\r\n",
                "GET http://a/ HTTP/1.1\r\n\r\n",
                "G\001T / HTTP/1.1\r\n\r\n",
                "GET /\377 HTTP/1.1\r\n\r\n",
                "ABCDEFGHIJKLMNOPQ / HTTP/1.1\r\n\r\n",
        };
        char large[HTTP_HEAD_MAX + 1];
        HttpRequest request;

        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
                unit_assert_int(parse(bad[i], &request), -EBADMSG);
        memset(large, 'x', sizeof(large));
        unit_assert_int(http_request_parse(large, HTTP_HEAD_MAX - 1, &request), -EAGAIN);
        unit_assert_int(http_request_parse(large, HTTP_HEAD_MAX, &request), -EBADMSG);
        unit_assert_int(http_request_parse(large, HTTP_HEAD_MAX + 1, &request), -EBADMSG);
}

UNIT_MAIN(UNIT_TEST(reads_requests), UNIT_TEST(refuses_the_rest))
