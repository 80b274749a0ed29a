/*
 * A driver of one 9p device in memory: the rings, the descriptors and the pages that a guest would
 * have, and no guest. One request at a time, laid out as Linux lays them out (net/9p/trans_virtio.c):
 * an indirect table of the message, the answer's head, and the data in single pages.
 */
#pragma once

#include "base/loop.h"
#include "base/wire.h"
#include "vmm/mem/memory.h"
#include "vmm/p9/codec.h"
#include "vmm/virtio/device.h"

#define RING_DATA_MAX (512U << 10)

typedef struct Ring {
        Loop *loop;
        GuestMemory memory;
        VirtioDevice *device;
        uint16_t next;
        uint8_t *request, *reply, *data; /* of guest memory */
        WireWriter writer;               /* puts the message together */
} Ring;

/* A device over the directory @path, with its queue started. Ends the program on any error. */
void ring_open(Ring *ring, const char *path);
void ring_close(Ring *ring);

/* Starts a message of @type in ring->writer. */
void ring_begin(Ring *ring, uint8_t type);

/*
 * Sends it: @out bytes of ring->data go with it, @in bytes of room there for the answer's data (one
 * of the two is 0). The size of the answer.
 */
uint32_t ring_send(Ring *ring, uint32_t out, uint32_t in);

/* The same, and ends the program unless the answer is the message's own. */
void ring_call(Ring *ring, uint32_t out, uint32_t in);

/* Ends the program with @what went wrong. */
void ring_fail(const char *what) __attribute__((noreturn));
