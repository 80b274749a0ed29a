/* Owner, mode, times and extended attributes; see metadata.h. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "uvmd/image/metadata.h"

/* Container ids must fit into a sandbox's 65,536. */
#define METADATA_ID_MAX 65535

/*
 * What an image may bring: user.*, file capabilities and ACLs. trusted.* steers overlayfs and the
 * host's labels are the host's business.
 */
static bool metadata_xattr_is_wanted(const char *name)
{
        return strncmp(name, "user.", 5) == 0 || strcmp(name, "security.capability") == 0 ||
               strcmp(name, "system.posix_acl_access") == 0 ||
               strcmp(name, "system.posix_acl_default") == 0;
}

static int metadata_apply_xattrs(int fd, struct archive_entry *entry)
{
        const char *name;
        const void *value;
        size_t size;

        archive_entry_xattr_reset(entry);
        while (archive_entry_xattr_next(entry, &name, &value, &size) == ARCHIVE_OK) {
                if (!metadata_xattr_is_wanted(name))
                        continue;
                if (fsetxattr(fd, name, value, size, 0) < 0 && errno != ENOTSUP)
                        return errno_neg();
        }
        return 0;
}

static int metadata_owner(struct archive_entry *entry, uid_t *ret_uid, gid_t *ret_gid)
{
        la_int64_t uid = archive_entry_uid(entry), gid = archive_entry_gid(entry);

        if (uid < 0 || uid > METADATA_ID_MAX || gid < 0 || gid > METADATA_ID_MAX)
                return -EOVERFLOW;
        *ret_uid = (uid_t)uid;
        *ret_gid = (gid_t)gid;
        return 0;
}

void metadata_times(struct archive_entry *entry, struct timespec ret[2])
{
        ret[1] = (struct timespec){
                .tv_sec = archive_entry_mtime(entry),
                .tv_nsec = archive_entry_mtime_nsec(entry),
        };
        ret[0] = ret[1];
        if (archive_entry_atime_is_set(entry))
                ret[0] = (struct timespec){
                        .tv_sec = archive_entry_atime(entry),
                        .tv_nsec = archive_entry_atime_nsec(entry),
                };
}

/* The owner first: changing it takes setuid bits and capabilities away. */
int metadata_apply_fd(int fd, struct archive_entry *entry)
{
        struct timespec times[2];
        uid_t uid;
        gid_t gid;
        int r = metadata_owner(entry, &uid, &gid);

        if (r < 0)
                return r;
        if (fchown(fd, uid, gid) < 0 || fchmod(fd, archive_entry_perm(entry) & 07777) < 0)
                return errno_neg();
        r = metadata_apply_xattrs(fd, entry);
        if (r < 0)
                return r;
        metadata_times(entry, times);
        return futimens(fd, times) < 0 ? errno_neg() : 0;
}

int metadata_apply_at(int parent, const char *name, struct archive_entry *entry)
{
        struct timespec times[2];
        uid_t uid;
        gid_t gid;
        int r = metadata_owner(entry, &uid, &gid);

        if (r < 0)
                return r;
        if (fchownat(parent, name, uid, gid, AT_SYMLINK_NOFOLLOW) < 0)
                return errno_neg();
        if (archive_entry_filetype(entry) != S_IFLNK &&
            fchmodat(parent, name, archive_entry_perm(entry) & 07777, 0) < 0)
                return errno_neg();
        metadata_times(entry, times);
        return utimensat(parent, name, times, AT_SYMLINK_NOFOLLOW) < 0 ? errno_neg() : 0;
}

int metadata_list(int directory, char ***ret, size_t *ret_n)
{
        int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *stream = fd >= 0 ? fdopendir(fd) : NULL;
        char **names = NULL;
        size_t n = 0;
        struct dirent *entry;
        int r = 0;

        if (!stream) {
                fd_close(fd);
                return errno_neg();
        }
        while (!r && (errno = 0, entry = readdir(stream))) {
                char **grown;

                if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
                        continue;
                grown = reallocarray(names, n + 1, sizeof(*names));
                if (grown) {
                        names = grown;
                        names[n] = strdup(entry->d_name);
                }
                if (!grown || !names[n])
                        r = -ENOMEM;
                else
                        n++;
        }
        closedir(stream);
        *ret = names;
        *ret_n = n;
        return r;
}
