/* Detach keys: the notation, and that no typed byte is lost or doubled. */
#include <errno.h>

#include "client/detach.h"
#include "test/unit.h"

static void test_parse(void)
{
        DetachKeys keys;

        unit_assert_int(detach_keys_parse(&keys, DETACH_KEYS_DEFAULT), 0);
        unit_assert_int(keys.n_keys, 2);
        unit_assert_int(keys.keys[0], 0x10);
        unit_assert_int(keys.keys[1], 0x11);
        unit_assert_int(detach_keys_parse(&keys, "a,ctrl-],b"), 0);
        unit_assert_int(keys.keys[1], 0x1d);
        unit_assert_int(detach_keys_parse(&keys, ""), 0);
        unit_assert_int(keys.n_keys, 0);
        unit_assert_int(detach_keys_parse(&keys, "ctrl-"), -EINVAL);
        unit_assert_int(detach_keys_parse(&keys, "ctrl-1"), -EINVAL);
        unit_assert_int(detach_keys_parse(&keys, "a,"), -EINVAL);
        unit_assert_int(detach_keys_parse(&keys, "a,b,c,d,e,f,g,h,i"), -EINVAL);
}

static void check(const char *sequence, const char *typed, const char *passed, bool detached)
{
        DetachKeys keys;
        uint8_t out[64 + DETACH_KEYS_MAX];
        size_t n_out = 0, total = 0;
        bool found = false;

        unit_assert_int(detach_keys_parse(&keys, sequence), 0);
        /* Byte by byte, the hardest way. */
        for (size_t i = 0; typed[i] && !found; i++) {
                found = detach_keys_feed(&keys, (const uint8_t *)typed + i, 1, out + total, &n_out);
                total += n_out;
        }
        unit_assert_int(found, detached);
        unit_assert_int(total, strlen(passed));
        unit_assert_bytes(out, passed, total);
}

static void test_feed(void)
{
        check("a,b", "xxaby", "xx", true);
        check("a,b", "aab", "a", true);
        check("a,b", "acab", "ac", true);
        check("a,a,b", "aaab", "a", true);
        check("a,b,a,c", "ababac", "ab", true);
        check("a,b", "xyz", "xyz", false);
        check("", "ab", "ab", false);
        check("a,b", "xa", "x", false);
}

UNIT_MAIN(UNIT_TEST(test_parse), UNIT_TEST(test_feed))
