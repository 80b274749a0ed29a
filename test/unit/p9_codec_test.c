/* Every 9p message: what is whole decodes, what isn't doesn't, and names are single components. */
#include <errno.h>
#include <string.h>

#include "test/unit.h"
#include "vmm/p9/codec.h"

typedef struct Case {
        uint8_t type;
        const char *body; /* d: u32, q: u64, b: u8, w: u16, n: a name, s: a string */
} Case;

static const Case cases[] = {
        {P9_TSTATFS, "d"},      {P9_TLOPEN, "dd"},         {P9_TLCREATE, "dnddd"},
        {P9_TSYMLINK, "dnsd"},  {P9_TMKNOD, "dndddd"},     {P9_TRENAME, "ddn"},
        {P9_TREADLINK, "d"},    {P9_TGETATTR, "dq"},       {P9_TSETATTR, "dddddqqqqq"},
        {P9_TXATTRWALK, "dds"}, {P9_TXATTRCREATE, "dsqd"}, {P9_TREADDIR, "dqd"},
        {P9_TFSYNC, "dd"},      {P9_TLOCK, "dbdqqds"},     {P9_TGETLOCK, "dbqqds"},
        {P9_TLINK, "ddn"},      {P9_TMKDIR, "dndd"},       {P9_TRENAMEAT, "dndn"},
        {P9_TUNLINKAT, "dnd"},  {P9_TVERSION, "ds"},       {P9_TATTACH, "ddssd"},
        {P9_TFLUSH, "w"},       {P9_TREAD, "dqd"},         {P9_TCLUNK, "d"},
        {P9_TREMOVE, "d"},
};

/* Numbers count up from 1, so that a swapped field shows. */
static size_t encode(const Case *c, const char *name, uint8_t *space, size_t room)
{
        WireWriter writer = wire_writer(space, room);
        unsigned value = 0;

        p9_reply_begin(&writer, c->type, 0x1234);
        for (const char *field = c->body; *field; field++) {
                value++;
                if (*field == 'd')
                        wire_put_u32(&writer, value);
                else if (*field == 'q')
                        wire_put_u64(&writer, value);
                else if (*field == 'b')
                        wire_put_u8(&writer, (uint8_t)value);
                else if (*field == 'w')
                        wire_put_u16(&writer, (uint16_t)value);
                else
                        p9_put_string(&writer, name, strlen(name));
        }
        unit_assert_int(p9_reply_end(&writer, 0), 0);
        return writer.at;
}

static int decode(const uint8_t *bytes, size_t size, P9Message *ret)
{
        static uint8_t copy[P9_MESSAGE_MAX]; /* decoding writes; strings stay valid in it */

        memcpy(copy, bytes, size);
        return p9_message_decode(copy, size, ret);
}

static void set_size(uint8_t *bytes, size_t size)
{
        WireWriter writer = wire_writer(bytes, 4);

        wire_put_u32(&writer, (uint32_t)size);
}

static void test_all_messages(void)
{
        uint8_t bytes[512];
        P9Message message;

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                size_t size = encode(&cases[i], "some", bytes, sizeof(bytes));

                unit_assert_int(decode(bytes, size, &message), 0);
                unit_assert_int(message.header.type, cases[i].type);
                unit_assert_int(message.header.tag, 0x1234);
                for (size_t cut = P9_HEADER_SIZE; cut < size; cut++) {
                        set_size(bytes, cut);
                        unit_assert_int(decode(bytes, cut, &message), -EINVAL);
                }
                bytes[size] = 0;
                set_size(bytes, size + 1);
                unit_assert_int(decode(bytes, size + 1, &message), -EINVAL);
        }
}

