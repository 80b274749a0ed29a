/* Large directories through the 9p server: listed whole, and while they change. */
#include "test/unit/p9_guest.h"

#define ENTRIES 10000

static void name_of(unsigned i, char ret[static 32])
{
        snprintf(ret, 32, "entry-%u", i);
}

/* So many names of one file: made and removed faster than files. */
static void fill_directory(Guest *guest)
{
        char name[32];

        unit_assert_int(mknodat(guest->dir, "file", S_IFREG | 0644, 0), 0);
        for (unsigned i = 0; i < ENTRIES; i++) {
                name_of(i, name);
                unit_assert_int(linkat(guest->dir, "file", guest->dir, name, 0), 0);
        }
        unit_assert_int(guest_walk(guest, GUEST_ROOT, 1, ""), 0);
        unit_assert_int(guest_lopen(guest, 1, O_RDONLY), 0);
}

/* Counts the entries of one reply in @seen; the offset of the last, or @offset at the end. */
static uint64_t note_reply(Guest *guest, uint64_t offset, uint32_t count, uint8_t *seen)
{
        int r = guest_fetch(guest, P9_TREADDIR, 1, offset, count);
        char name[32];

        unit_assert(r >= 0);
        while (wire_left(&guest->reply) > 0) {
                size_t size;

                guest_get_qid(guest);
                offset = wire_get_u64(&guest->reply);
                wire_get_u8(&guest->reply);
                size = wire_get_u16(&guest->reply);
                unit_assert(size < sizeof(name));
                memcpy(name, wire_get_bytes(&guest->reply, size), size);
                name[size] = 0;
                if (strncmp(name, "entry-", 6) == 0)
                        seen[strtoul(name + 6, NULL, 10)]++;
        }
        return offset;
}

/* With replies of several sizes, up to all of msize. */
static void test_list_whole(void)
{
        static const uint32_t counts[] = {4096, 16384, 100000, 511976};
        Guest *guest = guest_open();

        fill_directory(guest);
        for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
                static uint8_t seen[ENTRIES];
                uint64_t offset = 0, before;

                memset(seen, 0, sizeof(seen));
                do {
                        before = offset;
                        offset = note_reply(guest, before, counts[i], seen);
                } while (offset != before);
                for (unsigned k = 0; k < ENTRIES; k++)
                        unit_assert_int(seen[k], 1);
        }
        guest_close(guest);
}

/* What is deleted meanwhile may be missed; what stays is seen once. So rm -rf works. */
static void test_list_while_deleting(void)
{
        static uint8_t seen[ENTRIES];
        Guest *guest = guest_open();
        uint64_t offset = 0, before;
        unsigned next = 0;
        char name[32];

        fill_directory(guest);
        do {
                before = offset;
                offset = note_reply(guest, before, 8192, seen);
                for (unsigned k = 0; k < 100 && next < ENTRIES; k++, next += 2) {
                        name_of(next, name);
                        unit_assert_int(guest_unlink(guest, GUEST_ROOT, name, 0), 0);
                }
        } while (offset != before);
        for (unsigned k = 0; k < ENTRIES; k++) {
                unit_assert(seen[k] <= 1);
                if (k % 2 == 1 || k >= next)
                        unit_assert_int(seen[k], 1);
        }
        guest_close(guest);
}

/* Each reply's entries are deleted before the next is asked for, as rm does. */
static void test_delete_while_listing(void)
{
        static uint8_t seen[ENTRIES];
        Guest *guest = guest_open();
        uint64_t offset = 0, before;
        struct stat st;
        char name[32];

        fill_directory(guest);
        do {
                before = offset;
                memset(seen, 0, sizeof(seen));
                offset = note_reply(guest, before, 65536, seen);
                for (unsigned k = 0; k < ENTRIES; k++)
                        if (seen[k]) {
                                name_of(k, name);
                                unit_assert_int(guest_unlink(guest, GUEST_ROOT, name, 0), 0);
                        }
        } while (offset != before);
        unit_assert_int(fstatat(guest->dir, "file", &st, 0), 0);
        unit_assert_int(st.st_nlink, 1);
        guest_close(guest);
}

UNIT_MAIN(UNIT_TEST(test_list_whole), UNIT_TEST(test_list_while_deleting),
          UNIT_TEST(test_delete_while_listing))
