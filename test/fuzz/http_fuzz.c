/* The head of an HTTP request: what is taken is a method and a path, whatever comes. */
#include <stdlib.h>
#include <string.h>

#include "client/http.h"
#include "test/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        HttpRequest request;

        if (http_request_parse((const char *)data, size, &request) == 0 &&
            (request.path[0] != '/' || strlen(request.path) > HTTP_PATH_MAX || !request.method[0] ||
             strlen(request.method) > HTTP_METHOD_MAX || strchr(request.path, '?')))
                abort();
        return 0;
}
