/*
 * A request to a memory device (virtio 1.2 §5.15.6), taken apart, and its answer. Little-endian.
 *
 *   readable: type[2] 0[6] address[8] n_blocks[2] 0[6]       PLUG, UNPLUG, STATE; UNPLUG_ALL: no address
 *   writable: result[2] 0[6] state[2]
 *
 * Pure. All bytes are hostile; whether the address means anything is for the device to say.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define MEM_REQUEST_SIZE 24U
#define MEM_ANSWER_SIZE  10U

typedef enum MemType {
        MEM_PLUG,
        MEM_UNPLUG,
        MEM_UNPLUG_ALL,
        MEM_STATE,
        MEM_TYPE_MAX,
} MemType;

typedef enum MemResult {
        MEM_ACK,
        MEM_NACK, /* not wanted now */
        MEM_BUSY, /* the host can't now */
        MEM_ERROR,
} MemResult;

typedef enum MemState {
        MEM_PLUGGED,
        MEM_UNPLUGGED,
        MEM_MIXED,
} MemState;

typedef struct MemRequest {
        MemType type;
        uint64_t address;  /* of the first block; UNPLUG_ALL: 0 */
        uint32_t n_blocks; /* 0 to 65535 */
} MemRequest;

/* False: there is no such type. */
bool mem_request_decode(const uint8_t bytes[MEM_REQUEST_SIZE], MemRequest *ret);

/* @state matters to an acknowledged STATE only. */
void mem_answer_encode(MemResult result, MemState state, uint8_t bytes[MEM_ANSWER_SIZE]);
