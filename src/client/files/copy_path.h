/* What `cp` takes on either side, by podman's rules. Pure. */
#pragma once

#include <stdbool.h>

typedef struct CopyPath {
        char *container; /* NULL: a path of this host */
        char *path;      /* in a container: absolute; "-": a tar stream */
        bool contents;   /* "…/.": what is in the directory rather than the directory */
        bool directory;  /* "…/": it must be a directory */
} CopyPath;

/*
 * "CONTAINER:PATH" is a container's, but not if a '/' or '.' comes first or the part before the colon
 * can't be a name. 0, -EINVAL (empty), -ENOMEM.
 */
int copy_path_parse(const char *text, CopyPath *ret);
void copy_path_done(CopyPath *path);

/* The last component, inside @path; "" for the root. */
const char *copy_path_name(const CopyPath *path);

static inline bool copy_path_is_stream(const CopyPath *path)
{
        return !path->container && path->path[0] == '-' && !path->path[1];
}
