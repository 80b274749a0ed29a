/* Named files inside what a caller handed in; see bundle.h. */
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/io.h"
#include "uvmd/errors.h"
#include "uvmd/image/bundle.h"
#include "uvmd/image/entry_name.h"

#define BUNDLE_BLOCK (256 * 1024)

struct Bundle {
        int fd;
        bool is_directory;
        int file;              /* of a directory: the file at hand */
        struct archive *outer; /* of a tar archive: standing at the file at hand */
        struct archive *inner;
        char block[BUNDLE_BLOCK];
};

struct archive *bundle_reader_new(void)
{
        struct archive *archive = archive_read_new();

        if (!archive)
                return NULL;
        /* Not "all": that would run other programs for exotic compressions. */
        archive_read_support_filter_none(archive);
        archive_read_support_filter_gzip(archive);
        archive_read_support_filter_bzip2(archive);
        archive_read_support_filter_xz(archive);
        archive_read_support_filter_lzma(archive);
        archive_read_support_filter_zstd(archive);
        archive_read_support_filter_lz4(archive);
        archive_read_support_filter_compress(archive);
        archive_read_support_format_tar(archive);
        archive_read_support_format_empty(archive);
        return archive;
}

static void bundle_leave(Bundle *bundle)
{
        archive_read_free(bundle->inner);
        archive_read_free(bundle->outer);
        bundle->inner = bundle->outer = NULL;
        bundle->file = fd_close(bundle->file);
}

int bundle_open(Bundle **ret, int fd, sd_bus_error *error)
{
        struct stat status;
        Bundle *bundle;

        if (fstat(fd, &status) < 0)
                return errno_neg();
        if (!S_ISDIR(status.st_mode) && !S_ISREG(status.st_mode))
                return error_set(error, -EINVAL, ERROR_INVALID_ARGUMENT,
                                 "an image is imported from a directory or a file");
        bundle = calloc(1, sizeof(*bundle));
        if (!bundle)
                return -ENOMEM;
        bundle->fd = fd;
        bundle->is_directory = S_ISDIR(status.st_mode);
        bundle->file = FD_NONE;
        *ret = bundle;
        return 0;
}

Bundle *bundle_close(Bundle *bundle)
{
        if (!bundle)
                return NULL;
        bundle_leave(bundle);
        free(bundle);
        return NULL;
}

static int bundle_archive_failed(struct archive *archive, sd_bus_error *error)
{
        const char *text = archive_error_string(archive);

        return error_set(error, -EBADMSG, ERROR_BAD_ARCHIVE, "the archive can't be read: %s",
                         text ? text : "it is cut short");
}

/* ------------------------------------------------------------------ going to a file */

/* Layouts have no use for symbolic links, and a link could lead anywhere. */
static int bundle_find_in_directory(Bundle *bundle, const char *name)
{
        struct open_how how = {
                .flags = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK,
                .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS,
        };
        struct stat status;

        bundle->file = (int)syscall(SYS_openat2, bundle->fd, name, &how, sizeof(how));
        if (bundle->file < 0) {
                bundle->file = FD_NONE;
                return errno == ENOENT || errno == ENOTDIR ? 0 : errno_neg();
        }
        if (fstat(bundle->file, &status) < 0)
                return errno_neg();
        return S_ISREG(status.st_mode) ? 1 : -EINVAL;
}

/* Where a link inside the archive leads, lexically. 0, or -EBADMSG. */
static int bundle_resolve_link(struct archive_entry *entry, const char *name,
                               char ret[ENTRY_NAME_MAX])
{
        const char *hard = archive_entry_hardlink(entry), *soft = archive_entry_symlink(entry);
        char joined[ENTRY_NAME_MAX];
        size_t size;

        if (hard)
                return entry_name_check(hard, ret) ? -EBADMSG : 0;
        /* docker's old archives link layer.tar to "../ID/layer.tar", one level up. */
        size = (size_t)(entry_name_last(name) - name);
        if (soft && strncmp(soft, "../", 3) == 0 && size > 0) {
                soft += 3;
                do {
                        size--;
                } while (size > 0 && name[size - 1] != '/');
        }
        if (!soft || snprintf(joined, sizeof(joined), "%.*s%s", (int)size, name, soft) >=
                             (int)sizeof(joined))
                return -EBADMSG;
        return entry_name_check(joined, ret) ? -EBADMSG : 0;
}

