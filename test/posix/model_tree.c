/*
 * A tree of files and its model; see model.h. Each directory has the same few names, so that they
 * meet. The model knows what each call must answer, also which error.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "model.h"
#include "model_node.h"

#define HELD      8
#define DEPTH_MAX 6

static Node *root;
static struct {
        Node *node;
        int fd;
} held[HELD];

/* A directory of the tree, and one of its names. */
typedef struct Place {
        Node *dir;
        unsigned slot;
        char path[DEPTH_MAX * 2 + 4];
} Place;

static Place place_random(void)
{
        Place place = {.dir = root};
        unsigned depth = 0;

        for (;;) {
                Node *next;

                place.slot = model_random(NODE_NAMES);
                place.path[depth * 2] = (char)('a' + place.slot);
                next = place.dir->entries[place.slot];
                if (!next || !S_ISDIR(next->mode) || depth + 1 == DEPTH_MAX || model_random(3) == 0)
                        return place;
                place.path[depth++ * 2 + 1] = '/';
                place.dir = next;
        }
}

static Node *place_node(const Place *place)
{
        return place->dir->entries[place->slot];
}

static void expect(int result, int expected, const char *what)
{
        int error = result < 0 ? errno : 0;

        if (error != expected)
                model_differs("%s: \"%s\", not \"%s\"", what, strerror(error), strerror(expected));
}

static void do_make(void)
{
        static const mode_t types[] = {S_IFREG, S_IFREG, S_IFREG, S_IFDIR,
                                       S_IFDIR, S_IFLNK, S_IFIFO};
        mode_t type = types[model_random(sizeof(types) / sizeof(types[0]))];
        mode_t mode = type == S_IFLNK ? 0777 : 0400 | model_random(01000);
        Place place = place_random();
        int r;

        model_tell("make %s, mode %o", place.path, type | mode);
        if (type == S_IFDIR)
                r = mkdir(place.path, mode);
        else if (type == S_IFLNK)
                r = symlink("nowhere", place.path);
        else if (type == S_IFIFO)
                r = mkfifo(place.path, mode);
        else if ((r = open(place.path, O_CREAT | O_EXCL | O_WRONLY, mode)) >= 0)
                close(r);
        expect(r, place_node(&place) ? EEXIST : 0, "make");
        if (place_node(&place))
                return;
        place.dir->entries[place.slot] = node_new(type | mode, place.dir);
        node_check_stat(place_node(&place), place.path);
}

static void do_remove(void)
{
        Place place = place_random();
        Node *node = place_node(&place);
        bool directory = model_random(2);
        int expected = 0;

        model_tell("%s %s", directory ? "rmdir" : "unlink", place.path);
        if (!node)
                expected = ENOENT;
        else if (directory && !S_ISDIR(node->mode))
                expected = ENOTDIR;
        else if (directory && !node_is_empty(node))
                expected = ENOTEMPTY;
        else if (!directory && S_ISDIR(node->mode))
                expected = EISDIR;
        expect(directory ? rmdir(place.path) : unlink(place.path), expected, "remove");
        if (expected == 0)
                node_detach(place.dir, place.slot);
}

static void do_link(void)
{
        Place from = place_random(), to = place_random();
        Node *node = place_node(&from);
        int expected = !node ? ENOENT : place_node(&to) ? EEXIST : S_ISDIR(node->mode) ? EPERM : 0;

        model_tell("link %s to %s", from.path, to.path);
        expect(link(from.path, to.path), expected, "link");
        if (expected == 0)
                to.dir->entries[to.slot] = node_link(node);
}

/* In the order in which Linux asks (do_renameat2 and vfs_rename in fs/namei.c). */
static int rename_expected(const Place *from, const Place *to)
{
        const Node *node = place_node(from), *target = place_node(to);

        if (!node)
                return ENOENT;
        if (S_ISDIR(node->mode) && node_contains(node, to->dir))
                return EINVAL;
        if (target && S_ISDIR(target->mode) && node_contains(target, from->dir))
                return ENOTEMPTY;
        if (!target || node == target)
                return 0;
        if (S_ISDIR(node->mode) && !S_ISDIR(target->mode))
                return ENOTDIR;
        if (!S_ISDIR(node->mode) && S_ISDIR(target->mode))
                return EISDIR;
        return S_ISDIR(target->mode) && !node_is_empty(target) ? ENOTEMPTY : 0;
}

/* A directory that moves down may take the tree beyond the depth that paths have room for. */
static void do_rename(void)
{
        Place from = place_random(), to = place_random();
        int expected = rename_expected(&from, &to);

        if (expected == 0 && node_depth(to.dir) + node_height(place_node(&from)) > DEPTH_MAX)
                return;
        model_tell("rename %s to %s", from.path, to.path);
        expect(rename(from.path, to.path), expected, "rename");
        if (expected == 0 && place_node(&from) != place_node(&to))
                node_move(from.dir, from.slot, to.dir, to.slot);
}

static void do_attributes(void)
{
        Place place = place_random();
        Node *node = place_node(&place);
        mode_t mode = 0400 | model_random(01000);
        uid_t uid = model_random(3), gid = model_random(3);

        if (!node)
                return;
        if (model_random(2)) {
                model_tell("chown %s to %u:%u", place.path, uid, gid);
                MODEL_TRY(lchown(place.path, uid, gid));
                node->uid = uid, node->gid = gid;
        } else if (!S_ISLNK(node->mode)) {
                model_tell("chmod %s to %o", place.path, mode);
                MODEL_TRY(chmod(place.path, mode));
                node->mode = (node->mode & S_IFMT) | mode;
        }
        node_check_stat(node, place.path);
}

