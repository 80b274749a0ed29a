/*
 * What an import's worker takes from itself before it looks at the first byte of its source: the
 * network, every capability but those that give files their owners, the view of the host's files, and
 * every system call that unpacking has no use for.
 */
#pragma once

/* @root becomes the root directory; fds stay. 0 or -errno. */
int lockup_enter(int root);
