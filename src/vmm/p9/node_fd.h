/*
 * The O_PATH fds of a tree's nodes: how many are open, which is closed next, how one comes back.
 * Internal to the node layer; node.h has the rules.
 */
#pragma once

#include "vmm/p9/node.h"

/* Gives a node without an fd one; its parent, if any, has one. FD_NONE is allowed: no-op. */
void p9_node_fd_set(P9Node *node, int fd);

/* Closes the fd of a node that goes away. */
void p9_node_fd_close(P9Node *node);

/* The node's parent became, or no longer is (it was @parent), the one that it names. */
void p9_node_fd_joined(P9Node *node);
void p9_node_fd_left(P9Node *node, P9Node *parent);

/* Opens @name below @dir_fd with O_PATH, within the tree's limit. 0 or -errno. */
int p9_tree_open_path(P9Tree *tree, int dir_fd, const char *name, int *ret_fd);

/* Opens @name of /proc/self/fd, following that link. Makes room once if the process is out of fds. */
int p9_tree_open_proc(P9Tree *tree, const char *name, int flags, int *ret_fd);

/* Whether @name below @fd (or @fd itself, for "") is this node's file. In node.c. */
bool p9_node_is_at(const P9Node *node, int fd, const char *name);

/*
 * Takes the identity of a node with an fd anew. On overlayfs a file gets another one when it is
 * first written: it is copied to the upper layer, and that copy was born at another time. In
 * node.c.
 */
void p9_node_refresh(P9Node *node);
