/* What is mounted once for the whole machine: who uses it; see shares.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

#include "agent/shares.h"

/* The writable layer: what is deleted makes the host's file smaller again, and tables that a fresh
 * file system hasn't initialised stay holes in it. */
#define LAYER_OPTIONS "discard,noinit_itable"

typedef struct Share {
        List link;
        unsigned users;
        bool alone;
        char name[SHARE_NAME_SIZE];
} Share;

void shares_init(Shares *shares)
{
        list_init(&shares->list);
}

void shares_done(Shares *shares)
{
        list_for_each (item, &shares->list) {
                list_remove(item);
                free(LIST_ENTRY(item, Share, link));
        }
}

bool shares_name(const AgentMount *mount, char name[SHARE_NAME_SIZE])
{
        const char *kind = mount->type == AGENT_MOUNT_9P      ? "shares"
                           : mount->type == AGENT_MOUNT_BLOCK ? "disks"
                                                              : NULL;

        if (!kind || !mount->source || !name_is_valid(mount->source))
                return false;
        snprintf(name, SHARE_NAME_SIZE, "%s/%s", kind, mount->source);
        return true;
}

bool shares_of_root(const AgentRoot *root, unsigned i, AgentMount *ret)
{
        bool written = root->upper == AGENT_UPPER_NONE && !root->read_only;

        *ret = (AgentMount){};
        if (i == 0)
                *ret = (AgentMount){
                        .type = root->type,
                        .source = root->source,
                        .subpath = root->subpath,
                        .flags = written ? 0 : AGENT_MOUNT_READ_ONLY,
                        .cache = root->cache,
                        .msize = root->msize,
                };
        else if (i == 1 && root->upper == AGENT_UPPER_BLOCK)
                *ret = (AgentMount){
                        .type = AGENT_MOUNT_BLOCK,
                        .source = root->upper_source,
                        .fs = (char *)"ext4",
                        .options = (char *)LAYER_OPTIONS,
                };
        else
                return false;
        return true;
}

/* Share number @i of a container: those of its root, then those of its mounts. */
static bool spec_name(const AgentContainerSpec *spec, uint32_t i, char name[SHARE_NAME_SIZE])
{
        AgentMount mount;

        if (i < 2)
                return shares_of_root(&spec->root, i, &mount) && shares_name(&mount, name);
        return shares_name(&spec->mounts[i - 2], name);
}

static Share *share_find(const Shares *shares, const char *name)
{
        for (List *item = shares->list.next; item != &shares->list; item = item->next) {
                Share *share = LIST_ENTRY(item, Share, link);

                if (strcmp(share->name, name) == 0)
                        return share;
        }
        return NULL;
}

static int share_take(Shares *shares, const char *name, bool alone)
{
        Share *share = share_find(shares, name);

        if (share && (alone || share->alone))
                return -EBUSY;
        if (!share) {
                share = calloc(1, sizeof(*share));
                if (!share)
                        return -ENOMEM;
                share->alone = alone;
                snprintf(share->name, sizeof(share->name), "%s", name);
                list_append(&shares->list, &share->link);
        }
        share->users++;
        return 0;
}

static void share_give_back(Shares *shares, const char *name, CodecStrings *unused)
{
        Share *share = share_find(shares, name);

        if (!share || --share->users > 0)
                return;
        list_remove(&share->link);
        /* Without memory for the name the mount stays until the machine ends. */
        if (unused && unused->items) {
                unused->items[unused->n] = strdup(name);
                unused->n += unused->items[unused->n] != NULL;
        }
        free(share);
}

int shares_take(Shares *shares, const AgentContainerSpec *spec)
{
        char name[SHARE_NAME_SIZE];

        for (uint32_t i = 0; i < spec->n_mounts + 2; i++) {
                int r = spec_name(spec, i, name) ? share_take(shares, name, false) : 0;

                if (r == 0)
                        continue;
                while (i-- > 0)
                        if (spec_name(spec, i, name))
                                share_give_back(shares, name, NULL);
                return r;
        }
        return 0;
}

int shares_take_mount(Shares *shares, const AgentMount *mount)
{
        char name[SHARE_NAME_SIZE];

        return shares_name(mount, name) ? share_take(shares, name, false) : 0;
}

int shares_take_alone(Shares *shares, const AgentMount *mount)
{
        char name[SHARE_NAME_SIZE];

        return shares_name(mount, name) ? share_take(shares, name, true) : -EINVAL;
}

void shares_give_back(Shares *shares, const AgentContainerSpec *spec, CodecStrings *ret_unused)
{
        char name[SHARE_NAME_SIZE];

        *ret_unused = (CodecStrings){.items = calloc((size_t)spec->n_mounts + 3, sizeof(char *))};
        for (uint32_t i = 0; i < spec->n_mounts + 2; i++)
                if (spec_name(spec, i, name))
                        share_give_back(shares, name, ret_unused);
}

void shares_give_back_mount(Shares *shares, const AgentMount *mount, CodecStrings *ret_unused)
{
        char name[SHARE_NAME_SIZE];

        *ret_unused = (CodecStrings){.items = calloc(2, sizeof(char *))};
        if (shares_name(mount, name))
                share_give_back(shares, name, ret_unused);
}

void shares_names_free(CodecStrings *names)
{
        for (uint32_t i = 0; i < names->n; i++)
                free(names->items[i]);
        free(names->items);
        *names = (CodecStrings){};
}

int shares_all(const Shares *shares, CodecStrings *ret)
{
        size_t n = 0;

        for (List *item = shares->list.next; item != &shares->list; item = item->next)
                n++;
        *ret = (CodecStrings){.items = calloc(n + 1, sizeof(char *))};
        if (!ret->items)
                return -ENOMEM;
        for (List *item = shares->list.next; item != &shares->list; item = item->next) {
                char *name = strdup(LIST_ENTRY(item, Share, link)->name);

                if (name)
                        ret->items[ret->n++] = name;
        }
        return 0;
}

bool shares_is_last(const Shares *shares, const AgentMount *mount)
{
        char name[SHARE_NAME_SIZE];
        const Share *share = shares_name(mount, name) ? share_find(shares, name) : NULL;

        return share && share->users == 1;
}
