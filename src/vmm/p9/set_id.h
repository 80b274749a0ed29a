/*
 * The set-id bits of files whose data changes. Linux takes them off unless who writes has CAP_FSETID
 * in the initial namespace (setattr_should_drop_suidgid(), fs/attr.c), and a jailed server hasn't.
 * Who writes, and whether the bits go, is known to the guest's kernel alone: it takes them off by
 * Tsetattr before it writes for anyone but root (guest/kernel/patches). So those that the host took
 * come back.
 *
 * Only bits that this session has seen or set, in node->mode, are kept: bits that another set since
 * are gone, as after anyone's write. The rest costs nothing but a look at node->mode.
 *
 * Thread: the server's, also where a thread of the pool writes in between.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "vmm/p9/node.h"

/* Whether there may be bits to keep. */
bool p9_set_id_is_on(const P9Node *node);

/*
 * Before the data of the node's file changes, @fd being any fd of it. True: p9_set_id_end() is due
 * when it has changed, or hasn't.
 */
bool p9_set_id_begin(P9Node *node, int fd);
void p9_set_id_end(P9Node *node, int fd);

/* The guest set the file's mode: what is to remain. */
void p9_set_id_note(P9Node *node, uint32_t mode);
