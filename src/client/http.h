/*
 * The head of an HTTP/1 request (RFC 9112), as far as a server of one document needs it. Pure; the
 * bytes are anybody's.
 */
#pragma once

#include <stddef.h>

#define HTTP_HEAD_MAX   8192
#define HTTP_METHOD_MAX 16
#define HTTP_PATH_MAX   256

typedef struct HttpRequest {
        char method[HTTP_METHOD_MAX + 1];
        char path[HTTP_PATH_MAX + 1]; /* without what is behind a '?' */
} HttpRequest;

/* 0; -EAGAIN: the head isn't complete, and there is room for more; -EBADMSG: it is no such request. */
int http_request_parse(const char *data, size_t size, HttpRequest *ret);
