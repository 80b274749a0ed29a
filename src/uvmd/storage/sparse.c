/* Copies of sparse files; see sparse.h. */
#include <linux/fs.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "uvmd/storage/sparse.h"

#define SPARSE_CHUNK 65536

/* Failures of FICLONE and copy_file_range that speak of the file systems, not of the files. */
static bool sparse_is_unsupported(int r)
{
        return r == -EOPNOTSUPP || r == -EXDEV || r == -EINVAL || r == -ENOTTY || r == -ENOSYS;
}

static int sparse_copy_by_hand(int from, int to, off_t at, off_t end)
{
        uint8_t buffer[SPARSE_CHUNK];

        while (at < end) {
                size_t size = MIN((size_t)(end - at), sizeof(buffer));
                ssize_t n = pread(from, buffer, size, at);

                if (n == 0)
                        return 0; /* it got shorter */
                if (n > 0)
                        n = pwrite(to, buffer, (size_t)n, at);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return errno_neg();
                at += n;
        }
        return 0;
}

static int sparse_copy_run(int from, int to, off_t at, off_t end)
{
        while (at < end) {
                off_t source = at, target = at;
                ssize_t n = copy_file_range(from, &source, to, &target, (size_t)(end - at), 0);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0 && sparse_is_unsupported(errno_neg()))
                        return sparse_copy_by_hand(from, to, at, end);
                if (n < 0)
                        return errno_neg();
                if (n == 0)
                        return 0;
                at += n;
        }
        return 0;
}

int sparse_copy(int from, int to)
{
        struct stat st;
        off_t at = 0, end;
        int r;

        if (ioctl(to, FICLONE, from) == 0)
                return 0;
        if (!sparse_is_unsupported(errno_neg()))
                return errno_neg();
        if (fstat(from, &st) < 0 || ftruncate(to, st.st_size) < 0)
                return errno_neg();
        while ((at = lseek(from, at, SEEK_DATA)) >= 0) {
                end = lseek(from, at, SEEK_HOLE);
                if (end < 0)
                        return errno_neg();
                r = sparse_copy_run(from, to, at, end);
                if (r < 0)
                        return r;
                at = end;
        }
        /* ENXIO: there is no data behind here. */
        return errno == ENXIO ? 0 : errno_neg();
}
