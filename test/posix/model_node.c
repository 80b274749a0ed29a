/* The model's files; see model_node.h. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "model.h"
#include "model_node.h"

Node *node_new(mode_t mode, Node *parent)
{
        Node *node = calloc(1, sizeof(*node));

        if (!node)
                model_differs("no memory");
        node->mode = mode;
        node->n_links = node->n_refs = 1;
        node->parent = parent;
        return node;
}

Node *node_ref(Node *node)
{
        node->n_refs++;
        return node;
}

void node_unref(Node *node)
{
        if (--node->n_refs == 0)
                free(node);
}

Node *node_link(Node *node)
{
        node->n_links++;
        return node_ref(node);
}

void node_detach(Node *dir, unsigned slot)
{
        dir->entries[slot]->n_links--;
        node_unref(dir->entries[slot]);
        dir->entries[slot] = NULL;
}

void node_move(Node *from, unsigned from_slot, Node *to, unsigned to_slot)
{
        if (to->entries[to_slot])
                node_detach(to, to_slot);
        to->entries[to_slot] = from->entries[from_slot];
        from->entries[from_slot] = NULL;
        to->entries[to_slot]->parent = to;
}

bool node_contains(const Node *node, const Node *dir)
{
        for (; dir; dir = dir->parent)
                if (dir == node)
                        return true;
        return false;
}

bool node_is_empty(const Node *dir)
{
        for (unsigned i = 0; i < NODE_NAMES; i++)
                if (dir->entries[i])
                        return false;
        return true;
}

unsigned node_depth(const Node *dir)
{
        unsigned depth = 0;

        while ((dir = dir->parent))
                depth++;
        return depth;
}

unsigned node_height(const Node *node)
{
        unsigned height = 0;

        for (unsigned i = 0; i < NODE_NAMES; i++)
                if (node->entries[i] && node_height(node->entries[i]) > height)
                        height = node_height(node->entries[i]);
        return height + 1;
}

static unsigned link_count(const Node *node)
{
        unsigned n = 2;

        if (!S_ISDIR(node->mode))
                return node->n_links;
        for (unsigned i = 0; i < NODE_NAMES; i++)
                if (node->entries[i] && S_ISDIR(node->entries[i]->mode))
                        n++;
        return n;
}

static void compare_stat(const Node *node, const struct stat *st, const char *path)
{
        if (st->st_mode != node->mode)
                model_differs("%s: mode %o, not %o", path, st->st_mode, node->mode);
        if (st->st_uid != node->uid || st->st_gid != node->gid)
                model_differs("%s: owner %u:%u, not %u:%u", path, st->st_uid, st->st_gid, node->uid,
                              node->gid);
        if (st->st_nlink != link_count(node))
                model_differs("%s: %u links, not %u", path, (unsigned)st->st_nlink,
                              link_count(node));
        if (S_ISREG(node->mode) && st->st_size != node->length)
                model_differs("%s: size %lld, not %u", path, (long long)st->st_size, node->length);
        if (node->inode == 0)
                ((Node *)node)->inode = st->st_ino;
        else if (st->st_ino != node->inode)
                model_differs("%s: inode %llu, not %llu", path, (unsigned long long)st->st_ino,
                              (unsigned long long)node->inode);
}

static void compare_content(const Node *node, int fd, const char *path)
{
        char content[NODE_CONTENT_MAX + 1];
        ssize_t n = MODEL_TRY(pread(fd, content, sizeof(content), 0));

        if ((size_t)n != node->length)
                model_differs("%s: %zd bytes, not %u", path, n, node->length);
        if (memcmp(content, node->content, node->length) != 0)
                model_differs("%s: other content", path);
}

static void compare_xattr(const Node *node, ssize_t n, const char *value, const char *path)
{
        int error = n < 0 ? errno : 0;

        if (error != (node->has_xattr ? 0 : ENODATA))
                model_differs("%s: attribute: %s", path, strerror(error));
        if (!node->has_xattr)
                return;
        if ((size_t)n != node->xattr_length || memcmp(value, node->xattr, (size_t)n) != 0)
                model_differs("%s: attribute: another value, of %zd bytes, not %u", path, n,
                              node->xattr_length);
}

void node_check_stat(const Node *node, const char *path)
{
        struct stat st;

        MODEL_TRY(lstat(path, &st));
        compare_stat(node, &st, path);
}

void node_check_content(const Node *node, const char *path)
{
        int fd = (int)MODEL_TRY(open(path, O_RDONLY));

        compare_content(node, fd, path);
        MODEL_TRY(close(fd));
}

void node_check_xattr(const Node *node, const char *path)
{
        char value[NODE_XATTR_MAX + 1];
        ssize_t n = getxattr(path, NODE_XATTR, value, sizeof(value));

        compare_xattr(node, n, value, path);
}

void node_check_fd(const Node *node, int fd)
{
        char value[NODE_XATTR_MAX + 1];
        struct stat st;

        MODEL_TRY(fstat(fd, &st));
        compare_stat(node, &st, "open file");
        compare_content(node, fd, "open file");
        compare_xattr(node, fgetxattr(fd, NODE_XATTR, value, sizeof(value)), value, "open file");
}

void node_check_list(const Node *dir, const char *path)
{
        unsigned seen = 0, expected = 0;
        DIR *stream = opendir(path);

        if (!stream)
                model_differs("opendir %s: %m", path);
        for (struct dirent *entry; (entry = readdir(stream));) {
                unsigned slot = (unsigned)(entry->d_name[0] - 'a');

                if (entry->d_name[0] == '.')
                        continue;
                if (slot >= NODE_NAMES || entry->d_name[1] || !dir->entries[slot])
                        model_differs("%s has \"%s\"", path, entry->d_name);
                if (seen & (1U << slot))
                        model_differs("%s has \"%s\" twice", path, entry->d_name);
                if (entry->d_type != DT_UNKNOWN &&
                    (mode_t)DTTOIF(entry->d_type) != (dir->entries[slot]->mode & S_IFMT))
                        model_differs("%s: \"%s\" is of type %u", path, entry->d_name,
                                      entry->d_type);
                seen |= 1U << slot;
        }
        closedir(stream);
        for (unsigned i = 0; i < NODE_NAMES; i++)
                expected |= dir->entries[i] ? 1U << i : 0;
        if (seen != expected)
                model_differs("%s: not all names are listed", path);
}
