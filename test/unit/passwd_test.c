/* A container's passwd and group: what is found, and what lines can't fool. */
#include <errno.h>

#include "agent/passwd.h"
#include "test/unit.h"

#define FIND(text, key, ret)       passwd_find_user(text, strlen(text), key, ret)
#define FIND_GROUP(text, key, ret) passwd_find_group(text, strlen(text), key, ret)

static const char passwd[] = "root:x:0:0:root:/root:/bin/sh\n"
                             "short:x:1\n"
                             ":x:7:7::/nameless:/bin/sh\n"
                             "bad:x:-1:4294967295::/bad:/bin/sh\n"
                             "1000:x:5:5::/five:/bin/sh\n"
                             "user:x:1000:100:A: B:/bin/sh\n"
                             "last:x:2000:200::/last";

static void test_users(void)
{
        PasswdUser user;

        unit_assert_int(FIND(passwd, "root", &user), 0);
        unit_assert_int(user.uid, 0);
        unit_assert_string(user.home, "/root");
        unit_assert_int(FIND(passwd, "0", &user), 0);
        unit_assert_string(user.name, "root");
        /* A name that is a number, earlier in the file than the number. */
        unit_assert_int(FIND(passwd, "1000", &user), 0);
        unit_assert_int(user.uid, 5);
        unit_assert_int(FIND(passwd, "last", &user), 0);
        unit_assert_int(user.gid, 200);
        unit_assert_string(user.home, "/last");
}

static void test_bad_lines(void)
{
        PasswdUser user;

        unit_assert_int(FIND(passwd, "short", &user), -ENOENT);
        unit_assert_int(FIND(passwd, "", &user), -ENOENT);
        unit_assert_int(FIND(passwd, "7", &user), -ENOENT);
        unit_assert_int(FIND(passwd, "bad", &user), -ENOENT);
        unit_assert_int(FIND(passwd, "roo", &user), -ENOENT);
        unit_assert_int(passwd_find_user(passwd, 0, "root", &user), -ENOENT);
        unit_assert_int(FIND("a:x:99999999999:1::/:", "a", &user), -ENOENT);
        unit_assert_int(FIND("a:x:4294967295:1::/:", "a", &user), -ENOENT);
}

static void test_groups(void)
{
        static const char group[] = "root:x:0:\nwheel:x:10:user,other\nnobody:x:11:users\n"
                                    "bad:x:x:user\nend:x:12:a,user";
        uint32_t gid, gids[4];

        unit_assert_int(FIND_GROUP(group, "wheel", &gid), 0);
        unit_assert_int(gid, 10);
        unit_assert_int(FIND_GROUP(group, "11", &gid), 0);
        unit_assert_int(FIND_GROUP(group, "x", &gid), -ENOENT);
        unit_assert_int(passwd_member_groups(group, strlen(group), "user", gids, 4), 2);
        unit_assert_int(gids[0], 10);
        unit_assert_int(gids[1], 12);
        unit_assert_int(passwd_member_groups(group, strlen(group), "user", gids, 1), 1);
        unit_assert_int(passwd_member_groups(group, strlen(group), "use", gids, 4), 0);
}

UNIT_MAIN(UNIT_TEST(test_users), UNIT_TEST(test_bad_lines), UNIT_TEST(test_groups))
