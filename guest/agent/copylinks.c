/* Hard links within a tree that is copied; see copylinks.h. Pure. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/copylinks.h"

void copy_links_done(CopyLinks *links)
{
        for (size_t i = 0; i < links->capacity; i++)
                free(links->links[i].path);
        free(links->links);
        *links = (CopyLinks){};
}

static size_t hash(CopyIdentity from)
{
        uint64_t value = (uint64_t)from.ino * UINT64_C(0x9e3779b97f4a7c15) + (uint64_t)from.dev;

        value ^= value >> 32;
        return (size_t)(value * UINT64_C(0x9e3779b97f4a7c15) >> 16);
}

/* Its place, or the empty one where it belongs. There is an empty one always. */
static size_t place(const CopyLink *links, size_t capacity, CopyIdentity from)
{
        size_t at = hash(from) & (capacity - 1);

        while (links[at].path && (links[at].from.dev != from.dev || links[at].from.ino != from.ino))
                at = (at + 1) & (capacity - 1);
        return at;
}

const CopyLink *copy_links_find(const CopyLinks *links, CopyIdentity from)
{
        const CopyLink *link;

        if (links->capacity == 0)
                return NULL;
        link = &links->links[place(links->links, links->capacity, from)];
        return link->path ? link : NULL;
}

static int grow(CopyLinks *links)
{
        size_t capacity = links->capacity ? links->capacity * 2 : 64;
        CopyLink *grown = calloc(capacity, sizeof(*grown));

        if (!grown)
                return -ENOMEM;
        for (size_t i = 0; i < links->capacity; i++)
                if (links->links[i].path)
                        grown[place(grown, capacity, links->links[i].from)] = links->links[i];
        free(links->links);
        links->links = grown;
        links->capacity = capacity;
        return 0;
}

int copy_links_add(CopyLinks *links, CopyIdentity from, CopyIdentity to, const char *path)
{
        char *copy;
        int r = links->n * 2 >= links->capacity ? grow(links) : 0;

        if (r < 0)
                return r;
        copy = strdup(path);
        if (!copy)
                return -ENOMEM;
        links->links[place(links->links, links->capacity, from)] = (CopyLink){
                .from = from,
                .to = to,
                .path = copy,
        };
        links->n++;
        return 0;
}
