/* Set-id bits of files that a guest's root writes, by a server that may not keep them. */
#include "test/unit/p9_guest.h"

/* A file of that mode as fid 1, open for reading and writing, and its name. */
static Guest *open_file(uint32_t mode)
{
        Guest *guest = guest_open();

        guest_drop_fsetid();
        unit_assert_int(guest_walk(guest, GUEST_ROOT, 1, ""), 0);
        unit_assert_int(guest_lcreate(guest, 1, "file", O_RDWR, mode, P9_NO_ID), 0);
        return guest;
}

static int mode_of(const Guest *guest)
{
        struct stat st;

        unit_assert_int(fstatat(guest->dir, "file", &st, 0), 0);
        return st.st_mode & 07777;
}

static int change_mode(Guest *guest, uint32_t mode)
{
        P9Attributes attributes = {.mode = mode};

        return guest_setattr(guest, 1, P9_SET_MODE, &attributes);
}

/* That the host takes the bits off, or none of these tests shows anything. */
static void test_host_takes_them(void)
{
        Guest *guest = open_file(06755);
        int fd = openat(guest->dir, "file", O_WRONLY | O_CLOEXEC);

        unit_assert_int(mode_of(guest), 06755);
        unit_assert_int(write(fd, "x", 1), 1);
        unit_assert_int(mode_of(guest), 0755);
        fd_close(fd);
        guest_close(guest);
}

static void test_write(void)
{
        Guest *guest = open_file(06755);

        unit_assert_int(guest_write(guest, 1, 0, "text", 4), 4);
        unit_assert_int(mode_of(guest), 06755);
        unit_assert_int(guest_write(guest, 1, INT64_MAX, "text", 4), -EINVAL);
        unit_assert_int(mode_of(guest), 06755);
        guest_close(guest);
}

static void test_truncate(void)
{
        Guest *guest = open_file(04711);

        unit_assert_int(guest_truncate(guest, 1, 100), 0);
        unit_assert_int(mode_of(guest), 04711);
        /* By a fid that isn't open. */
        unit_assert_int(guest_walk(guest, GUEST_ROOT, 2, "file"), 0);
        unit_assert_int(guest_truncate(guest, 2, 50), 0);
        unit_assert_int(mode_of(guest), 04711);
        guest_close(guest);
}

static void test_open_truncated(void)
{
        Guest *guest = open_file(02755);
        char text[64];

        unit_assert_int(guest_write(guest, 1, 0, "text", 4), 4);
        unit_assert_int(guest_walk(guest, GUEST_ROOT, 2, "file"), 0);
        unit_assert_int(guest_lopen(guest, 2, O_WRONLY | P9_O_TRUNC), 0);
        unit_assert_int(guest_read(guest, 1, 0, text), 0);
        unit_assert_int(mode_of(guest), 02755);
        /* By a creation that finds it there. */
        unit_assert_int(guest_write(guest, 2, 0, "text", 4), 4);
        unit_assert_int(guest_walk(guest, GUEST_ROOT, 3, ""), 0);
        unit_assert_int(
                guest_lcreate(guest, 3, "file", O_RDWR | P9_O_CREATE | P9_O_TRUNC, 0600, P9_NO_ID),
                0);
        unit_assert_int(guest_read(guest, 1, 0, text), 0);
        unit_assert_int(mode_of(guest), 02755);
        guest_close(guest);
}

/* What the guest takes off stays off; what it sets later is kept. */
static void test_mode_set(void)
{
        Guest *guest = open_file(06755);

        unit_assert_int(change_mode(guest, 0755), 0);
        unit_assert_int(guest_write(guest, 1, 0, "text", 4), 4);
        unit_assert_int(mode_of(guest), 0755);
        unit_assert_int(change_mode(guest, 04700), 0);
        unit_assert_int(guest_write(guest, 1, 0, "text", 4), 4);
        unit_assert_int(mode_of(guest), 04700);
        guest_close(guest);
}

/* With a size, as a kernel does that truncates for a user. */
static void test_size_and_mode_set(void)
{
        Guest *guest = open_file(06755);
        P9Attributes attributes = {.mode = 0755, .size = 3};

        unit_assert_int(guest_setattr(guest, 1, P9_SET_SIZE | P9_SET_MODE, &attributes), 0);
        unit_assert_int(mode_of(guest), 0755);
        guest_close(guest);
}

/* Taken off behind the server's back: they don't come back, whatever it knew. */
static void test_taken_by_another(void)
{
        Guest *guest = open_file(06755);
        P9Attributes attributes;

        unit_assert_int(fchmodat(guest->dir, "file", 0755, 0), 0);
        unit_assert_int(guest_write(guest, 1, 0, "text", 4), 4);
        unit_assert_int(mode_of(guest), 0755);
        /* Set by another: kept from when the guest may know of them. */
        unit_assert_int(fchmodat(guest->dir, "file", 04755, 0), 0);
        unit_assert_int(guest_getattr(guest, 1, &attributes), 0);
        unit_assert_int(attributes.mode & 07777, 04755);
        unit_assert_int(guest_write(guest, 1, 0, "text", 4), 4);
        unit_assert_int(mode_of(guest), 04755);
        guest_close(guest);
}

UNIT_MAIN(UNIT_TEST(test_host_takes_them), UNIT_TEST(test_write), UNIT_TEST(test_truncate),
          UNIT_TEST(test_open_truncated), UNIT_TEST(test_mode_set),
          UNIT_TEST(test_size_and_mode_set), UNIT_TEST(test_taken_by_another))
