/* 9P2000.L on the wire; see codec.h. */
#include <errno.h>
#include <string.h>

#include "vmm/p9/codec.h"

/* A reader over the buffer that is being decoded, and the first rule that a name in it broke. */
typedef struct P9Decoder {
        WireReader reader;
        char *data;
        int name_error;
} P9Decoder;

int p9_header_decode(const uint8_t *data, size_t size, P9Header *ret)
{
        WireReader reader = wire_reader(data, size);
        P9Header header = {
                .size = wire_get_u32(&reader),
                .type = wire_get_u8(&reader),
                .tag = wire_get_u16(&reader),
        };

        if (reader.bad || header.size < P9_HEADER_SIZE)
                return -EINVAL;
        *ret = header;
        return 0;
}

/*
 * The string moves one byte to the front, over the second byte of its length, which makes room for
 * a NUL without touching what comes behind.
 */
static P9String p9_get_string(P9Decoder *decoder)
{
        uint16_t size = wire_get_u16(&decoder->reader);
        const uint8_t *bytes = wire_get_bytes(&decoder->reader, size);
        char *text;

        if (!bytes || memchr(bytes, 0, size)) {
                decoder->reader.bad = true;
                return (P9String){.text = ""};
        }
        text = decoder->data + (bytes - decoder->reader.data) - 1;
        memmove(text, bytes, size);
        text[size] = 0;
        return (P9String){.text = text, .size = size};
}

int p9_name_check(P9String name)
{
        if (name.size > P9_NAME_MAX)
                return -ENAMETOOLONG;
        if (name.size == 0 || strcmp(name.text, ".") == 0 || strcmp(name.text, "..") == 0)
                return -EINVAL;
        return memchr(name.text, '/', name.size) ? -EINVAL : 0;
}

static P9String p9_get_name(P9Decoder *decoder)
{
        P9String name = p9_get_string(decoder);

        if (!decoder->reader.bad && decoder->name_error == 0)
                decoder->name_error = p9_name_check(name);
        return name;
}

static P9Time p9_get_time(WireReader *reader)
{
        P9Time time = {.sec = wire_get_u64(reader)};

        time.nsec = wire_get_u64(reader);
        return time;
}

/* fid[4]: Tstatfs, Treadlink, Tclunk, Tremove */
static void p9_get_nothing(P9Decoder *decoder, P9Message *message)
{
}

/* msize[4] version[s] */
static void p9_get_version(P9Decoder *decoder, P9Message *message)
{
        message->version.msize = wire_get_u32(&decoder->reader);
        message->version.version = p9_get_string(decoder);
}

/* fid[4] afid[4] uname[s] aname[s] n_uname[4] */
static void p9_get_attach(P9Decoder *decoder, P9Message *message)
{
        message->attach.auth_fid = wire_get_u32(&decoder->reader);
        message->attach.user = p9_get_string(decoder);
        message->attach.tree = p9_get_string(decoder);
        message->attach.uid = wire_get_u32(&decoder->reader);
}

/* oldtag[2] */
static void p9_get_flush(P9Decoder *decoder, P9Message *message)
{
        message->flush.old_tag = wire_get_u16(&decoder->reader);
}

/* fid[4] newfid[4] nwname[2] nwname × wname[s] */
static void p9_get_walk(P9Decoder *decoder, P9Message *message)
{
        message->walk.new_fid = wire_get_u32(&decoder->reader);
        message->walk.n_names = wire_get_u16(&decoder->reader);
        if (message->walk.n_names > P9_WALK_MAX) {
                decoder->reader.bad = true;
                return;
        }
        for (unsigned i = 0; i < message->walk.n_names; i++)
                message->walk.names[i] = p9_get_name(decoder);
}

/* fid[4] flags[4] */
static void p9_get_lopen(P9Decoder *decoder, P9Message *message)
{
        message->lopen.flags = wire_get_u32(&decoder->reader);
}

/* fid[4] name[s] flags[4] mode[4] gid[4] */
static void p9_get_lcreate(P9Decoder *decoder, P9Message *message)
{
        message->lcreate.name = p9_get_name(decoder);
        message->lcreate.flags = wire_get_u32(&decoder->reader);
        message->lcreate.mode = wire_get_u32(&decoder->reader);
        message->lcreate.gid = wire_get_u32(&decoder->reader);
}

