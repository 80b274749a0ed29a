/* Attributes of a file that is copied; see copymeta.h. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"

#include "agent/copymeta.h"

#define ACCESS_LIST  "system.posix_acl_access"
#define DEFAULT_LIST "system.posix_acl_default"
/* XATTR_SIZE_MAX, XATTR_LIST_MAX of Linux. */
#define VALUE_MAX 65536
#define LIST_MAX  65536

const char *copy_number(int fd, char buffer[COPY_NUMBER_SIZE])
{
        snprintf(buffer, COPY_NUMBER_SIZE, "%d", fd);
        return buffer;
}

/* Those that mean something elsewhere: not what security modules and the kernel keep for themselves. */
static bool is_copied(const char *name)
{
        return strncmp(name, "user.", 5) == 0 || strcmp(name, "security.capability") == 0 ||
               strcmp(name, ACCESS_LIST) == 0 || strcmp(name, DEFAULT_LIST) == 0;
}

/* What the file system there doesn't know can't be kept. */
static int set_attribute(const char *to, const char *name, const void *value, size_t size)
{
        return setxattr(to, name, value, size, 0) < 0 && errno != EOPNOTSUPP ? errno_neg() : 0;
}

static int copy_attribute(const char *from, const char *to, const char *name, char *value)
{
        ssize_t n = getxattr(from, name, value, VALUE_MAX);

        if (n < 0)
                return errno == ENODATA || errno == EOPNOTSUPP ? 0 : errno_neg();
        return set_attribute(to, name, value, (size_t)n);
}

static int remove_lists(const char *to)
{
        static const char *const names[] = {ACCESS_LIST, DEFAULT_LIST};

        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                if (removexattr(to, names[i]) < 0 && errno != ENODATA && errno != EOPNOTSUPP)
                        return errno_neg();
        return 0;
}

static int copy_extended(const char *from, const char *to)
{
        _cleanup_(freep) char *buffer = NULL;
        ssize_t size = listxattr(from, NULL, 0);
        int r = 0;

        if (size <= 0)
                return size == 0 || errno == EOPNOTSUPP ? 0 : errno_neg();
        buffer = malloc(LIST_MAX + VALUE_MAX);
        if (!buffer)
                return -ENOMEM;
        size = listxattr(from, buffer, LIST_MAX);
        if (size < 0)
                return errno_neg();
        for (char *name = buffer; r == 0 && name < buffer + size; name += strlen(name) + 1)
                if (is_copied(name))
                        r = copy_attribute(from, to, name, buffer + LIST_MAX);
        return r;
}

/* A change of the owner takes the set-id bits and capabilities away: it comes first. A list that is
 * set last agrees with the mode. */
int copy_attributes(int from, const struct stat *status, int to, bool plain)
{
        struct timespec times[2] = {status->st_atim, status->st_mtim};
        char from_number[COPY_NUMBER_SIZE], to_number[COPY_NUMBER_SIZE];
        mode_t mode = status->st_mode & 07777;
        int r = 0;

        copy_number(from, from_number);
        copy_number(to, to_number);
        if (fchownat(to, "", status->st_uid, status->st_gid, AT_EMPTY_PATH) < 0) {
                /* Where only one id can be had it is left out, and so is what would act for it. */
                if (errno != EOVERFLOW)
                        return errno_neg();
                mode &= 01777;
        }
        if (!S_ISLNK(status->st_mode)) {
                if (plain)
                        r = remove_lists(to_number);
                if (r == 0 && chmod(to_number, mode) < 0)
                        r = errno_neg();
                if (r == 0)
                        r = copy_extended(from_number, to_number);
        }
        if (r == 0 && utimensat(to, "", times, AT_EMPTY_PATH) < 0)
                r = errno_neg();
        return r;
}

bool copy_inherits(int fd)
{
        char number[COPY_NUMBER_SIZE];

        return getxattr(copy_number(fd, number), DEFAULT_LIST, NULL, 0) > 0;
}
