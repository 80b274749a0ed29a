/* Extended attributes and access control lists. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "posix.h"

static void user_attributes(void)
{
        int fd = posix_file("file", "");
        char value[16];

        FAILS(ENODATA, getxattr("file", "user.a", value, sizeof(value)));
        TRY(setxattr("file", "user.a", "first", 5, 0));
        CHECK(TRY(getxattr("file", "user.a", NULL, 0)) == 5);
        CHECK(TRY(getxattr("file", "user.a", value, sizeof(value))) == 5);
        CHECK(memcmp(value, "first", 5) == 0);
        FAILS(ERANGE, getxattr("file", "user.a", value, 3));
        TRY(fsetxattr(fd, "user.a", "2nd", 3, 0));
        CHECK(TRY(fgetxattr(fd, "user.a", value, sizeof(value))) == 3);
        CHECK(TRY(getxattr("file", "user.a", value, sizeof(value))) == 3);
        TRY(removexattr("file", "user.a"));
        FAILS(ENODATA, removexattr("file", "user.a"));
        FAILS(ENODATA, getxattr("file", "user.a", value, sizeof(value)));
}

static void attribute_flags(void)
{
        posix_file("file", "");
        FAILS(ENODATA, setxattr("file", "user.a", "x", 1, XATTR_REPLACE));
        TRY(setxattr("file", "user.a", "x", 1, XATTR_CREATE));
        FAILS(EEXIST, setxattr("file", "user.a", "x", 1, XATTR_CREATE));
        TRY(setxattr("file", "user.a", "y", 1, XATTR_REPLACE));
}

static void empty_attribute(void)
{
        posix_file("file", "");
        TRY(setxattr("file", "user.a", "", 0, 0));
        CHECK(TRY(getxattr("file", "user.a", NULL, 0)) == 0);
        TRY(setxattr("file", "user.b", "", 0, XATTR_CREATE));
        TRY(setxattr("file", "user.b", "x", 1, 0));
        TRY(setxattr("file", "user.b", "", 0, 0));
        CHECK(TRY(getxattr("file", "user.b", NULL, 0)) == 0);
}

/* To replace by nothing is not to remove. */
static void emptied_attribute(void)
{
        posix_file("file", "");
        TRY(setxattr("file", "user.a", "x", 1, 0));
        TRY(setxattr("file", "user.a", "", 0, XATTR_REPLACE));
        CHECK(TRY(getxattr("file", "user.a", NULL, 0)) == 0);
}

static bool is_listed(const char *list, ssize_t size, const char *name)
{
        for (ssize_t at = 0; at < size; at += (ssize_t)strlen(list + at) + 1)
                if (strcmp(list + at, name) == 0)
                        return true;
        return false;
}

static void attribute_list(void)
{
        char list[256];
        ssize_t size;

        posix_file("file", "");
        TRY(setxattr("file", "user.a", "x", 1, 0));
        TRY(setxattr("file", "user.with.dots", "x", 1, 0));
        size = TRY(listxattr("file", list, sizeof(list)));
        CHECK(is_listed(list, size, "user.a") && is_listed(list, size, "user.with.dots"));
        CHECK(TRY(listxattr("file", NULL, 0)) == size);
        FAILS(ERANGE, listxattr("file", list, 3));
        TRY(removexattr("file", "user.a"));
        size = TRY(listxattr("file", list, sizeof(list)));
        CHECK(!is_listed(list, size, "user.a") && is_listed(list, size, "user.with.dots"));
}

static void attribute_limits(void)
{
        static char value[65537], back[65537];
        char name[300] = "user.";

        memset(value, 'v', sizeof(value));
        memset(name + 5, 'n', 251);
        posix_file("file", "");
        FAILS(ERANGE, setxattr("file", name, "x", 1, 0));
        name[255] = 0;
        TRY(setxattr("file", name, "x", 1, 0));
        CHECK(TRY(getxattr("file", name, NULL, 0)) == 1);
        TRY(removexattr("file", name));
        FAILS(E2BIG, setxattr("file", "user.a", value, 65537, 0));
        TRY(setxattr("file", "user.a", value, 3000, 0));
        CHECK(TRY(getxattr("file", "user.a", back, sizeof(back))) == 3000);
        CHECK(memcmp(value, back, 3000) == 0);
        FAILS(ENOSPC, setxattr("file", "user.b", value, 65536, 0)); /* ext4: within a block */
        FAILS(EOPNOTSUPP, setxattr("file", "nothing.a", "x", 1, 0));
}

static void attributes_of_others(void)
{
        TRY(mkdir("dir", 0755));
        TRY(symlink("dir", "link"));
        TRY(mkfifo("fifo", 0644));
        TRY(setxattr("dir", "user.a", "x", 1, 0));
        CHECK(TRY(getxattr("link", "user.a", NULL, 0)) == 1);
        FAILS(EPERM, lsetxattr("link", "user.a", "x", 1, 0));
        FAILS(EPERM, setxattr("fifo", "user.a", "x", 1, 0));
        CHECK(TRY(listxattr("fifo", NULL, 0)) >= 0);
}

static void user_without_right(void)
{
        FAILS(EACCES, getxattr("secret", "user.a", NULL, 0));
        CHECK(TRY(getxattr("readable", "user.a", NULL, 0)) == 1);
        FAILS(EACCES, setxattr("readable", "user.a", "y", 1, 0));
        FAILS(EPERM, setxattr("readable", "trusted.a", "y", 1, 0));
}