/* fid[4] name[s] symtgt[s] gid[4] */
static void p9_get_symlink(P9Decoder *decoder, P9Message *message)
{
        message->symlink.name = p9_get_name(decoder);
        message->symlink.target = p9_get_string(decoder);
        message->symlink.gid = wire_get_u32(&decoder->reader);
}

/* dfid[4] name[s] mode[4] major[4] minor[4] gid[4] */
static void p9_get_mknod(P9Decoder *decoder, P9Message *message)
{
        message->mknod.name = p9_get_name(decoder);
        message->mknod.mode = wire_get_u32(&decoder->reader);
        message->mknod.major = wire_get_u32(&decoder->reader);
        message->mknod.minor = wire_get_u32(&decoder->reader);
        message->mknod.gid = wire_get_u32(&decoder->reader);
}

/* dfid[4] name[s] mode[4] gid[4] */
static void p9_get_mkdir(P9Decoder *decoder, P9Message *message)
{
        message->mkdir.name = p9_get_name(decoder);
        message->mkdir.mode = wire_get_u32(&decoder->reader);
        message->mkdir.gid = wire_get_u32(&decoder->reader);
}

/* fid[4] dfid[4] name[s] */
static void p9_get_rename(P9Decoder *decoder, P9Message *message)
{
        message->rename.dir_fid = wire_get_u32(&decoder->reader);
        message->rename.name = p9_get_name(decoder);
}

/* olddirfid[4] oldname[s] newdirfid[4] newname[s] */
static void p9_get_renameat(P9Decoder *decoder, P9Message *message)
{
        message->renameat.old_name = p9_get_name(decoder);
        message->renameat.new_dir_fid = wire_get_u32(&decoder->reader);
        message->renameat.new_name = p9_get_name(decoder);
}

/* dirfd[4] name[s] flags[4] */
static void p9_get_unlinkat(P9Decoder *decoder, P9Message *message)
{
        message->unlinkat.name = p9_get_name(decoder);
        message->unlinkat.flags = wire_get_u32(&decoder->reader);
}

/* dfid[4] fid[4] name[s] */
static void p9_get_link(P9Decoder *decoder, P9Message *message)
{
        message->link.old_fid = wire_get_u32(&decoder->reader);
        message->link.name = p9_get_name(decoder);
}

/* fid[4] request_mask[8] */
static void p9_get_getattr(P9Decoder *decoder, P9Message *message)
{
        message->getattr.mask = wire_get_u64(&decoder->reader);
}

/* fid[4] valid[4] mode[4] uid[4] gid[4] size[8] atime_sec[8] atime_nsec[8] mtime_sec[8]
 * mtime_nsec[8] */
static void p9_get_setattr(P9Decoder *decoder, P9Message *message)
{
        message->setattr.valid = wire_get_u32(&decoder->reader);
        message->setattr.mode = wire_get_u32(&decoder->reader);
        message->setattr.uid = wire_get_u32(&decoder->reader);
        message->setattr.gid = wire_get_u32(&decoder->reader);
        message->setattr.size = wire_get_u64(&decoder->reader);
        message->setattr.atime = p9_get_time(&decoder->reader);
        message->setattr.mtime = p9_get_time(&decoder->reader);
}

/* fid[4] newfid[4] name[s] */
static void p9_get_xattrwalk(P9Decoder *decoder, P9Message *message)
{
        message->xattrwalk.new_fid = wire_get_u32(&decoder->reader);
        message->xattrwalk.name = p9_get_string(decoder);
}

/* fid[4] name[s] attr_size[8] flags[4] */
static void p9_get_xattrcreate(P9Decoder *decoder, P9Message *message)
{
        message->xattrcreate.name = p9_get_string(decoder);
        message->xattrcreate.size = wire_get_u64(&decoder->reader);
        message->xattrcreate.flags = wire_get_u32(&decoder->reader);
}

