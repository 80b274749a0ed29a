/*
 * Every 9p T-message: the first byte is the type, the rest its body; after 0xff comes a message
 * with a header of its own. What decodes has its strings inside the buffer, terminated, and its
 * names are single components; what a reply would say of it is encoded into too little room and
 * enough.
 */
#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "test/fuzz/fuzz.h"
#include "vmm/p9/codec.h"

static void check_string(const uint8_t *data, size_t size, P9String string)
{
        const uint8_t *text = (const uint8_t *)string.text;

        assert(text >= data && string.size < size - (size_t)(text - data));
        assert(strlen(string.text) == string.size);
}

static void check_name(const uint8_t *data, size_t size, P9String name)
{
        check_string(data, size, name);
        assert(name.size > 0 && name.size <= P9_NAME_MAX);
        assert(!strchr(name.text, '/') && strcmp(name.text, ".") != 0);
        assert(strcmp(name.text, "..") != 0);
}

static void check_message(const uint8_t *data, size_t size, const P9Message *message)
{
        switch (message->header.type) {
        case P9_TWALK:
                assert(message->walk.n_names <= P9_WALK_MAX);
                for (unsigned i = 0; i < message->walk.n_names; i++)
                        check_name(data, size, message->walk.names[i]);
                break;
        case P9_TRENAMEAT:
                check_name(data, size, message->renameat.old_name);
                check_name(data, size, message->renameat.new_name);
                break;
        case P9_TSYMLINK:
                check_name(data, size, message->symlink.name);
                check_string(data, size, message->symlink.target);
                break;
        case P9_TLCREATE:
                check_name(data, size, message->lcreate.name);
                break;
        case P9_TATTACH:
                check_string(data, size, message->attach.user);
                check_string(data, size, message->attach.tree);
                break;
        case P9_TWRITE:
                assert(message->io.count == message->header.size - P9_WRITE_HEADER_SIZE);
                break;
        }
}

/* Replies made of what the message holds. */
static void put_reply(const P9Message *message, WireWriter *writer)
{
        P9Qid qid = {.type = message->header.type, .path = message->fid};

        switch (message->header.type) {
        case P9_TVERSION:
                p9_put_version(writer, message->version.msize, message->version.version.text);
                break;
        case P9_TWALK:
                p9_put_walk(writer, (P9Qid[2]){qid, qid}, message->walk.n_names > 1 ? 2 : 0);
                break;
        case P9_TLOPEN:
                p9_put_open(writer, qid, message->lopen.flags);
                break;
        case P9_TGETATTR:
                p9_put_attributes(writer, &(P9Attributes){.valid = message->getattr.mask});
                break;
        case P9_TSTATFS:
                p9_put_statfs(writer, &(P9Statfs){.fsid = message->fid});
                break;
        case P9_TLOCK:
                p9_put_lock(writer, message->lock.type);
                break;
        case P9_TGETLOCK:
                p9_put_getlock(writer, message->lock.type, message->lock.start,
                               message->lock.length, message->lock.process, message->lock.client);
                break;
        case P9_TREADDIR:
                p9_put_dirent(writer, qid, message->io.offset, 0, "name", 4);
                break;
        case P9_TREADLINK:
                p9_put_string(writer, "target", message->fid > UINT16_MAX ? SIZE_MAX : 6);
                break;
        }
}

static void check_reply(const P9Message *message)
{
        uint8_t room[P9_MESSAGE_MAX];

        for (size_t size = 16; size <= sizeof(room); size *= 8) {
                WireWriter writer = wire_writer(room, size);

                p9_reply_begin(&writer, message->header.type + 1, message->header.tag);
                put_reply(message, &writer);
                if (p9_reply_end(&writer, message->io.count) == 0)
                        assert(writer.at >= P9_HEADER_SIZE && writer.at <= size);
        }
}

/* Puts the input together as a message. False if it is too long for one. */
static bool make_message(const uint8_t *data, size_t size, WireWriter *writer)
{
        if (size == 0 || size - 1 > writer->size - P9_HEADER_SIZE)
                return false;
        if (data[0] == 0xff) {
                wire_put_bytes(writer, data + 1, size - 1);
                return true;
        }
        p9_reply_begin(writer, data[0], 1);
        wire_put_bytes(writer, data + 1, size - 1);
        return p9_reply_end(writer, 0) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static uint8_t copy[P9_MESSAGE_MAX];
        WireWriter writer = wire_writer(copy, sizeof(copy));
        P9Message message = {};
        int r;

        if (!make_message(data, size, &writer))
                return 0;
        /* Of a Twrite the codec sees the head alone. */
        size = writer.at;
        if (size > P9_WRITE_HEADER_SIZE && copy[4] == P9_TWRITE)
                size = P9_WRITE_HEADER_SIZE;
        r = p9_message_decode(copy, size, &message);
        if (r < 0) {
                assert(r == -EINVAL || r == -ENAMETOOLONG || r == -EOPNOTSUPP);
                return 0;
        }
        check_message(copy, size, &message);
        check_reply(&message);
        return 0;
}