static void attribute_rights(void)
{
        posix_file("secret", "");
        posix_file("readable", "");
        TRY(chmod("secret", 0600));
        TRY(setxattr("secret", "user.a", "x", 1, 0));
        TRY(setxattr("readable", "user.a", "x", 1, 0));
        posix_as_user(user_without_right);
}

static void trusted_attributes(void)
{
        posix_file("file", "");
        TRY(setxattr("file", "trusted.a", "x", 1, 0));
        CHECK(TRY(getxattr("file", "trusted.a", NULL, 0)) == 1);
}

/* linux/capability.h: revision 2, effective, CAP_NET_RAW. */
static void capabilities(void)
{
        static const uint8_t value[20] = {1, 0, 0, 2, 0, 0x20};
        uint8_t back[24];
        int fd;

        posix_file("file", "");
        TRY(setxattr("file", "security.capability", value, sizeof(value), 0));
        CHECK(TRY(getxattr("file", "security.capability", back, sizeof(back))) == 20);
        CHECK(memcmp(value, back, 20) == 0);
        /* A change of content takes them away. */
        fd = TRY(open("file", O_WRONLY));
        CHECK(TRY(write(fd, "x", 1)) == 1);
        FAILS(ENODATA, getxattr("file", "security.capability", back, sizeof(back)));
}

/* linux/posix_acl_xattr.h: a version, then tag, permissions and id of each entry. */
typedef struct Acl {
        uint32_t version;
        struct {
                uint16_t tag, permissions;
                uint32_t id;
        } entries[5];
} Acl;

#define ACL_ACCESS  "system.posix_acl_access"
#define ACL_DEFAULT "system.posix_acl_default"

/* rw- for the owner, r-- for POSIX_USER, --- for the group and others. */
static const Acl acl_user = {2,
                             {{1, 6, UINT32_MAX},
                              {2, 4, POSIX_USER},
                              {4, 0, UINT32_MAX},
                              {16, 4, UINT32_MAX},
                              {32, 0, UINT32_MAX}}};

static void user_by_acl(void)
{
        TRY(open("file", O_RDONLY));
        FAILS(EACCES, open("file", O_RDWR));
}

static void user_without_acl(void)
{
        FAILS(EACCES, open("file", O_RDONLY));
}

static void acl_access(void)
{
        Acl back;

        posix_file("file", "");
        TRY(setxattr("file", ACL_ACCESS, &acl_user, sizeof(acl_user), 0));
        CHECK(TRY(getxattr("file", ACL_ACCESS, &back, sizeof(back))) == sizeof(back));
        CHECK(memcmp(&back, &acl_user, sizeof(back)) == 0);
        CHECK((posix_stat("file").st_mode & 0777) == 0640); /* the group's are the mask */
        posix_as_user(user_by_acl);
        TRY(chmod("file", 0600));
        posix_as_user(user_without_acl);
        TRY(chmod("file", 0640));
        posix_as_user(user_by_acl);
        TRY(removexattr("file", ACL_ACCESS));
        posix_as_user(user_without_acl);
        FAILS(ENODATA, getxattr("file", ACL_ACCESS, &back, sizeof(back)));
}

/* One that says no more than the mode becomes the mode. */
static void acl_minimal(void)
{
        static const Acl acl = {2, {{1, 6, UINT32_MAX}, {4, 4, UINT32_MAX}, {32, 0, UINT32_MAX}}};

        posix_file("file", "");
        TRY(setxattr("file", ACL_ACCESS, &acl, 4 + 3 * 8, 0));
        CHECK((posix_stat("file").st_mode & 0777) == 0640);
        FAILS(ENODATA, getxattr("file", ACL_ACCESS, NULL, 0));
}

static void acl_default(void)
{
        Acl back;

        TRY(mkdir("dir", 0755));
        TRY(setxattr("dir", ACL_DEFAULT, &acl_user, sizeof(acl_user), 0));
        umask(0);
        TRY(open("dir/file", O_CREAT | O_WRONLY, 0666));
        CHECK(TRY(getxattr("dir/file", ACL_ACCESS, &back, sizeof(back))) == sizeof(back));
        CHECK((posix_stat("dir/file").st_mode & 0777) == 0640);
        TRY(mkdir("dir/sub", 0777));
        CHECK(TRY(getxattr("dir/sub", ACL_DEFAULT, &back, sizeof(back))) == sizeof(back));
        TRY(chdir("dir"));
        posix_as_user(user_by_acl);
}

static void acl_default_of_file(void)
{
        posix_file("file", "");
        FAILS(EACCES, setxattr("file", ACL_DEFAULT, &acl_user, sizeof(acl_user), 0));
}

const PosixCase posix_cases_xattr[] = {
        {"xattr-user", user_attributes, 0},
        {"xattr-flags", attribute_flags, 0},
        {"xattr-empty", empty_attribute, 0},
        {"xattr-emptied", emptied_attribute, 0},
        {"xattr-list", attribute_list, 0},
        {"xattr-limits", attribute_limits, 0},
        {"xattr-types", attributes_of_others, 0},
        {"xattr-rights", attribute_rights, 0},
        {"xattr-trusted", trusted_attributes, 0},
        {"xattr-capabilities", capabilities, 0},
        {"acl-access", acl_access, 0},
        {"acl-minimal", acl_minimal, 0},
        {"acl-default", acl_default, 0},
        {"acl-default-of-file", acl_default_of_file, 0},
        {},
};
