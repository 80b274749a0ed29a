/*
 * Puts the entries of an archive into a root file system; see layer.h. Entries are reached through
 * walk.h and made without ever following their last component.
 */
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "uvmd/errors.h"
#include "uvmd/hash.h"
#include "uvmd/image/entry_name.h"
#include "uvmd/image/import.h"
#include "uvmd/image/layer.h"
#include "uvmd/image/metadata.h"
#include "uvmd/image/walk.h"

/* What this layer has made: an opaque mark must not take it away again. */
typedef struct LayerName {
        UT_hash_handle hh;
        char name[];
} LayerName;

/* Times of a directory, set at the end: what is made in it later would change them. */
typedef struct LayerTimes {
        struct LayerTimes *next;
        struct timespec times[2];
        char name[];
} LayerTimes;

typedef struct Layer {
        int root;
        bool whiteouts;
        LayerTotals *totals;
        LayerName *made;
        LayerTimes *times; /* newest first: children before parents */
        sd_bus_error *error;

        /* the entry at hand */
        struct archive *archive;
        struct archive_entry *entry;
        char name[ENTRY_NAME_MAX];
        const char *last;
        int parent;
} Layer;

static void layer_done(Layer *layer)
{
        LayerName *name, *next;
        LayerTimes *times;

        HASH_ITER (hh, layer->made, name, next) {
                HASH_DEL(layer->made, name);
                free(name);
        }
        while ((times = layer->times)) {
                layer->times = times->next;
                free(times);
        }
        fd_close(layer->parent);
}

static int layer_bad(Layer *layer, const char *why)
{
        return error_set(layer->error, -EBADMSG, ERROR_BAD_ARCHIVE,
                         "the archive's entry \"%s\" can't be used: %s", layer->name, why);
}

/* Turns a host's error into one with the entry's name, unless it already has a text. */
static int layer_failed(Layer *layer, int r)
{
        return error_set(layer->error, r, ERROR_FAILED, "cannot make \"%s\": %s", layer->name,
                         strerror(-r));
}

static int layer_archive_failed(Layer *layer)
{
        const char *text = archive_error_string(layer->archive);

        return error_set(layer->error, -EBADMSG, ERROR_BAD_ARCHIVE,
                         "the archive can't be read%s%s: %s", layer->name[0] ? " at " : "",
                         layer->name, text ? text : "it is cut short");
}

static bool layer_has_made(Layer *layer, const char *name)
{
        LayerName *found;

        HASH_FIND_STR(layer->made, name, found);
        return found != NULL;
}

/* Remembers the entry and the directories above it. */
static int layer_remember(Layer *layer)
{
        char name[ENTRY_NAME_MAX];

        strcpy(name, layer->name);
        while (name[0] && !layer_has_made(layer, name)) {
                LayerName *made = malloc(sizeof(*made) + strlen(name) + 1);
                char *slash = strrchr(name, '/');

                if (!made)
                        return -ENOMEM;
                strcpy(made->name, name);
                HASH_ADD_STR(layer->made, name, made);
                *(slash ? slash : name) = 0;
        }
        return 0;
}

static int layer_remember_times(Layer *layer, const struct timespec times[2])
{
        LayerTimes *item = malloc(sizeof(*item) + strlen(layer->name) + 1);

        if (!item)
                return -ENOMEM;
        memcpy(item->times, times, sizeof(item->times));
        strcpy(item->name, layer->name);
        item->next = layer->times;
        layer->times = item;
        return 0;
}

/* Directories that a later entry replaced are simply not there any more. */
static void layer_set_times(Layer *layer)
{
        for (LayerTimes *item = layer->times; item; item = item->next) {
                _cleanup_(fd_closep) int fd = FD_NONE;

                if (walk_open(layer->root, item->name, &fd) == 0)
                        futimens(fd, item->times);
        }
}

/* ------------------------------------------------------------------ whiteouts */

/* Takes away what the layers below have put into the directory at hand. */
static int layer_make_opaque(Layer *layer)
{
        char child[2 * ENTRY_NAME_MAX];
        size_t size = (size_t)(layer->last - layer->name);
        _cleanup_(freep) char **names = NULL;
        size_t n = 0;
        int r = metadata_list(layer->parent, &names, &n);

        memcpy(child, layer->name, size);
        for (size_t i = 0; i < n && !r; i++) {
                strcpy(child + size, names[i]);
                if (!layer_has_made(layer, child))
                        r = walk_remove(layer->parent, names[i]);
        }
        for (size_t i = 0; i < n; i++)
                free(names[i]);
        return r > 0 ? layer_bad(layer, walk_strerror(r)) : r;
}

