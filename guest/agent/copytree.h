/*
 * Copies files and trees as `cp -a` does: contents, owners, modes, times to the nanosecond, extended
 * attributes (user.*, security.capability, access control lists), hard links within what is copied,
 * holes, symbolic links, fifos, sockets, device nodes.
 *
 * Both sides may be changed meanwhile, by somebody hostile: everything is done by file descriptors
 * and single names (walk.h), so that nothing outside the two places is read or written. A file
 * that vanishes before it is read is left out.
 *
 *   directories   are merged with those that exist, and get the attributes of the source
 *   other files   replace what is there at once, by renaming; a directory they don't (EISDIR)
 *   attributes    that the file system there doesn't know (EOPNOTSUPP) are left out
 *   owners        that the file system there can't hold (EOVERFLOW: a caller's one id) are left out,
 *                 with the set-id bits
 *   device nodes  fail where they can't be made: over 9p, with EPERM
 *   file systems  of the kernel's own (proc, sysfs, /dev …) aren't entered from outside
 *
 * On a failure it ends; what was copied by then stays, but no half of a file.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "agent/copylinks.h"
#include "agent/fault.h"
#include "agent/walk.h"

typedef struct CopyTree {
        Walk walk;
        CopyLinks links;
        int top;          /* the directory in the destination that @walk's paths start from */
        const char *name; /* what is copied, for errors; borrowed */
        dev_t *closed;    /* file systems that aren't entered: their directories are left empty */
        size_t n_closed;
        uint8_t *buffer;
        uint64_t files; /* of any type */
        uint64_t bytes; /* of contents */
} CopyTree;

/*
 * The process's working directory must be /proc/self/fd of a proc file system that can be trusted:
 * a file is opened without looking at what it is, then looked at, and only then opened to be read.
 * @name is borrowed. 0 or -ENOMEM.
 */
int copy_tree_init(CopyTree *copy, const char *name);
void copy_tree_done(CopyTree *copy);

/* Copies what @source (an O_PATH fd) is to @name in the directory @to. 0 or -errno with @fault filled
 * in, which names the file. */
int copy_tree_to(CopyTree *copy, int source, int to, const char *name, Fault *fault);

/* Copies what is in the directory @source to the directory @to, which gets its attributes too if
 * @attributes. Both may be O_PATH fds. As above. */
int copy_tree_contents(CopyTree *copy, int source, int to, bool attributes, Fault *fault);

/* copyfile.c: copies the file @source, which is no directory and has @status, to @name in @to.
 * @plain: as in copy_attributes(). 0 or -errno. */
int copy_file(CopyTree *copy, int source, const struct stat *status, int to, const char *name,
              bool plain);
