/*
 * The header of every packet on the rx and tx queues of a virtio socket device (virtio 1.2
 * §5.10.6), little-endian, 44 bytes, followed by len bytes of payload:
 *
 *    0 u64 src_cid    8 u64 dst_cid   16 u32 src_port  20 u32 dst_port  24 u32 len
 *   28 u16 type      30 u16 op        32 u32 flags     36 u32 buf_alloc 40 u32 fwd_cnt
 *
 * Pure. Any 44 bytes decode: what the fields may be is the receiver's to check.
 */
#pragma once

#include <stdint.h>

#define VSOCK_HEADER_SIZE 44
#define VSOCK_CID_HOST    2
#define VSOCK_TYPE_STREAM 1

typedef enum VsockOp {
        VSOCK_OP_NONE = 0, /* "invalid": never sent */
        VSOCK_OP_REQUEST = 1,
        VSOCK_OP_RESPONSE = 2,
        VSOCK_OP_RST = 3,
        VSOCK_OP_SHUTDOWN = 4,
        VSOCK_OP_RW = 5,
        VSOCK_OP_CREDIT_UPDATE = 6,
        VSOCK_OP_CREDIT_REQUEST = 7,
} VsockOp;

/* Flags of VSOCK_OP_SHUTDOWN: what the sender of the packet will not do any more. */
#define VSOCK_SHUTDOWN_RECEIVE 1U
#define VSOCK_SHUTDOWN_SEND    2U
#define VSOCK_SHUTDOWN_BOTH    3U

typedef struct VsockHeader {
        uint64_t src_cid, dst_cid;
        uint32_t src_port, dst_port;
        uint32_t length; /* of the payload */
        uint16_t type;   /* VSOCK_TYPE_* */
        uint16_t op;     /* VsockOp, or anything a guest writes */
        uint32_t flags;
        uint32_t buffer_size; /* buf_alloc: what the sender can buffer in all */
        uint32_t forwarded;   /* fwd_cnt: what left that buffer since the start, modulo 2^32 */
} VsockHeader;

void vsock_header_decode(const uint8_t bytes[VSOCK_HEADER_SIZE], VsockHeader *ret);
void vsock_header_encode(const VsockHeader *header, uint8_t bytes[VSOCK_HEADER_SIZE]);
