#include "mkfw/file.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/io.h"

int file_read(const char *path, size_t max, uint8_t **ret, size_t *ret_size)
{
        _cleanup_(fd_closep) int fd = FD_NONE;
        _cleanup_(freep) uint8_t *data = NULL;
        struct stat st;
        int r;

        fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        if (fd < 0 || fstat(fd, &st) < 0)
                return errno_neg();
        if (S_ISDIR(st.st_mode))
                return -EISDIR;
        if (!S_ISREG(st.st_mode))
                return -EINVAL;
        if ((uint64_t)st.st_size > max)
                return -EFBIG;
        data = malloc((size_t)st.st_size + 1);
        if (!data)
                return -ENOMEM;
        r = io_read_full(fd, data, (size_t)st.st_size);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(data);
        *ret_size = (size_t)st.st_size;
        return 0;
}

static int image_write(int fd, const Layout *layout)
{
        const Firmware *firmware = &layout->firmware;
        int r;

        r = io_write_full(fd, layout->header, FIRMWARE_HEADER_SIZE);
        for (unsigned i = 0; r == 0 && i < firmware->n_segments; i++) {
                const FirmwareSegment *segment = &firmware->segments[i];

                if (lseek(fd, (off_t)segment->offset, SEEK_SET) < 0)
                        return errno_neg();
                r = io_write_full(fd, layout->bytes[i], segment->file_size);
        }
        /* A last segment without bytes in the file still ends it. */
        if (r == 0 && ftruncate(fd, (off_t)firmware->image_size) < 0)
                r = errno_neg();
        return r;
}

int file_write_image(const char *path, const Layout *layout)
{
        _cleanup_(fd_closep) int fd = FD_NONE;
        _cleanup_(freep) char *temporary = NULL;
        mode_t mask = umask(0);
        int r;

        umask(mask);
        if (asprintf(&temporary, "%s.XXXXXX", path) < 0) {
                temporary = NULL;
                return -ENOMEM;
        }
        fd = mkostemp(temporary, O_CLOEXEC);
        if (fd < 0)
                return errno_neg();
        r = image_write(fd, layout);
        if (r == 0 && (fchmod(fd, 0666 & ~mask) < 0 || fsync(fd) < 0))
                r = errno_neg();
        if (r == 0 && rename(temporary, path) < 0)
                r = errno_neg();
        if (r != 0)
                unlink(temporary);
        return r;
}
