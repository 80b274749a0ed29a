/* The model's files: what each is and has, and the comparisons of one with what is there. */
#pragma once

#include <stdbool.h>
#include <sys/stat.h>

#define NODE_NAMES       5
#define NODE_XATTR       "user.model"
#define NODE_XATTR_MAX   40
#define NODE_CONTENT_MAX 9000

typedef struct Node {
        mode_t mode;
        uid_t uid, gid;
        ino_t inode; /* 0: not seen yet */
        unsigned n_links, n_refs;
        struct Node *parent; /* of a directory */
        struct Node *entries[NODE_NAMES];
        bool has_xattr;
        unsigned xattr_length, length;
        char xattr[NODE_XATTR_MAX], content[NODE_CONTENT_MAX];
} Node;

/* With one name and a reference for it, in @parent. */
Node *node_new(mode_t mode, Node *parent);
Node *node_ref(Node *node);
void node_unref(Node *node);

/* One name more. */
Node *node_link(Node *node);

/* Takes a name away. */
void node_detach(Node *dir, unsigned slot);

/* Over what is there. */
void node_move(Node *from, unsigned from_slot, Node *to, unsigned to_slot);

/* Whether @dir is @node or below it. */
bool node_contains(const Node *node, const Node *dir);
bool node_is_empty(const Node *dir);

/* Names on the way from the root to it, and those on the longest way further down, its own counted. */
unsigned node_depth(const Node *dir);
unsigned node_height(const Node *node);

void node_check_stat(const Node *node, const char *path);
void node_check_content(const Node *node, const char *path);
void node_check_xattr(const Node *node, const char *path);
void node_check_list(const Node *dir, const char *path);
/* All of these but the list, of an open file. */
void node_check_fd(const Node *node, int fd);
