/* User namespaces that id-mapped mounts take their maps from. They block: for workers. */
#pragma once

#include <stdint.h>

/* @inside is the file system's first id, @outside the host's, @n how many. */
typedef struct IdMap {
        uint32_t inside, outside, n;
} IdMap;

/* A user namespace with these maps; it lives as long as the fd. 0 or -errno. */
int idmap_open(const IdMap *users, const IdMap *groups, int *ret);