static int layer_white_out(Layer *layer)
{
        int r = walk_remove(layer->parent, layer->last + strlen(".wh."));

        return r > 0 ? layer_bad(layer, walk_strerror(r)) : r;
}

/* ------------------------------------------------------------------ entries */

/* Copies the data, block by block with holes left out. */
static int layer_write_data(Layer *layer, int fd)
{
        const void *block;
        size_t size;
        la_int64_t at, end = 0;
        int r;

        while ((r = archive_read_data_block(layer->archive, &block, &size, &at)) == ARCHIVE_OK) {
                layer->totals->bytes += size;
                if (layer->totals->bytes > IMPORT_SIZE_MAX)
                        return error_set(layer->error, -EFBIG, ERROR_LIMIT_EXCEEDED,
                                         "the image is larger than %llu GiB",
                                         IMPORT_SIZE_MAX >> 30);
                for (size_t done = 0; done < size;) {
                        ssize_t n = pwrite(fd, (const char *)block + done, size - done,
                                           at + (la_int64_t)done);

                        if (n < 0)
                                return errno_neg();
                        done += (size_t)n;
                }
                /* A hole at the end comes as an empty block behind it, which writes nothing. */
                if (size > 0)
                        end = at + (la_int64_t)size;
        }
        if (r != ARCHIVE_EOF)
                return layer_archive_failed(layer);
        if (archive_entry_size(layer->entry) > end &&
            ftruncate(fd, archive_entry_size(layer->entry)) < 0)
                return errno_neg();
        return 0;
}

static int layer_make_file(Layer *layer)
{
        _cleanup_(fd_closep) int fd = openat(layer->parent, layer->last,
                                             O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                                             0600);
        int r;

        if (fd < 0)
                return errno_neg();
        r = layer_write_data(layer, fd);
        return r < 0 ? r : metadata_apply_fd(fd, layer->entry);
}

