/* The made-up root's entries; see binds.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "vmm/p9/binds.h"

/* No file has it: p9_qid_path() leaves bit 62 clear where it leaves bit 63 clear. */
#define P9_BINDS_QID_PATH (1ULL << 62)

static P9Bind *p9_bind_from_item(List *item)
{
        return LIST_ENTRY(item, P9Bind, item);
}

static void p9_binds_touch(P9Binds *binds)
{
        clock_gettime(CLOCK_REALTIME, &binds->changed);
}

int p9_binds_init(P9Binds *binds, P9Pool *pool)
{
        const P9Qid qid = {.type = P9_QID_DIR, .path = P9_BINDS_QID_PATH};
        int r = p9_tree_new_made_up(pool, qid, &binds->tree);

        if (r < 0)
                return r;
        list_init(&binds->entries);
        binds->position = P9_BINDS_DOT_DOT;
        p9_binds_touch(binds);
        binds->born = binds->changed;
        return 0;
}

static void p9_binds_drop(P9Binds *binds, P9Bind *bind)
{
        binds->n--;
        binds->n_dirs -= S_ISDIR(bind->tree->root->mode);
        list_remove(&bind->item);
        p9_tree_abandon(bind->tree);
        free(bind);
}

void p9_binds_done(P9Binds *binds)
{
        if (!binds->tree)
                return;
        list_for_each (item, &binds->entries)
                p9_binds_drop(binds, p9_bind_from_item(item));
        p9_tree_abandon(TAKE_PTR(binds->tree));
}

static P9Bind *p9_binds_find(const P9Binds *binds, const char *name)
{
        list_for_each (item, &binds->entries)
                if (strcmp(p9_bind_from_item(item)->name, name) == 0)
                        return p9_bind_from_item(item);
        return NULL;
}

int p9_binds_add(P9Binds *binds, const char *name, int root_fd, bool read_only)
{
        _cleanup_(fd_closep) int fd = root_fd;
        P9String checked = {.text = name, .size = (uint16_t)strnlen(name, P9_NAME_MAX + 1)};
        _cleanup_(freep) P9Bind *bind = NULL;
        int r;

        if (p9_name_check(checked) < 0)
                return -EINVAL;
        if (p9_binds_find(binds, name))
                return -EEXIST;
        if (binds->n >= P9_BINDS_MAX)
                return -ENOSPC;
        bind = calloc(1, sizeof(*bind) + checked.size + 1U);
        if (!bind)
                return -ENOMEM;
        r = p9_tree_new(binds->tree->pool, TAKE_FD(fd), &bind->tree);
        if (r < 0)
                return r;
        bind->tree->read_only = read_only;
        bind->tree->above = binds->tree->root->qid;
        bind->position = ++binds->position;
        memcpy(bind->name, name, checked.size);
        list_append(&binds->entries, &bind->item);
        binds->n++;
        binds->n_dirs += S_ISDIR(bind->tree->root->mode);
        p9_binds_touch(binds);
        TAKE_PTR(bind);
        return 0;
}

int p9_binds_remove(P9Binds *binds, const char *name)
{
        P9Bind *bind = p9_binds_find(binds, name);

        if (!bind)
                return -ENOENT;
        p9_binds_drop(binds, bind);
        p9_binds_touch(binds);
        return 0;
}

int p9_binds_walk(const P9Binds *binds, const char *name, P9Node **ret)
{
        const P9Bind *bind = p9_binds_find(binds, name);

        if (!bind)
                return -ENOENT;
        *ret = p9_node_ref(bind->tree->root);
        return 0;
}
