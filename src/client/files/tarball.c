/* Tar streams and copies of trees, by libarchive; see tarball.h. */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "client/bus.h"
#include "client/files/tarball.h"

#define TARBALL_BLOCK 65536

#define TARBALL_EXTRACT                                                      \
        (ARCHIVE_EXTRACT_PERM | ARCHIVE_EXTRACT_TIME | ARCHIVE_EXTRACT_ACL | \
         ARCHIVE_EXTRACT_XATTR | ARCHIVE_EXTRACT_UNLINK | ARCHIVE_EXTRACT_SPARSE)

static inline void reader_freep(struct archive **archive)
{
        archive_read_free(*archive);
}

static inline void writer_freep(struct archive **archive)
{
        archive_write_free(*archive);
}

/* One transfer: where entries come from, where they go, and how their names change. */
typedef struct Tarball {
        struct archive *from, *to;
        const char *strip;  /* in front of each name: taken off */
        const char *prefix; /* put in its place; NULL: nothing */
        bool owners;
        bool to_disk;
} Tarball;

static int tarball_fail(struct archive *archive, const char *what, const char *name)
{
        const char *text = archive_error_string(archive);

        return client_fail("cannot %s%s%s: %s", what, name ? " " : "", name ? name : "",
                           text ? text : "no memory");
}

/* ------------------------------------------------------------------ entries */

/* Zeros where the source has a hole: a tar writer that knows of it drops them. */
static ssize_t tarball_write_zeros(struct archive *to, int64_t n)
{
        static const char zeros[TARBALL_BLOCK];

        while (n > 0) {
                ssize_t written = archive_write_data(to, zeros, MIN((size_t)n, sizeof(zeros)));

                if (written <= 0)
                        return -1;
                n -= written;
        }
        return 0;
}

static int tarball_pass_data(Tarball *tarball, const char *name)
{
        int64_t offset, at = 0;
        const void *block;
        size_t size;
        int r;

        while ((r = archive_read_data_block(tarball->from, &block, &size, &offset)) == ARCHIVE_OK) {
                if (tarball->to_disk) {
                        if (archive_write_data_block(tarball->to, block, size, offset) < 0)
                                return tarball_fail(tarball->to, "write", name);
                        continue;
                }
                if (tarball_write_zeros(tarball->to, offset - at) < 0 ||
                    (size > 0 && archive_write_data(tarball->to, block, size) < 0))
                        return tarball_fail(tarball->to, "write", name);
                at = offset + (int64_t)size;
        }
        return r == ARCHIVE_EOF ? 0 : tarball_fail(tarball->from, "read", name);
}

/* The entry's name at its destination, in new memory; "": the top itself, which is there already. */
static char *tarball_rename(const Tarball *tarball, const char *name)
{
        size_t strip = strlen(tarball->strip);
        char *renamed;

        if (strncmp(name, tarball->strip, strip) == 0 && (!name[strip] || name[strip] == '/'))
                name += strip;
        while (name[0] == '/')
                name++;
        if (!tarball->prefix)
                return strdup(name);
        return asprintf(&renamed, "%s%s%s", tarball->prefix, name[0] ? "/" : "", name) < 0
                       ? NULL
                       : renamed;
}

static int tarball_pass(Tarball *tarball, struct archive_entry *entry)
{
        _cleanup_(freep) char *name = tarball_rename(tarball, archive_entry_pathname(entry));
        const char *target = archive_entry_hardlink(entry);
        _cleanup_(freep) char *link = target ? tarball_rename(tarball, target) : NULL;
        int r;

        if (!name || (target && !link))
                return client_fail_errno(-ENOMEM, "cannot go on");
        if (!name[0] || strcmp(name, ".") == 0)
                return 0;
        archive_entry_copy_pathname(entry, name);
        if (link)
                archive_entry_copy_hardlink(entry, link);
        if (!tarball->owners) {
                archive_entry_set_uid(entry, 0);
                archive_entry_set_gid(entry, 0);
        }
        r = archive_write_header(tarball->to, entry);
        if (r < ARCHIVE_WARN)
                return tarball_fail(tarball->to, "write", name);
        if (archive_entry_size(entry) > 0 && !link) {
                r = tarball_pass_data(tarball, name);
                if (r)
                        return r;
        }
        if (archive_write_finish_entry(tarball->to) < ARCHIVE_WARN)
                return tarball_fail(tarball->to, "write", name);
        return 0;
}

/* From the disk: descends, finds hard links. */
static int tarball_pass_tree(Tarball *tarball)
{
        struct archive_entry_linkresolver *links = archive_entry_linkresolver_new();
        int r = links ? 0 : client_fail_errno(-ENOMEM, "cannot go on"), status = ARCHIVE_OK;

        if (links)
                archive_entry_linkresolver_set_strategy(links, ARCHIVE_FORMAT_TAR_PAX_INTERCHANGE);
        while (!r) {
                struct archive_entry *entry = archive_entry_new(), *spare = NULL;

                status = archive_read_next_header2(tarball->from, entry);
                if (status == ARCHIVE_OK || status == ARCHIVE_WARN) {
                        archive_read_disk_descend(tarball->from);
                        archive_entry_linkify(links, &entry, &spare);
                        r = tarball_pass(tarball, entry);
                }
                archive_entry_free(entry);
                if (status == ARCHIVE_EOF)
                        break;
                if (status < ARCHIVE_WARN)
                        r = tarball_fail(tarball->from, "read the files", NULL);
        }
        archive_entry_linkresolver_free(links);
        return r;
}