/* fid[4] offset[8] count[4]; Twrite's data follows and isn't looked at */
static void p9_get_io(P9Decoder *decoder, P9Message *message)
{
        message->io.offset = wire_get_u64(&decoder->reader);
        message->io.count = wire_get_u32(&decoder->reader);
        if (message->header.type == P9_TWRITE &&
            (message->header.size < P9_WRITE_HEADER_SIZE ||
             message->io.count != message->header.size - P9_WRITE_HEADER_SIZE))
                decoder->reader.bad = true;
}

/* fid[4] datasync[4] */
static void p9_get_fsync(P9Decoder *decoder, P9Message *message)
{
        message->fsync.data_only = wire_get_u32(&decoder->reader);
}

/* fid[4] type[1] flags[4] start[8] length[8] proc_id[4] client_id[s]; Tgetlock without flags */
static void p9_get_lock(P9Decoder *decoder, P9Message *message)
{
        message->lock.type = wire_get_u8(&decoder->reader);
        message->lock.flags = message->header.type == P9_TLOCK ? wire_get_u32(&decoder->reader) : 0;
        message->lock.start = wire_get_u64(&decoder->reader);
        message->lock.length = wire_get_u64(&decoder->reader);
        message->lock.process = wire_get_u32(&decoder->reader);
        message->lock.client = p9_get_string(decoder);
}

static void (*const p9_decoders[P9_TYPE_MAX])(P9Decoder *, P9Message *) = {
        [P9_TSTATFS] = p9_get_nothing,
        [P9_TLOPEN] = p9_get_lopen,
        [P9_TLCREATE] = p9_get_lcreate,
        [P9_TSYMLINK] = p9_get_symlink,
        [P9_TMKNOD] = p9_get_mknod,
        [P9_TRENAME] = p9_get_rename,
        [P9_TREADLINK] = p9_get_nothing,
        [P9_TGETATTR] = p9_get_getattr,
        [P9_TSETATTR] = p9_get_setattr,
        [P9_TXATTRWALK] = p9_get_xattrwalk,
        [P9_TXATTRCREATE] = p9_get_xattrcreate,
        [P9_TREADDIR] = p9_get_io,
        [P9_TFSYNC] = p9_get_fsync,
        [P9_TLOCK] = p9_get_lock,
        [P9_TGETLOCK] = p9_get_lock,
        [P9_TLINK] = p9_get_link,
        [P9_TMKDIR] = p9_get_mkdir,
        [P9_TRENAMEAT] = p9_get_renameat,
        [P9_TUNLINKAT] = p9_get_unlinkat,
        [P9_TVERSION] = p9_get_version,
        [P9_TATTACH] = p9_get_attach,
        [P9_TFLUSH] = p9_get_flush,
        [P9_TWALK] = p9_get_walk,
        [P9_TREAD] = p9_get_io,
        [P9_TWRITE] = p9_get_io,
        [P9_TCLUNK] = p9_get_nothing,
        [P9_TREMOVE] = p9_get_nothing,
};

int p9_message_decode(uint8_t *data, size_t size, P9Message *ret)
{
        P9Decoder decoder = {.reader = wire_reader(data, size), .data = (char *)data};
        int r;

        r = p9_header_decode(data, size, &ret->header);
        if (r < 0)
                return r;
        if (ret->header.type >= P9_TYPE_MAX || !p9_decoders[ret->header.type])
                return -EOPNOTSUPP;
        if (ret->header.type != P9_TWRITE && ret->header.size != size)
                return -EINVAL;
        wire_get_bytes(&decoder.reader, P9_HEADER_SIZE);
        ret->fid = P9_NO_FID;
        if (ret->header.type != P9_TVERSION && ret->header.type != P9_TFLUSH)
                ret->fid = wire_get_u32(&decoder.reader);
        p9_decoders[ret->header.type](&decoder, ret);
        if (wire_reader_end(&decoder.reader) < 0)
                return -EINVAL;
        return decoder.name_error;
}

uint64_t p9_device_number(uint32_t major, uint32_t minor)
{
        return (minor & 0xff) | ((uint64_t)major << 8) | ((uint64_t)(minor & ~0xffU) << 12);
}