static void test_fields(void)
{
        uint8_t bytes[512];
        P9Message m;

        decode(bytes, encode(&(Case){P9_TLCREATE, "dnddd"}, "file", bytes, sizeof(bytes)), &m);
        unit_assert_int(m.fid, 1);
        unit_assert_string(m.lcreate.name.text, "file");
        unit_assert_int(m.lcreate.name.size, 4);
        unit_assert_int(m.lcreate.flags, 3);
        unit_assert_int(m.lcreate.mode, 4);
        unit_assert_int(m.lcreate.gid, 5);
        decode(bytes, encode(&(Case){P9_TSETATTR, "dddddqqqqq"}, "", bytes, sizeof(bytes)), &m);
        unit_assert_int(m.setattr.valid, 2);
        unit_assert_int(m.setattr.gid, 5);
        unit_assert_int(m.setattr.size, 6);
        unit_assert_int(m.setattr.mtime.nsec, 10);
        decode(bytes, encode(&(Case){P9_TRENAMEAT, "dndn"}, "x", bytes, sizeof(bytes)), &m);
        unit_assert_string(m.renameat.old_name.text, "x");
        unit_assert_int(m.renameat.new_dir_fid, 3);
        unit_assert_string(m.renameat.new_name.text, "x");
        decode(bytes, encode(&(Case){P9_TLOCK, "dbdqqds"}, "me", bytes, sizeof(bytes)), &m);
        unit_assert_int(m.lock.type, 2);
        unit_assert_int(m.lock.flags, 3);
        unit_assert_int(m.lock.length, 5);
        unit_assert_string(m.lock.client.text, "me");
        decode(bytes, encode(&(Case){P9_TVERSION, "ds"}, "9P2000.L", bytes, sizeof(bytes)), &m);
        unit_assert(m.fid == P9_NO_FID);
        unit_assert_int(m.version.msize, 1);
        unit_assert_string(m.version.version.text, "9P2000.L");
}

static int decode_name(const char *name)
{
        uint8_t bytes[1024];
        P9Message message;

        return decode(bytes, encode(&(Case){P9_TMKDIR, "dndd"}, name, bytes, sizeof(bytes)),
                      &message);
}

static void test_names(void)
{
        char longest[P9_NAME_MAX + 2];

        memset(longest, 'n', sizeof(longest));
        longest[P9_NAME_MAX + 1] = 0;
        unit_assert_int(decode_name(longest), -ENAMETOOLONG);
        longest[P9_NAME_MAX] = 0;
        unit_assert_int(decode_name(longest), 0);
        unit_assert_int(decode_name(""), -EINVAL);
        unit_assert_int(decode_name("."), -EINVAL);
        unit_assert_int(decode_name(".."), -EINVAL);
        unit_assert_int(decode_name("..."), 0);
        unit_assert_int(decode_name("/"), -EINVAL);
        unit_assert_int(decode_name("a/b"), -EINVAL);
        unit_assert_int(decode_name("../etc"), -EINVAL);
        unit_assert_int(decode_name("\xff\xfe"), 0); /* not UTF-8: names are bytes */
}

static void test_nul_in_string(void)
{
        uint8_t bytes[64];
        size_t size = encode(&(Case){P9_TMKDIR, "dndd"}, "abc", bytes, sizeof(bytes));
        P9Message message;

        bytes[P9_HEADER_SIZE + 4 + 2 + 1] = 0;
        unit_assert_int(decode(bytes, size, &message), -EINVAL);
}

static size_t encode_walk(uint8_t *space, size_t room, unsigned count, unsigned names)
{
        WireWriter writer = wire_writer(space, room);

        p9_reply_begin(&writer, P9_TWALK, 1);
        wire_put_u32(&writer, 3);
        wire_put_u32(&writer, 4);
        wire_put_u16(&writer, (uint16_t)count);
        for (unsigned i = 0; i < names; i++) {
                char name[2] = {(char)('a' + i), 0};

                p9_put_string(&writer, name, 1);
        }
        unit_assert_int(p9_reply_end(&writer, 0), 0);
        return writer.at;
}

static void test_walk(void)
{
        uint8_t bytes[256];
        P9Message message;

        unit_assert_int(decode(bytes, encode_walk(bytes, 256, 0, 0), &message), 0);
        unit_assert_int(decode(bytes, encode_walk(bytes, 256, 16, 16), &message), 0);
        unit_assert_int(message.walk.new_fid, 4);
        unit_assert_string(message.walk.names[0].text, "a");
        unit_assert_string(message.walk.names[15].text, "p");
        unit_assert_int(decode(bytes, encode_walk(bytes, 256, 17, 17), &message), -EINVAL);
        unit_assert_int(decode(bytes, encode_walk(bytes, 256, 3, 2), &message), -EINVAL);
        unit_assert_int(decode(bytes, encode_walk(bytes, 256, 2, 3), &message), -EINVAL);
        unit_assert_int(decode(bytes, encode_walk(bytes, 256, 0xffff, 1), &message), -EINVAL);
}

