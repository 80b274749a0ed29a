/* A disk's bytes; see disk.h. */
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "vmm/disk/disk.h"

#define DISK_ZEROES_SIZE 65536U

static const uint8_t disk_zeroes[DISK_ZEROES_SIZE];

static int disk_find_size(Disk *disk, const char **ret_problem)
{
        struct stat status;

        if (fstat(disk->fd, &status) < 0)
                return errno_neg();
        disk->is_device = S_ISBLK(status.st_mode);
        if (disk->is_device) {
                if (ioctl(disk->fd, BLKGETSIZE64, &disk->size) < 0)
                        return errno_neg();
        } else if (S_ISREG(status.st_mode)) {
                disk->size = (uint64_t)status.st_size;
        } else {
                *ret_problem = "a disk is a regular file or a block device";
                return -EINVAL;
        }
        if (disk->size == 0 || disk->size % DISK_SECTOR_SIZE != 0) {
                *ret_problem = "a disk's size is a multiple of 512 bytes, and not 0";
                return -EINVAL;
        }
        return 0;
}

static int disk_check_mode(const Disk *disk, const char **ret_problem)
{
        int flags = fcntl(disk->fd, F_GETFL);

        if (flags < 0)
                return errno_neg();
        if ((flags & O_ACCMODE) == O_RDWR || (disk->read_only && (flags & O_ACCMODE) == O_RDONLY))
                return 0;
        *ret_problem = disk->read_only ? "the disk's file is not open for reading"
                                       : "the disk's file is not open for reading and writing";
        return -EBADF;
}

int disk_open(Disk *disk, int fd, bool read_only, const char **ret_problem)
{
        int r;

        *ret_problem = NULL;
        *disk = (Disk){.fd = fd, .read_only = read_only};
        r = disk_check_mode(disk, ret_problem);
        if (r == 0)
                r = disk_find_size(disk, ret_problem);
        if (r < 0)
                disk_close(disk);
        return r;
}

void disk_close(Disk *disk)
{
        disk->fd = fd_close(disk->fd);
}

static void cursor_advance(DiskCursor *cursor, size_t size)
{
        cursor->offset += size;
        while (cursor->n_spans > 0 && size >= cursor->spans->iov_len) {
                size -= cursor->spans->iov_len;
                cursor->spans++;
                cursor->n_spans--;
        }
        if (cursor->n_spans > 0) {
                cursor->spans->iov_base = (uint8_t *)cursor->spans->iov_base + size;
                cursor->spans->iov_len -= size;
        }
}

/* Whether a call that failed is to be given up: all but an interruption that nobody meant. */
static bool is_final(const atomic_bool *stop)
{
        return errno != EINTR || (stop && atomic_load(stop));
}

int disk_read(const Disk *disk, DiskCursor *cursor, const atomic_bool *stop)
{
        while (cursor->n_spans > 0) {
                ssize_t n = preadv2(disk->fd, cursor->spans, (int)cursor->n_spans,
                                    (off_t)cursor->offset, 0);

                if (n == 0)
                        return -EIO;
                if (n < 0 && is_final(stop))
                        return errno_neg();
                if (n > 0)
                        cursor_advance(cursor, (size_t)n);
        }
        return 0;
}

void disk_read_cached(const Disk *disk, DiskCursor *cursor)
{
        ssize_t n = preadv2(disk->fd, cursor->spans, (int)cursor->n_spans, (off_t)cursor->offset,
                            RWF_NOWAIT);

        if (n > 0)
                cursor_advance(cursor, (size_t)n);
}

/* The first failure to bring something to the medium stays. */
static int disk_note_lost(Disk *disk, int r)
{
        int none = 0;

        atomic_compare_exchange_strong(&disk->flush_error, &none, r);
        return r;
}

int disk_write(Disk *disk, DiskCursor *cursor, bool sync, const atomic_bool *stop)
{
        while (cursor->n_spans > 0) {
                ssize_t n = pwritev2(disk->fd, cursor->spans, (int)cursor->n_spans,
                                     (off_t)cursor->offset, sync ? RWF_DSYNC : 0);

                if (n == 0)
                        return -EIO;
                if (n < 0 && is_final(stop))
                        return sync && errno == EIO ? disk_note_lost(disk, -EIO) : errno_neg();
                if (n > 0)
                        cursor_advance(cursor, (size_t)n);
        }
        return 0;
}

int disk_flush(Disk *disk, const atomic_bool *stop)
{
        int r = atomic_load(&disk->flush_error);

        if (r < 0)
                return r;
        while (fdatasync(disk->fd) < 0)
                if (is_final(stop))
                        return errno == EINTR ? -EINTR : disk_note_lost(disk, errno_neg());
        return 0;
}

/* Failures that say that the host can't do it this way: its file system, its device, this alignment. */
static bool is_unsupported(int r)
{
        return r == -EOPNOTSUPP || r == -EINVAL || r == -ENODEV || r == -ENOSYS || r == -ENOTTY;
}

int disk_discard(const Disk *disk, uint64_t offset, uint64_t size)
{
        uint64_t range[2] = {offset, size};
        int r;

        if (disk->is_device)
                r = ioctl(disk->fd, BLKDISCARD, range);
        else
                r = fallocate(disk->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset,
                              (off_t)size);
        if (r == 0 || is_unsupported(errno_neg()))
                return 0;
        return errno_neg();
}

static int disk_write_zeroes(Disk *disk, uint64_t offset, uint64_t size, const atomic_bool *stop,
                             uint64_t *written)
{
        while (size > 0) {
                struct iovec span = {
                        .iov_base = (void *)disk_zeroes,
                        .iov_len = MIN(size, sizeof(disk_zeroes)),
                };
                DiskCursor cursor = {.spans = &span, .n_spans = 1, .offset = offset};
                size_t length = span.iov_len;
                int r = stop && atomic_load(stop) ? -EINTR : disk_write(disk, &cursor, false, stop);

                if (r < 0)
                        return r;
                offset += length;
                size -= length;
                *written += length;
        }
        return 0;
}

int disk_zero(Disk *disk, uint64_t offset, uint64_t size, bool unmap, const atomic_bool *stop,
              uint64_t *ret_written)
{
        /* Also for block devices: since Linux 4.9 these zero them, by command or by writing. */
        int mode = unmap ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE, r;

        *ret_written = 0;
        do
                r = fallocate(disk->fd, mode | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)size) < 0
                            ? errno_neg()
                            : 0;
        while (r == -EINTR && !is_final(stop));
        if (!is_unsupported(r))
                return r;
        return disk_write_zeroes(disk, offset, size, stop, ret_written);
}