static void do_xattr(void)
{
        Place place = place_random();
        Node *node = place_node(&place);
        unsigned length = model_random(NODE_XATTR_MAX + 1);

        if (!node || (!S_ISREG(node->mode) && !S_ISDIR(node->mode)))
                return;
        if (model_random(3) == 0) {
                model_tell("remove the attribute of %s", place.path);
                expect(removexattr(place.path, NODE_XATTR), node->has_xattr ? 0 : ENODATA,
                       "removexattr");
                node->has_xattr = false;
        } else {
                model_tell("set an attribute of %s, %u bytes", place.path, length);
                node->has_xattr = true;
                node->xattr_length = length;
                memset(node->xattr, 'a' + (int)model_random(26), length);
                MODEL_TRY(setxattr(place.path, NODE_XATTR, node->xattr, length, 0));
        }
        node_check_xattr(node, place.path);
}

static void write_to(Node *node, int fd)
{
        node->length = model_random(NODE_CONTENT_MAX + 1);
        memset(node->content, 'A' + (int)model_random(26), node->length);
        if ((unsigned)MODEL_TRY(pwrite(fd, node->content, node->length, 0)) != node->length)
                model_differs("write: short");
        MODEL_TRY(ftruncate(fd, node->length));
}

static void do_write(void)
{
        Place place = place_random();
        Node *node = place_node(&place);
        int fd;

        if (!node || !S_ISREG(node->mode))
                return;
        model_tell("write %s", place.path);
        fd = (int)MODEL_TRY(open(place.path, O_WRONLY));
        write_to(node, fd);
        MODEL_TRY(close(fd));
        node_check_content(node, place.path);
}

static void do_list(void)
{
        Place place = place_random();
        Node *node = place_node(&place);

        if (!node || !S_ISDIR(node->mode))
                return;
        model_tell("list %s", place.path);
        node_check_list(node, place.path);
}

/* A file stays open for some operations, whatever becomes of its names. */
static void do_hold(void)
{
        unsigned i = model_random(HELD);
        Place place = place_random();
        Node *node = place_node(&place);

        if (held[i].node) {
                model_tell("close file %u", i);
                MODEL_TRY(close(held[i].fd));
                node_unref(held[i].node);
                held[i].node = NULL;
        }
        if (!node || !S_ISREG(node->mode))
                return;
        model_tell("open %s as file %u", place.path, i);
        held[i].fd = (int)MODEL_TRY(open(place.path, O_RDWR));
        held[i].node = node_ref(node);
}

static void do_held(void)
{
        unsigned i = model_random(HELD);
        Node *node = held[i].node;
        mode_t mode = 0400 | model_random(01000);

        if (!node)
                return;
        model_tell("use file %u, which has %u names", i, node->n_links);
        node_check_fd(node, held[i].fd);
        switch (model_random(3)) {
        case 0:
                write_to(node, held[i].fd);
                break;
        case 1:
                MODEL_TRY(fchmod(held[i].fd, mode));
                node->mode = S_IFREG | mode;
                break;
        default:
                node->has_xattr = true;
                node->xattr_length = 1;
                node->xattr[0] = (char)('a' + model_random(26));
                MODEL_TRY(fsetxattr(held[i].fd, NODE_XATTR, node->xattr, 1, 0));
        }
        node_check_fd(node, held[i].fd);
}

void model_tree_start(void)
{
        root = node_new(S_IFDIR | 0755, NULL);
}

void model_tree_step(void)
{
        static const struct {
                void (*run)(void);
                unsigned weight;
        } steps[] = {
                {do_make, 30},      {do_remove, 14}, {do_rename, 16},        {do_link, 8},
                {do_attributes, 8}, {do_xattr, 6},   {do_write, 6},          {do_list, 5},
                {do_hold, 4},       {do_held, 8},    {model_drop_caches, 1},
        };
        unsigned total = 0, choice;

        for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
                total += steps[i].weight;
        choice = model_random(total);
        for (size_t i = 0;; choice -= steps[i++].weight)
                if (choice < steps[i].weight) {
                        steps[i].run();
                        return;
                }
}

static void check_below(const Node *dir, const char *path)
{
        char below[DEPTH_MAX * 2 + 64];

        node_check_list(dir, path);
        for (unsigned i = 0; i < NODE_NAMES; i++) {
                const Node *node = dir->entries[i];

                if (!node)
                        continue;
                snprintf(below, sizeof(below), "%s/%c", path, 'a' + i);
                node_check_stat(node, below);
                if (S_ISREG(node->mode))
                        node_check_content(node, below);
                if (S_ISREG(node->mode) || S_ISDIR(node->mode))
                        node_check_xattr(node, below);
                if (S_ISDIR(node->mode))
                        check_below(node, below);
        }
}

void model_tree_check(void)
{
        model_tell("compare all");
        check_below(root, ".");
        for (unsigned i = 0; i < HELD; i++)
                if (held[i].node)
                        node_check_fd(held[i].node, held[i].fd);
}
