/* 9p devices of the machine; see shares.h. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/parse.h"

#include "agent/shares.h"

#define MSIZE_DEFAULT 512000 /* 128 descriptors of a page each, less the header */
#define PATH_SIZE     512

typedef struct Share {
        List link;
        unsigned users;
        char tag[NAME_SIZE_MAX + 1];
} Share;

void shares_init(Shares *shares)
{
        list_init(&shares->tags);
}

void shares_done(Shares *shares)
{
        list_for_each (item, &shares->tags) {
                list_remove(item);
                free(LIST_ENTRY(item, Share, link));
        }
}

static Share *share_find(Shares *shares, const char *tag)
{
        list_for_each (item, &shares->tags) {
                Share *share = LIST_ENTRY(item, Share, link);

                if (strcmp(share->tag, tag) == 0)
                        return share;
        }
        return NULL;
}

static int share_take(Shares *shares, const char *tag)
{
        Share *share = share_find(shares, tag);

        if (!share) {
                share = calloc(1, sizeof(*share));
                if (!share)
                        return -ENOMEM;
                snprintf(share->tag, sizeof(share->tag), "%s", tag);
                list_append(&shares->tags, &share->link);
        }
        share->users++;
        return 0;
}

/* The tag of mount @i of a container, number 0 being its root; NULL if it isn't 9p. */
static const char *spec_tag(const AgentContainerSpec *spec, uint32_t i)
{
        const char *tag;

        if (i == 0)
                tag = spec->root.type == AGENT_MOUNT_9P ? spec->root.source : NULL;
        else
                tag = spec->mounts[i - 1].type == AGENT_MOUNT_9P ? spec->mounts[i - 1].source
                                                                 : NULL;
        return tag && name_is_valid(tag) ? tag : NULL;
}

static void share_give_back(Shares *shares, const char *tag, CodecStrings *unused)
{
        Share *share = share_find(shares, tag);

        if (!share || --share->users > 0)
                return;
        list_remove(&share->link);
        /* Without memory for the name the mount stays until the machine ends. */
        if (unused && unused->items) {
                unused->items[unused->n] = strdup(tag);
                unused->n += unused->items[unused->n] != NULL;
        }
        free(share);
}

int shares_take(Shares *shares, const AgentContainerSpec *spec)
{
        for (uint32_t i = 0; i <= spec->n_mounts; i++) {
                const char *tag = spec_tag(spec, i);

                if (!tag || share_take(shares, tag) == 0)
                        continue;
                while (i-- > 0)
                        if ((tag = spec_tag(spec, i)))
                                share_give_back(shares, tag, NULL);
                return -ENOMEM;
        }
        return 0;
}

void shares_give_back(Shares *shares, const AgentContainerSpec *spec, CodecStrings *ret_unused)
{
        *ret_unused = (CodecStrings){.items = calloc((size_t)spec->n_mounts + 2, sizeof(char *))};
        for (uint32_t i = 0; i <= spec->n_mounts; i++) {
                const char *tag = spec_tag(spec, i);

                if (tag)
                        share_give_back(shares, tag, ret_unused);
        }
}

void shares_names_free(CodecStrings *names)
{
        for (uint32_t i = 0; i < names->n; i++)
                free(names->items[i]);
        free(names->items);
        *names = (CodecStrings){};
}

int shares_path(const char *state, const char *tag, char *buffer, unsigned size)
{
        if (!name_is_valid(tag))
                return -EINVAL;
        if (snprintf(buffer, size, "%s/shares/%s", state, tag) >= (int)size)
                return -ENAMETOOLONG;
        return 0;
}

static int is_mounted(const char *path)
{
        char parent[PATH_SIZE + 4];
        struct stat here, above;

        snprintf(parent, sizeof(parent), "%s/..", path);
        if (stat(path, &here) < 0 || stat(parent, &above) < 0)
                return errno_neg();
        return here.st_dev != above.st_dev;
}

static int mount_9p(const char *path, const char *tag, AgentCache cache, uint32_t msize)
{
        char options[128];

        snprintf(options, sizeof(options), "trans=virtio,version=9p2000.L,cache=%s,msize=%u",
                 agent_cache_to_string(cache), msize ? msize : MSIZE_DEFAULT);
        return mount(tag, path, "9p", 0, options) < 0 ? errno_neg() : 0;
}

int shares_mount(const char *state, const char *tag, AgentCache cache, uint32_t msize, Fault *fault)
{
        _cleanup_(fd_closep) int lock = FD_NONE;
        char path[PATH_SIZE];
        int r = shares_path(state, tag, path, sizeof(path));

        if (r < 0)
                return fault_set(fault, r, "9p tag \"%s\"", tag);
        if (mkdir(path, 0700) < 0 && errno != EEXIST)
                return fault_set(fault, errno_neg(), "cannot make %s", path);
        /* The lock is on the directory of all shares: two children may want the same tag. */
        snprintf(path, sizeof(path), "%s/shares", state);
        lock = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (lock < 0 || flock(lock, LOCK_EX) < 0)
                return fault_set(fault, errno_neg(), "cannot lock %s", path);
        shares_path(state, tag, path, sizeof(path));
        r = is_mounted(path);
        if (r == 0)
                r = mount_9p(path, tag, cache, msize);
        return r < 0 ? fault_set(fault, r, "cannot mount the 9p device \"%s\"", tag) : 0;
}

int shares_unmount(const char *state, const char *tag)
{
        char path[PATH_SIZE];
        int r = shares_path(state, tag, path, sizeof(path));

        if (r < 0)
                return r;
        if (umount2(path, 0) < 0 && errno != EINVAL && errno != ENOENT)
                r = errno_neg();
        rmdir(path);
        return r;
}
