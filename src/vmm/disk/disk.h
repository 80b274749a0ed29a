/*
 * A disk's bytes: a raw file or a block device of the host, through the host's page cache. What
 * disk_flush() returned 0 for is on the medium.
 *
 * Thread: any, also several at once; each call may block for as long as the host does. Offsets and
 * sizes are within the disk: the caller checked what the guest wants. Failures are the host's, as
 * -errno: EIO, ENOSPC, EDQUOT …; -EINTR: @stop was set, and the call interrupted.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#define DISK_SECTOR_SIZE 512U

typedef struct Disk {
        int fd;
        uint64_t size; /* bytes, a multiple of DISK_SECTOR_SIZE, fixed when it was opened */
        bool is_device;
        bool read_only;
        atomic_int flush_error; /* -errno of the first flush that failed; 0: none did */
} Disk;

/*
 * Takes @fd over, also on failure. 0, or -errno with what to tell a person in @ret_problem (or NULL):
 * -EINVAL it is neither a file nor a block device, or empty, or ends in half a sector; -EBADF it is
 * not open for what is asked; or what the system says.
 */
int disk_open(Disk *disk, int fd, bool read_only, const char **ret_problem);
void disk_close(Disk *disk);

/* What is left of a transfer: advanced by those below, also when they fail. */
typedef struct DiskCursor {
        struct iovec *spans; /* the first of them is cut as it is used up */
        unsigned n_spans;
        uint64_t offset; /* on the disk */
} DiskCursor;

/*
 * All that is left. @stop may be NULL. A file that somebody made shorter can't be read: -EIO. @sync: it
 * is on the medium when this returns 0.
 */
int disk_read(const Disk *disk, DiskCursor *cursor, const atomic_bool *stop);
int disk_write(Disk *disk, DiskCursor *cursor, bool sync, const atomic_bool *stop);

/* What can be read without waiting for the medium; maybe nothing. */
void disk_read_cached(const Disk *disk, DiskCursor *cursor);

/*
 * What was written before is on the medium. Once it fails it fails for ever: the kernel tells of lost
 * pages once, and forgets them.
 */
int disk_flush(Disk *disk, const atomic_bool *stop);

/* The bytes' content doesn't matter any more: a hint, which the host may not be able to use. */
int disk_discard(const Disk *disk, uint64_t offset, uint64_t size);

/*
 * Zeroes, by telling the host (with @unmap without keeping room for them) or, where it can't, by
 * writing: @ret_written is how many bytes were written, also on failure.
 */
int disk_zero(Disk *disk, uint64_t offset, uint64_t size, bool unmap, const atomic_bool *stop,
              uint64_t *ret_written);