void p9_reply_begin(WireWriter *writer, uint8_t type, uint16_t tag)
{
        wire_put_u32(writer, 0);
        wire_put_u8(writer, type);
        wire_put_u16(writer, tag);
}

int p9_reply_end(WireWriter *writer, size_t n_behind)
{
        WireWriter size = wire_writer(writer->data, writer->size);
        size_t total;

        if (writer->bad || __builtin_add_overflow(writer->at, n_behind, &total) ||
            total > UINT32_MAX)
                return -ENOBUFS;
        wire_put_u32(&size, (uint32_t)total);
        return 0;
}

void p9_put_string(WireWriter *writer, const char *text, size_t size)
{
        if (size > UINT16_MAX) {
                writer->bad = true;
                return;
        }
        wire_put_u16(writer, (uint16_t)size);
        wire_put_bytes(writer, text, size);
}

void p9_put_qid(WireWriter *writer, P9Qid qid)
{
        wire_put_u8(writer, qid.type);
        wire_put_u32(writer, qid.version);
        wire_put_u64(writer, qid.path);
}

void p9_put_version(WireWriter *writer, uint32_t msize, const char *version)
{
        wire_put_u32(writer, msize);
        p9_put_string(writer, version, strlen(version));
}

void p9_put_walk(WireWriter *writer, const P9Qid *qids, uint16_t n)
{
        wire_put_u16(writer, n);
        for (unsigned i = 0; i < n; i++)
                p9_put_qid(writer, qids[i]);
}

void p9_put_open(WireWriter *writer, P9Qid qid, uint32_t io_unit)
{
        p9_put_qid(writer, qid);
        wire_put_u32(writer, io_unit);
}

static void p9_put_time(WireWriter *writer, P9Time time)
{
        wire_put_u64(writer, time.sec);
        wire_put_u64(writer, time.nsec);
}

void p9_put_attributes(WireWriter *writer, const P9Attributes *attributes)
{
        wire_put_u64(writer, attributes->valid);
        p9_put_qid(writer, attributes->qid);
        wire_put_u32(writer, attributes->mode);
        wire_put_u32(writer, attributes->uid);
        wire_put_u32(writer, attributes->gid);
        wire_put_u64(writer, attributes->n_links);
        wire_put_u64(writer, attributes->rdev);
        wire_put_u64(writer, attributes->size);
        wire_put_u64(writer, attributes->block_size);
        wire_put_u64(writer, attributes->blocks);
        p9_put_time(writer, attributes->atime);
        p9_put_time(writer, attributes->mtime);
        p9_put_time(writer, attributes->ctime);
        p9_put_time(writer, attributes->btime);
        wire_put_u64(writer, 0); /* st_gen */
        wire_put_u64(writer, 0); /* st_data_version */
}

void p9_put_statfs(WireWriter *writer, const P9Statfs *statfs)
{
        wire_put_u32(writer, statfs->type);
        wire_put_u32(writer, statfs->block_size);
        wire_put_u64(writer, statfs->blocks);
        wire_put_u64(writer, statfs->blocks_free);
        wire_put_u64(writer, statfs->blocks_available);
        wire_put_u64(writer, statfs->files);
        wire_put_u64(writer, statfs->files_free);
        wire_put_u64(writer, statfs->fsid);
        wire_put_u32(writer, statfs->name_max);
}

void p9_put_lock(WireWriter *writer, uint8_t status)
{
        wire_put_u8(writer, status);
}

void p9_put_getlock(WireWriter *writer, uint8_t type, uint64_t start, uint64_t length,
                    uint32_t process, P9String client)
{
        wire_put_u8(writer, type);
        wire_put_u64(writer, start);
        wire_put_u64(writer, length);
        wire_put_u32(writer, process);
        p9_put_string(writer, client.text, client.size);
}

void p9_put_dirent(WireWriter *writer, P9Qid qid, uint64_t offset, uint8_t type, const char *name,
                   size_t name_size)
{
        p9_put_qid(writer, qid);
        wire_put_u64(writer, offset);
        wire_put_u8(writer, type);
        p9_put_string(writer, name, name_size);
}