static int layer_make_directory(Layer *layer)
{
        _cleanup_(fd_closep) int fd = FD_NONE;
        struct timespec times[2];
        int r;

        if (layer->name[0] && mkdirat(layer->parent, layer->last, 0700) < 0 && errno != EEXIST)
                return errno_neg();
        fd = openat(layer->parent, layer->name[0] ? layer->last : ".",
                    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
                return errno_neg();
        r = metadata_apply_fd(fd, layer->entry);
        if (r < 0)
                return r;
        metadata_times(layer->entry, times);
        return layer_remember_times(layer, times);
}

static int layer_make_symlink(Layer *layer)
{
        const char *target = archive_entry_symlink(layer->entry);

        if (!target || !*target || strlen(target) >= ENTRY_NAME_MAX)
                return layer_bad(layer, "it is a symbolic link to nothing");
        if (symlinkat(target, layer->parent, layer->last) < 0)
                return errno_neg();
        return metadata_apply_at(layer->parent, layer->last, layer->entry);
}

/* The target of a hard link is a name like the entry's own, and must have come before it. */
static int layer_make_hardlink(Layer *layer)
{
        const char *text = archive_entry_hardlink(layer->entry);
        _cleanup_(fd_closep) int parent = FD_NONE;
        char target[ENTRY_NAME_MAX], directory[ENTRY_NAME_MAX];
        char *slash;
        int r = entry_name_check(text, target);

        if (r || !target[0])
                return layer_bad(layer, "it is a hard link that leads out of the image");
        strcpy(directory, target);
        slash = strrchr(directory, '/');
        *(slash ? slash : directory) = 0;
        r = walk_open(layer->root, directory, &parent);
        if (r > 0)
                return layer_bad(layer, walk_strerror(r));
        if (r < 0)
                return r;
        if (linkat(parent, entry_name_last(target), layer->parent, layer->last, 0) < 0)
                return errno == ENOENT ? layer_bad(layer, "it is a hard link to nothing")
                                       : errno_neg();
        return 0;
}

static int layer_make_node(Layer *layer, mode_t type)
{
        dev_t device = makedev(archive_entry_rdevmajor(layer->entry),
                               archive_entry_rdevminor(layer->entry));

        if (mknodat(layer->parent, layer->last, type | 0600, type == S_IFIFO ? 0 : device) < 0)
                return errno_neg();
        return metadata_apply_at(layer->parent, layer->last, layer->entry);
}

/* What stands in the way goes; a directory stays for a directory. */
static int layer_clear_place(Layer *layer, mode_t type)
{
        struct stat status;
        int r;

        if (fstatat(layer->parent, layer->last, &status, AT_SYMLINK_NOFOLLOW) < 0)
                return errno == ENOENT ? 0 : errno_neg();
        if (S_ISDIR(status.st_mode) && type == S_IFDIR)
                return 0;
        r = walk_remove(layer->parent, layer->last);
        return r > 0 ? layer_bad(layer, walk_strerror(r)) : r;
}

static int layer_make(Layer *layer)
{
        mode_t type = archive_entry_filetype(layer->entry);
        int r;

        if (!layer->name[0] && type != S_IFDIR)
                return layer_bad(layer, "the root itself must be a directory");
        r = layer->name[0] ? layer_clear_place(layer, type) : 0;
        if (r < 0)
                return r;
        if (archive_entry_hardlink(layer->entry))
                return layer_make_hardlink(layer);
        switch (type) {
        case S_IFREG:
                return layer_make_file(layer);
        case S_IFDIR:
                return layer_make_directory(layer);
        case S_IFLNK:
                return layer_make_symlink(layer);
        case S_IFIFO:
        case S_IFCHR:
        case S_IFBLK:
                return layer_make_node(layer, type);
        case S_IFSOCK:
                return 0; /* archives of live systems have them; nobody listens behind one */
        default:
                return layer_bad(layer, "it is of no kind that is known");
        }
}

static int layer_apply_kind(Layer *layer)
{
        int r;

        switch (layer->whiteouts ? entry_name_kind(layer->name) : ENTRY_PLAIN) {
        case ENTRY_WHITEOUT:
                return layer_white_out(layer);
        case ENTRY_OPAQUE:
                return layer_make_opaque(layer);
        case ENTRY_IGNORED:
                return 0;
        case ENTRY_PLAIN:
                break;
        }
        r = layer_make(layer);
        return r < 0 || !layer->whiteouts ? r : layer_remember(layer);
}

static int layer_apply_entry(Layer *layer)
{
        const char *text = archive_entry_pathname(layer->entry);
        char directory[ENTRY_NAME_MAX];
        char *slash;
        int r;

        if (!text)
                return layer_bad(layer, "its name is in no known character set");
        r = entry_name_check(text, layer->name);
        if (r) {
                snprintf(layer->name, sizeof(layer->name), "%s", text);
                return layer_bad(layer, entry_name_strerror(r));
        }
        if (++layer->totals->entries > IMPORT_ENTRIES_MAX)
                return error_set(layer->error, -E2BIG, ERROR_LIMIT_EXCEEDED,
                                 "the image has more than %u entries", IMPORT_ENTRIES_MAX);
        layer->last = entry_name_last(layer->name);
        strcpy(directory, layer->name);
        slash = strrchr(directory, '/');
        *(slash ? slash : directory) = 0;
        layer->parent = fd_close(layer->parent);
        r = walk_open(layer->root, directory, &layer->parent);
        if (r > 0)
                return layer_bad(layer, walk_strerror(r));
        if (r == 0)
                r = layer_apply_kind(layer);
        return r < 0 ? layer_failed(layer, r) : 0;
}

/* The next entry of a file tree, as an archive of it would have it. */
static void layer_enter_disk(Layer *layer, struct archive_entry_linkresolver *links)
{
        struct archive_entry *none = NULL;

        archive_read_disk_descend(layer->archive);
        if (archive_entry_filetype(layer->entry) != AE_IFDIR)
                archive_entry_linkify(links, &layer->entry, &none);
}

/* @links: of a file tree, else NULL. */
static int layer_run(Layer *layer, struct archive_entry_linkresolver *links)
{
        int r = 0, status;

        while (r >= 0 &&
               ((status = archive_read_next_header(layer->archive, &layer->entry)) == ARCHIVE_OK ||
                status == ARCHIVE_WARN)) {
                if (links)
                        layer_enter_disk(layer, links);
                r = layer_apply_entry(layer);
        }
        if (r >= 0 && status != ARCHIVE_EOF)
                r = layer_archive_failed(layer);
        if (r >= 0)
                layer_set_times(layer);
        layer_done(layer);
        return r;
}

int layer_apply(struct archive *archive, int root, bool whiteouts, LayerTotals *totals,
                sd_bus_error *error)
{
        Layer layer = {
                .root = root,
                .whiteouts = whiteouts,
                .totals = totals,
                .error = error,
                .archive = archive,
                .parent = FD_NONE,
        };

        return layer_run(&layer, NULL);
}

int layer_apply_disk(struct archive *disk, int root, LayerTotals *totals, sd_bus_error *error)
{
        struct archive_entry_linkresolver *links = archive_entry_linkresolver_new();
        Layer layer = {
                .root = root,
                .totals = totals,
                .error = error,
                .archive = disk,
                .parent = FD_NONE,
        };
        int r;

        if (!links)
                return -ENOMEM;
        archive_entry_linkresolver_set_strategy(links, ARCHIVE_FORMAT_TAR);
        r = layer_run(&layer, links);
        archive_entry_linkresolver_free(links);
        return r;
}