/* Goes to entry @name. 1 it stands there; 0 there is none, or it is a link and @ret_link is set. */
static int bundle_scan(Bundle *bundle, const char *name, char ret_link[ENTRY_NAME_MAX],
                       sd_bus_error *error)
{
        struct archive_entry *entry;
        int r;

        ret_link[0] = 0;
        if (lseek(bundle->fd, 0, SEEK_SET) < 0)
                return errno_neg();
        bundle->outer = bundle_reader_new();
        if (!bundle->outer)
                return -ENOMEM;
        if (archive_read_open_fd(bundle->outer, bundle->fd, BUNDLE_BLOCK) != ARCHIVE_OK)
                return bundle_archive_failed(bundle->outer, error);
        while ((r = archive_read_next_header(bundle->outer, &entry)) == ARCHIVE_OK ||
               r == ARCHIVE_WARN) {
                const char *text = archive_entry_pathname(entry);
                char normal[ENTRY_NAME_MAX];

                if (!text || entry_name_check(text, normal) || strcmp(normal, name) != 0)
                        continue;
                if (archive_entry_hardlink(entry) || archive_entry_symlink(entry))
                        return bundle_resolve_link(entry, normal, ret_link);
                return archive_entry_filetype(entry) == AE_IFREG;
        }
        return r == ARCHIVE_EOF ? 0 : bundle_archive_failed(bundle->outer, error);
}

static int bundle_find(Bundle *bundle, const char *name, sd_bus_error *error)
{
        char wanted[ENTRY_NAME_MAX], link[ENTRY_NAME_MAX];
        int r;

        bundle_leave(bundle);
        if (entry_name_check(name, wanted))
                return error_set(error, -EBADMSG, ERROR_BAD_ARCHIVE,
                                 "the manifest names a file \"%s\" that can't be one", name);
        if (bundle->is_directory)
                return bundle_find_in_directory(bundle, wanted);
        r = bundle_scan(bundle, wanted, link, error);
        if (r == 0 && link[0]) {
                bundle_leave(bundle);
                strcpy(wanted, link);
                r = bundle_scan(bundle, wanted, link, error);
        }
        return r;
}

int bundle_has(Bundle *bundle, const char *name, sd_bus_error *error)
{
        int r = bundle_find(bundle, name, error);

        bundle_leave(bundle);
        return r;
}

static int bundle_go(Bundle *bundle, const char *name, sd_bus_error *error)
{
        int r = bundle_find(bundle, name, error);

        if (r == 0)
                return error_set(error, -EBADMSG, ERROR_BAD_ARCHIVE,
                                 "the image is not complete: it has no file \"%s\"", name);
        return r < 0 ? r : 0;
}

/* ------------------------------------------------------------------ reading it */

static la_ssize_t bundle_read_some(Bundle *bundle, void *to, size_t size)
{
        if (bundle->is_directory)
                return read(bundle->file, to, size);
        return archive_read_data(bundle->outer, to, size);
}

int bundle_read(Bundle *bundle, const char *name, size_t max, char **ret, size_t *ret_size,
                sd_bus_error *error)
{
        _cleanup_(freep) char *text = malloc(max + 2);
        size_t size = 0;
        la_ssize_t n = 0;
        int r;

        if (!text)
                return -ENOMEM;
        r = bundle_go(bundle, name, error);
        while (r == 0 && size <= max &&
               (n = bundle_read_some(bundle, text + size, max + 1 - size)) > 0)
                size += (size_t)n;
        if (r == 0 && n < 0)
                r = bundle->is_directory ? errno_neg()
                                         : bundle_archive_failed(bundle->outer, error);
        bundle_leave(bundle);
        if (r < 0)
                return r;
        if (size > max)
                return error_set(error, -EFBIG, ERROR_BAD_ARCHIVE,
                                 "the file \"%s\" is larger than any of its kind", name);
        text[size] = 0;
        *ret = TAKE_PTR(text);
        *ret_size = size;
        return 0;
}

static la_ssize_t on_inner_read(struct archive *archive, void *userdata, const void **ret)
{
        Bundle *bundle = userdata;
        la_ssize_t n = bundle_read_some(bundle, bundle->block, sizeof(bundle->block));

        if (n < 0)
                archive_set_error(archive, EIO, "the file around it can't be read");
        *ret = bundle->block;
        return n;
}

int bundle_open_archive(Bundle *bundle, const char *name, struct archive **ret, sd_bus_error *error)
{
        int r = bundle_go(bundle, name, error);

        if (r < 0)
                return r;
        bundle->inner = bundle_reader_new();
        if (!bundle->inner)
                return -ENOMEM;
        if (archive_read_open(bundle->inner, bundle, NULL, on_inner_read, NULL) != ARCHIVE_OK)
                return bundle_archive_failed(bundle->inner, error);
        *ret = bundle->inner;
        return 0;
}