static int tarball_pass_stream(Tarball *tarball)
{
        struct archive_entry *entry;
        int status, r = 0;

        while (!r && (status = archive_read_next_header(tarball->from, &entry)) != ARCHIVE_EOF) {
                if (status < ARCHIVE_WARN)
                        return tarball_fail(tarball->from, "read the archive", NULL);
                r = tarball_pass(tarball, entry);
        }
        return r;
}

/* ------------------------------------------------------------------ the ends */

static struct archive *tarball_disk_reader(const char *path)
{
        _cleanup_(reader_freep) struct archive *archive = archive_read_disk_new();

        if (!archive)
                return NULL;
        archive_read_disk_set_symlink_physical(archive);
        archive_read_disk_set_behavior(archive, ARCHIVE_READDISK_NO_FFLAGS);
        if (archive_read_disk_open(archive, path) != ARCHIVE_OK) {
                tarball_fail(archive, "read", path);
                return NULL;
        }
        return TAKE_PTR(archive);
}

static struct archive *tarball_disk_writer(bool owners, int flags)
{
        struct archive *archive = archive_write_disk_new();

        if (archive)
                archive_write_disk_set_options(
                        archive, TARBALL_EXTRACT | flags | (owners ? ARCHIVE_EXTRACT_OWNER : 0));
        return archive;
}

/* Names are bytes; without this libarchive refuses those that are not of the locale. */
static void tarball_set_locale(void)
{
        setlocale(LC_CTYPE, "C.UTF-8");
}

int tarball_write(int directory, const char *name, bool owners, int to)
{
        _cleanup_(reader_freep) struct archive *from = NULL;
        _cleanup_(writer_freep) struct archive *writer = archive_write_new();
        Tarball tarball = {.to = writer, .strip = name ? "" : ".", .owners = owners};
        int r;

        tarball_set_locale();
        if (fchdir(directory) < 0)
                return client_fail_errno(errno_neg(), "cannot read the files");
        from = tarball.from = tarball_disk_reader(name ? name : ".");
        if (!from || !writer)
                return CLIENT_EXIT_FAILED;
        /* Not "restricted": that would cut times to seconds. */
        archive_write_set_format_pax(writer);
        if (archive_write_open_fd(writer, to) != ARCHIVE_OK)
                return tarball_fail(writer, "write the archive", NULL);
        r = tarball_pass_tree(&tarball);
        if (!r && archive_write_close(writer) != ARCHIVE_OK)
                r = tarball_fail(writer, "write the archive", NULL);
        return r;
}

int tarball_read(int from, int directory, bool owners)
{
        _cleanup_(reader_freep) struct archive *reader = archive_read_new();
        _cleanup_(writer_freep) struct archive *disk = tarball_disk_writer(
                owners, ARCHIVE_EXTRACT_SECURE_SYMLINKS | ARCHIVE_EXTRACT_SECURE_NODOTDOT |
                                ARCHIVE_EXTRACT_SECURE_NOABSOLUTEPATHS);
        Tarball tarball = {
                .from = reader, .to = disk, .strip = ".", .owners = owners, .to_disk = true};
        int r;

        tarball_set_locale();
        if (!reader || !disk)
                return client_fail_errno(-ENOMEM, "cannot go on");
        if (fchdir(directory) < 0)
                return client_fail_errno(errno_neg(), "cannot write the files");
        archive_read_support_format_tar(reader);
        archive_read_support_filter_gzip(reader);
        archive_read_support_filter_bzip2(reader);
        archive_read_support_filter_xz(reader);
        archive_read_support_filter_zstd(reader);
        if (archive_read_open_fd(reader, from, TARBALL_BLOCK) != ARCHIVE_OK)
                return tarball_fail(reader, "read the archive", NULL);
        r = tarball_pass_stream(&tarball);
        if (!r && archive_write_close(disk) != ARCHIVE_OK)
                r = tarball_fail(disk, "write the files", NULL);
        return r;
}

int tarball_copy(const char *path, const char *to, const char *name, bool owners)
{
        _cleanup_(reader_freep) struct archive *from = NULL;
        _cleanup_(writer_freep) struct archive *disk = tarball_disk_writer(owners, 0);
        _cleanup_(freep) char *prefix = NULL;
        Tarball tarball = {.to = disk, .strip = path, .owners = owners, .to_disk = true};
        int r;

        tarball_set_locale();
        if (asprintf(&prefix, "%s%s%s", to, name ? "/" : "", name ? name : "") < 0) {
                prefix = NULL;
                return client_fail_errno(-ENOMEM, "cannot go on");
        }
        tarball.prefix = prefix;
        from = tarball.from = tarball_disk_reader(path);
        if (!from || !disk)
                return CLIENT_EXIT_FAILED;
        r = tarball_pass_tree(&tarball);
        if (!r && archive_write_close(disk) != ARCHIVE_OK)
                r = tarball_fail(disk, "write the files", NULL);
        return r;
}