/* Of a Twrite only the head is there; its count must match the message's size. */
static void test_write(void)
{
        uint8_t bytes[64];
        WireWriter writer = wire_writer(bytes, sizeof(bytes));
        P9Message message;

        p9_reply_begin(&writer, P9_TWRITE, 1);
        wire_put_u32(&writer, 1);
        wire_put_u64(&writer, 1ULL << 40);
        wire_put_u32(&writer, 1000);
        unit_assert_int(p9_reply_end(&writer, 1000), 0);
        unit_assert_int(decode(bytes, P9_WRITE_HEADER_SIZE, &message), 0);
        unit_assert_int(message.io.count, 1000);
        unit_assert(message.io.offset == 1ULL << 40);
        set_size(bytes, P9_WRITE_HEADER_SIZE + 999);
        unit_assert_int(decode(bytes, P9_WRITE_HEADER_SIZE, &message), -EINVAL);
        /* A size below the head's, and the count that the subtraction would give. */
        set_size(bytes, 10);
        memset(bytes + 19, 0xff, 4);
        bytes[19] = (uint8_t)(10 - P9_WRITE_HEADER_SIZE);
        unit_assert_int(decode(bytes, P9_WRITE_HEADER_SIZE, &message), -EINVAL);
        unit_assert_int(decode(bytes, 10, &message), -EINVAL);
}

static void test_types(void)
{
        uint8_t bytes[P9_HEADER_SIZE] = {P9_HEADER_SIZE};
        P9Message message;
        unsigned known = 0;

        for (unsigned type = 0; type < 256; type++) {
                bytes[4] = (uint8_t)type;
                known += decode(bytes, sizeof(bytes), &message) == -EINVAL;
        }
        unit_assert_int(known, sizeof(cases) / sizeof(cases[0]) + 2); /* and Twalk, Twrite */
        set_size(bytes, P9_HEADER_SIZE - 1);
        unit_assert_int(decode(bytes, sizeof(bytes), &message), -EINVAL);
}

static void test_replies(void)
{
        static const uint8_t walk[] = {22, 0, 0, 0, 111, 9, 0, 1, 0, 0x80, 2,
                                       0,  0, 0, 3, 0,   0, 0, 0, 0, 0,    0};
        static const uint8_t dirent[] = {0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0,   0,
                                         8, 0, 0, 0, 0, 0, 0, 0, 4, 2, 0, 'h', 'i'};
        P9Qid qid = {.type = P9_QID_DIR, .version = 2, .path = 3};
        uint8_t bytes[256];
        WireWriter writer = wire_writer(bytes, sizeof(bytes));

        p9_reply_begin(&writer, P9_TWALK + 1, 9);
        p9_put_walk(&writer, &qid, 1);
        unit_assert_int(p9_reply_end(&writer, 0), 0);
        unit_assert_int(writer.at, sizeof(walk));
        unit_assert_bytes(bytes, walk, sizeof(walk));

        writer = wire_writer(bytes, sizeof(bytes));
        p9_put_dirent(&writer, (P9Qid){.path = 7}, 8, 4, "hi", 2);
        unit_assert_int(writer.at, P9_DIRENT_SIZE + 2);
        unit_assert_bytes(bytes, dirent, sizeof(dirent));

        writer = wire_writer(bytes, sizeof(bytes));
        p9_put_attributes(&writer, &(P9Attributes){});
        unit_assert_int(writer.at, 153);
        writer = wire_writer(bytes, sizeof(bytes));
        p9_put_statfs(&writer, &(P9Statfs){});
        unit_assert_int(writer.at, 60);
}

static void test_reply_too_long(void)
{
        uint8_t bytes[16];
        WireWriter writer = wire_writer(bytes, sizeof(bytes));

        p9_reply_begin(&writer, P9_TGETATTR + 1, 1);
        p9_put_attributes(&writer, &(P9Attributes){});
        unit_assert_int(p9_reply_end(&writer, 0), -ENOBUFS);
        writer = wire_writer(bytes, sizeof(bytes));
        p9_reply_begin(&writer, P9_TREAD + 1, 1);
        unit_assert_int(p9_reply_end(&writer, UINT32_MAX), -ENOBUFS);
        unit_assert_int(p9_reply_end(&writer, SIZE_MAX), -ENOBUFS);
}

/* What the guest's new_decode_dev() takes apart. */
static void test_device_number(void)
{
        uint64_t number = p9_device_number(0xabc, 0xfedcb);

        unit_assert_int((number & 0xfff00) >> 8, 0xabc);
        unit_assert_int((number & 0xff) | ((number >> 12) & 0xfff00), 0xfedcb);
}

UNIT_MAIN(UNIT_TEST(test_all_messages), UNIT_TEST(test_fields), UNIT_TEST(test_names),
          UNIT_TEST(test_nul_in_string), UNIT_TEST(test_walk), UNIT_TEST(test_write),
          UNIT_TEST(test_types), UNIT_TEST(test_replies), UNIT_TEST(test_reply_too_long),
          UNIT_TEST(test_device_number))
