/* Either side of a copy; see copy_path.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "client/files/copy_path.h"

void copy_path_done(CopyPath *path)
{
        free(path->container);
        free(path->path);
        *path = (CopyPath){};
}

/* Takes "/." and "/" off the end, as often as they are there, and remembers them. */
static void copy_path_trim(CopyPath *path)
{
        char *text = path->path;
        size_t size = strlen(text);

        if (strcmp(text, ".") == 0 || strcmp(text, "..") == 0 ||
            (size >= 3 && strcmp(text + size - 3, "/..") == 0))
                path->contents = true;
        for (;;) {
                if (size >= 2 && strcmp(text + size - 2, "/.") == 0) {
                        path->contents = true;
                        size = size > 2 ? size - 2 : 1;
                } else if (size > 1 && text[size - 1] == '/') {
                        path->directory = true;
                        size--;
                } else {
                        break;
                }
                text[size] = 0;
        }
        if (strcmp(text, "/") == 0)
                path->contents = true;
}

static int copy_path_split(const char *text, CopyPath *path)
{
        const char *colon = strchr(text, ':');
        char name[NAME_SIZE_MAX + 1];

        if (text[0] == '/' || text[0] == '.' || !colon || (size_t)(colon - text) >= sizeof(name) ||
            colon == text) {
                path->path = strdup(text);
                return path->path ? 0 : -ENOMEM;
        }
        memcpy(name, text, (size_t)(colon - text));
        name[colon - text] = 0;
        if (!name_is_valid(name)) {
                path->path = strdup(text);
                return path->path ? 0 : -ENOMEM;
        }
        if (!colon[1])
                return -EINVAL;
        path->container = strdup(name);
        /* podman takes a container's path from its root. */
        if (asprintf(&path->path, "%s%s", colon[1] == '/' ? "" : "/", colon + 1) < 0)
                path->path = NULL;
        return path->container && path->path ? 0 : -ENOMEM;
}

int copy_path_parse(const char *text, CopyPath *ret)
{
        CopyPath path = {};
        int r = text[0] ? copy_path_split(text, &path) : -EINVAL;

        if (r < 0) {
                copy_path_done(&path);
                return r;
        }
        copy_path_trim(&path);
        *ret = path;
        return 0;
}

const char *copy_path_name(const CopyPath *path)
{
        const char *slash = strrchr(path->path, '/');

        return slash ? slash + 1 : path->path;
}
