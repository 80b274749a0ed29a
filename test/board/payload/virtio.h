/* A virtio-mmio driver that can be made to misbehave: one device, one queue, polling. */
#pragma once

#include "payload.h"

#define QUEUE_SIZE 8

#define DESCRIPTOR_NEXT     1
#define DESCRIPTOR_WRITE    2
#define DESCRIPTOR_INDIRECT 4

#define FEATURE_EVENT_IDX (1U << 29)
#define FEATURE_INDIRECT  (1U << 28)

enum {
        R_MAGIC = 0x000,
        R_VERSION = 0x004,
        R_DEVICE_ID = 0x008,
        R_VENDOR_ID = 0x00c,
        R_DEVICE_FEATURES = 0x010,
        R_DEVICE_FEATURES_SELECT = 0x014,
        R_DRIVER_FEATURES = 0x020,
        R_DRIVER_FEATURES_SELECT = 0x024,
        R_QUEUE_SELECT = 0x030,
        R_QUEUE_SIZE_MAX = 0x034,
        R_QUEUE_SIZE = 0x038,
        R_QUEUE_READY = 0x044,
        R_QUEUE_NOTIFY = 0x050,
        R_INTERRUPT_STATUS = 0x060,
        R_INTERRUPT_ACK = 0x064,
        R_STATUS = 0x070,
        R_DESCRIPTORS = 0x080,
        R_AVAILABLE = 0x090,
        R_USED = 0x0a0,
        R_CHANGES = 0x0f8,
        R_CONFIG_GENERATION = 0x0fc,
        R_CONFIG = 0x100,
};

typedef struct Descriptor {
        uint64_t address;
        uint32_t length;
        uint16_t flags, next;
} Descriptor;

typedef struct Rings {
        Descriptor descriptors[QUEUE_SIZE] __attribute__((aligned(4096)));
        struct {
                volatile uint16_t flags, index, ring[QUEUE_SIZE], used_event;
        } available __attribute__((aligned(64)));
        struct {
                volatile uint16_t flags, index;
                volatile struct {
                        uint32_t id, length;
                } ring[QUEUE_SIZE];
                volatile uint16_t available_event;
        } used __attribute__((aligned(64)));
} Rings;

typedef struct Driver {
        uint64_t registers;
        uint32_t queue;
        Rings *rings;
        uint16_t available; /* the next index to publish */
} Driver;

/* The same in steps, for a device with more queues: each has a Driver of its own. */
void driver_begin(uint64_t registers, uint32_t features);
void driver_add(Driver *driver, uint64_t registers, uint32_t queue, Rings *rings);
void driver_end(uint64_t registers);

/* driver_add() without touching the rings. */
void driver_place(uint64_t registers, uint32_t queue, const Rings *rings);

/* Resets the device and brings it to DRIVER_OK with queue 0 on @rings, which is cleared. */
void driver_start(Driver *driver, uint64_t registers, Rings *rings, uint32_t features);
void driver_describe(Driver *driver, unsigned index, const void *address, uint32_t length,
                     uint16_t flags, uint16_t next);
/* Publishes the chain that starts at @head, and kicks. */
void driver_submit(Driver *driver, uint16_t head);
/* Waits until @n requests are used in all. */
void driver_wait(Driver *driver, uint16_t n);
/* Waits until the device says that it needs a reset. */
void driver_wait_failed(Driver *driver);

extern Rings test_rings;
extern uint8_t test_buffer[4096];
