/*
 * A request to a virtio block device (virtio 1.2 §5.2.6), taken apart:
 *
 *   readable                                   writable
 *   type[4] reserved[4] sector[8] | data …     data … | status[1]
 *
 *   IN (0)             -                       sectors          read
 *   OUT (1)            sectors                 -                written
 *   FLUSH (4)          -                       -
 *   GET_ID (8)         -                       20 bytes         the serial
 *   DISCARD (11)       ranges                  -
 *   WRITE_ZEROES (13)  ranges                  -
 *
 *   a range: sector[8] n_sectors[4] flags[4]; flags: 1 unmap (WRITE_ZEROES only)
 *
 * Pure. A chain is hostile and shared with the guest: what is decided on is copied once.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "vmm/virtio/queue.h"

#define BLK_SECTOR_SIZE   512U
#define BLK_RANGES_MAX    16U        /* of one request */
#define BLK_RANGE_SECTORS (1U << 21) /* the most of one range: 1 GiB */
#define BLK_ID_SIZE       20U

typedef enum BlkType {
        BLK_IN = 0,
        BLK_OUT = 1,
        BLK_FLUSH = 4,
        BLK_GET_ID = 8,
        BLK_DISCARD = 11,
        BLK_WRITE_ZEROES = 13,
} BlkType;

/* What the guest gets as the status byte. */
typedef enum BlkStatus {
        BLK_STATUS_OK = 0,
        BLK_STATUS_IOERR = 1,
        BLK_STATUS_UNSUPP = 2,
} BlkStatus;

/* The chain is no request, or has no place for its status: the device needs reset. */
#define BLK_REQUEST_E_MALFORMED 1

/* What a request may ask for. */
typedef struct BlkLimits {
        uint64_t sectors; /* of the disk */
        bool read_only;
} BlkLimits;

/* Bytes, all within the disk. */
typedef struct BlkRange {
        uint64_t offset, size;
        bool unmap; /* may be deallocated */
} BlkRange;

typedef struct BlkRequest {
        BlkType type;
        BlkStatus status;   /* not OK: the request ends with this, and the rest is unset */
        uint8_t *status_at; /* in the guest's memory */
        uint64_t offset;    /* IN, OUT: on the disk, in bytes, with @data_size within it */
        uint32_t data_size; /* IN, OUT, GET_ID: of the data in the chain */
        unsigned n_ranges;  /* DISCARD, WRITE_ZEROES: 1 or more */
        BlkRange ranges[BLK_RANGES_MAX];
} BlkRequest;

/* 0, also for one that must fail (@ret->status), or BLK_REQUEST_E_MALFORMED. */
int blk_request_decode(const VirtioChain *chain, const BlkLimits *limits, BlkRequest *ret);

/* The spans of the data of an IN, OUT or GET_ID, into @ret, which has room for all of the chain's.
 * Returns how many. */
unsigned blk_request_data(const BlkRequest *request, const VirtioChain *chain, struct iovec *ret);
