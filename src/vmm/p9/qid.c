/* Identities of files; see qid.h. */
#include <dirent.h>
#include <sys/sysmacros.h>

#include "vmm/p9/qid.h"

/* Bits of an inode number that leave room for a device's number above them. */
#define P9_INODE_BITS 48

P9Identity p9_identity(const struct statx *st)
{
        P9Identity identity = {
                .device = makedev(st->stx_dev_major, st->stx_dev_minor),
                .inode = st->stx_ino,
        };

        if (st->stx_mask & STATX_MNT_ID)
                identity.mount = st->stx_mnt_id;
        if (st->stx_mask & STATX_BTIME)
                identity.birth = (uint64_t)st->stx_btime.tv_sec * 1000000000ULL +
                                 st->stx_btime.tv_nsec;
        return identity;
}

bool p9_identity_same_inode(const P9Identity *a, const P9Identity *b)
{
        return a->inode == b->inode && a->device == b->device && a->mount == b->mount;
}

bool p9_identity_equal(const P9Identity *a, const P9Identity *b)
{
        return p9_identity_same_inode(a, b) && a->birth == b->birth;
}

/* The finalizer of splitmix64: each input bit changes about half of the output. */
static uint64_t p9_mix(uint64_t value)
{
        value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9ULL;
        value = (value ^ (value >> 27)) * 0x94d049bb133111ebULL;
        return value ^ (value >> 31);
}

uint64_t p9_identity_hash(const P9Identity *identity)
{
        return identity->inode ^ p9_mix(identity->device) ^ p9_mix(identity->mount << 1);
}

static unsigned p9_device_index(P9Devices *devices, uint64_t device)
{
        for (unsigned i = 0; i < devices->n; i++)
                if (devices->devices[i] == device)
                        return i;
        if (devices->n == P9_DEVICES_MAX)
                return P9_DEVICES_MAX;
        devices->devices[devices->n] = device;
        return devices->n++;
}

/*
 * Inode numbers that need the upper bits (some network and FUSE file systems) and devices beyond
 * the table are folded into 63 bits with the top bit set: they never meet the others, and one
 * another only by a chance of one in 2^63.
 */
static uint64_t p9_qid_path(P9Devices *devices, uint64_t device, uint64_t inode)
{
        unsigned index = p9_device_index(devices, device);

        if (inode >> P9_INODE_BITS == 0 && index < P9_DEVICES_MAX)
                return ((uint64_t)index << P9_INODE_BITS) | inode;
        return p9_mix(inode ^ p9_mix(device)) | (1ULL << 63);
}

P9Qid p9_qid(P9Devices *devices, const P9Identity *identity, uint32_t mode)
{
        P9Qid qid = {
                .type = P9_QID_FILE,
                .version = (uint32_t)p9_mix(identity->birth),
                .path = p9_qid_path(devices, identity->device, identity->inode),
        };

        if (S_ISDIR(mode))
                qid.type = P9_QID_DIR;
        else if (S_ISLNK(mode))
                qid.type = P9_QID_SYMLINK;
        return qid;
}

P9Qid p9_qid_of_entry(P9Devices *devices, uint64_t device, uint64_t inode, uint8_t type)
{
        P9Identity identity = {.device = device, .inode = inode};
        P9Qid qid = p9_qid(devices, &identity, (uint32_t)DTTOIF(type));

        qid.version = 0;
        return qid;
}
