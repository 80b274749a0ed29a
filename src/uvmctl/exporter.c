/* The exporter; see exporter.h. Whoever can connect may send anything: it is answered or left. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "client/http.h"
#include "uvmctl/exporter.h"
#include "uvmctl/metrics.h"

#define EXPORTER_SECONDS 10 /* for a client to send its request, and to take the answer */

static int exporter_read(HttpRequest *ret)
{
        char head[HTTP_HEAD_MAX];
        size_t size = 0;
        int r;

        do {
                ssize_t n = read(STDIN_FILENO, head + size, sizeof(head) - size);

                if (n <= 0)
                        return n < 0 ? -errno : -ENODATA;
                size += (size_t)n;
                r = http_request_parse(head, size, ret);
        } while (r == -EAGAIN);
        return r;
}

static void exporter_answer(const char *status, const char *type, const char *body, size_t size,
                            bool with_body)
{
        printf("HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n"
               "Cache-Control: no-store\r\nConnection: close\r\n\r\n",
               status, type, size);
        if (with_body)
                fwrite(body, 1, size, stdout);
        fflush(stdout);
        /* The peer sees the end of it all before what it may still send is thrown away. */
        shutdown(STDOUT_FILENO, SHUT_WR);
}

static void exporter_say(const char *status)
{
        exporter_answer(status, "text/plain; charset=utf-8", status, strlen(status), true);
}

static int exporter_send_metrics(bool with_body)
{
        _cleanup_(freep) char *text = NULL;
        size_t size = 0;
        FILE *stream = open_memstream(&text, &size);
        int r;

        if (!stream)
                return -ENOMEM;
        r = metrics_collect(stream);
        if (fclose(stream) != 0)
                return -ENOMEM;
        if (r)
                exporter_say("503 uvmd can't be asked");
        else
                exporter_answer("200 OK", METRICS_CONTENT_TYPE, text, size, with_body);
        return 0;
}

int exporter_run(void)
{
        struct timeval limit = {.tv_sec = EXPORTER_SECONDS};
        HttpRequest request;
        bool is_head;
        int r;

        /* Without a socket, at a terminal, there is nothing to limit. */
        setsockopt(STDIN_FILENO, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
        setsockopt(STDIN_FILENO, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
        r = exporter_read(&request);
        if (r == -EBADMSG)
                exporter_say("400 That is no request");
        if (r < 0)
                return EXIT_SUCCESS; /* its fault, not ours */
        is_head = strcmp(request.method, "HEAD") == 0;
        if (!is_head && strcmp(request.method, "GET") != 0)
                exporter_say("405 Only GET and HEAD are served");
        else if (strcmp(request.path, "/metrics") != 0)
                exporter_say("404 There is only /metrics");
        else if (exporter_send_metrics(!is_head) < 0)
                exporter_say("500 Out of memory");
        return EXIT_SUCCESS;
}
