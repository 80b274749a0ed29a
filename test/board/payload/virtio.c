/* Cases about virtio-mmio slots and a well-behaved driver. Slot 0 holds an rng, slot 1 nothing. */
#include "virtio.h"

#define SLOT(handoff, i) ((handoff)->slots_base + (i) * (handoff)->slots_stride)
#define ID_RNG           4

/* What makes Linux's driver give up with -ENODEV and nothing else. */
static void empty_slot(const HandoffBlock *handoff)
{
        uint64_t slot = SLOT(handoff, 1);

        CHECK(mmio_read(slot + R_MAGIC), 0x74726976);
        CHECK(mmio_read(slot + R_VERSION), 2);
        CHECK(mmio_read(slot + R_DEVICE_ID), 0);
        CHECK(mmio_read(slot + R_STATUS), 0);
        mmio_write(slot + R_STATUS, 15);
        mmio_write(slot + R_QUEUE_NOTIFY, 0);
        mmio_write(slot + R_QUEUE_READY, 1);
        mmio_write(slot + R_CONFIG, 1);
        CHECK(mmio_read(slot + R_STATUS), 0);
        CHECK(mmio_read(slot + R_CONFIG), 0);
}

static void probe(const HandoffBlock *handoff)
{
        uint64_t slot = SLOT(handoff, 0);

        CHECK(mmio_read(slot + R_DEVICE_ID), ID_RNG);
        mmio_write(slot + R_DEVICE_FEATURES_SELECT, 1);
        CHECK(mmio_read(slot + R_DEVICE_FEATURES), 1);
        mmio_write(slot + R_DEVICE_FEATURES_SELECT, 0);
        CHECK(mmio_read(slot + R_DEVICE_FEATURES), FEATURE_EVENT_IDX | FEATURE_INDIRECT);
        mmio_write(slot + R_DEVICE_FEATURES_SELECT, 7);
        CHECK(mmio_read(slot + R_DEVICE_FEATURES), 0);
        CHECK(mmio_read(slot + R_QUEUE_SIZE_MAX), 64);
        mmio_write(slot + R_QUEUE_SELECT, 1);
        CHECK(mmio_read(slot + R_QUEUE_SIZE_MAX), 0);
        mmio_write(slot + R_QUEUE_SELECT, 0);
        /* Not on offer, or without VERSION_1: FEATURES_OK does not stick. */
        mmio_write(slot + R_STATUS, 3);
        mmio_write(slot + R_DRIVER_FEATURES_SELECT, 0);
        mmio_write(slot + R_DRIVER_FEATURES, 1);
        mmio_write(slot + R_STATUS, 11);
        CHECK(mmio_read(slot + R_STATUS), 3);
        mmio_write(slot + R_DRIVER_FEATURES, 0);
        mmio_write(slot + R_STATUS, 11);
        CHECK(mmio_read(slot + R_STATUS), 3);
        /* And without FEATURES_OK no DRIVER_OK. */
        mmio_write(slot + R_STATUS, 7);
        CHECK(mmio_read(slot + R_STATUS), 3);
        mmio_write(slot + R_STATUS, 0);
        CHECK(mmio_read(slot + R_STATUS), 0);
        /* Reads of odd sizes and places are harmless. */
        CHECK(*(volatile uint8_t *)(slot + R_MAGIC), 0);
        CHECK(*(volatile uint16_t *)(slot + 0x0fe), 0);
        CHECK(*(volatile uint64_t *)(slot + R_CONFIG), 0);
        CHECK(mmio_read(slot + 0xffc), 0);
}

/* Differs from request to request with a certainty of 1 - 2^-64 a word. */
static void check_random(const uint8_t *bytes, size_t size)
{
        const uint64_t *words = (const uint64_t *)bytes;

        for (size_t i = 1; i < size / 8; i++)
                if (words[i] == words[i - 1])
                        fail("bytes are not random", words[i]);
}

static void rng_with(const HandoffBlock *handoff, uint32_t features)
{
        Driver driver;

        driver_start(&driver, SLOT(handoff, 0), &test_rings, features);
        driver_describe(&driver, 0, test_buffer, 64, DESCRIPTOR_WRITE, 0);
        driver_describe(&driver, 1, test_buffer + 64, 32, DESCRIPTOR_WRITE | DESCRIPTOR_NEXT, 2);
        driver_describe(&driver, 2, test_buffer + 96, 32, DESCRIPTOR_WRITE, 0);
        fill(test_buffer, 0, sizeof(test_buffer));
        for (uint16_t n = 1; n <= 3 * QUEUE_SIZE; n++) {
                driver_submit(&driver, n % 2);
                driver_wait(&driver, n);
                CHECK(test_rings.used.ring[(n - 1) % QUEUE_SIZE].id, n % 2);
                CHECK(test_rings.used.ring[(n - 1) % QUEUE_SIZE].length, 64);
        }
        check_random(test_buffer, 128);
        CHECK(test_buffer[128], 0);
}

static void rng(const HandoffBlock *handoff)
{
        rng_with(handoff, 0);
        rng_with(handoff, FEATURE_EVENT_IDX);
}

static void rng_indirect(const HandoffBlock *handoff)
{
        static Descriptor table[4];
        Driver driver;

        driver_start(&driver, SLOT(handoff, 0), &test_rings, FEATURE_INDIRECT | FEATURE_EVENT_IDX);
        for (unsigned i = 0; i < 4; i++)
                table[i] = (Descriptor){
                        .address = (uint64_t)test_buffer + 16 * i,
                        .length = 16,
                        .flags = DESCRIPTOR_WRITE | (i < 3 ? DESCRIPTOR_NEXT : 0),
                        .next = (uint16_t)(i + 1),
                };
        driver_describe(&driver, 3, table, sizeof(table), DESCRIPTOR_INDIRECT, 0);
        driver_submit(&driver, 3);
        driver_wait(&driver, 1);
        CHECK(test_rings.used.ring[0].length, 64);
        check_random(test_buffer, 64);
}

/* The interrupt status is set when and only when the driver wants it, and acknowledged. */
static void interrupts(const HandoffBlock *handoff)
{
        uint64_t slot = SLOT(handoff, 0);
        Driver driver;

        driver_start(&driver, slot, &test_rings, FEATURE_EVENT_IDX);
        driver_describe(&driver, 0, test_buffer, 8, DESCRIPTOR_WRITE, 0);
        test_rings.available.used_event = 1; /* not for the first one */
        driver_submit(&driver, 0);
        driver_wait(&driver, 1);
        /* The second kick is served behind the signal of the first. */
        driver_submit(&driver, 0);
        driver_wait(&driver, 2);
        for (unsigned i = 0; i < 10000 && mmio_read(slot + R_INTERRUPT_STATUS) == 0; i++)
                pause();
        CHECK(mmio_read(slot + R_INTERRUPT_STATUS), 1);
        mmio_write(slot + R_INTERRUPT_ACK, 1);
        CHECK(mmio_read(slot + R_INTERRUPT_STATUS), 0);
        test_rings.available.used_event = 100;
        driver_submit(&driver, 0);
        driver_wait(&driver, 3);
        driver_submit(&driver, 0);
        driver_wait(&driver, 4);
        CHECK(mmio_read(slot + R_INTERRUPT_STATUS), 0);
        mmio_write(slot + R_STATUS, 0);
        CHECK(mmio_read(slot + R_INTERRUPT_STATUS), 0);
}

/* A driver that breaks the rules is told by a configuration interrupt. */
static void break_and_wait(uint64_t slot, volatile uint32_t *changes, uint32_t expected)
{
        Driver driver;

        driver_start(&driver, slot, &test_rings, 0);
        driver_submit(&driver, QUEUE_SIZE);
        driver_wait_failed(&driver);
        for (unsigned i = 0; i < 100000 && *changes != expected; i++)
                pause();
        CHECK(*changes, expected);
        CHECK(mmio_read(slot + R_INTERRUPT_STATUS) & 2, 2);
}

/* The word that counts configuration interrupts, and a guest that writes to it. */
static void changes(const HandoffBlock *handoff)
{
        uint64_t slot = SLOT(handoff, 0);
        uint32_t address = mmio_read(slot + R_CHANGES);
        volatile uint32_t *word = (volatile uint32_t *)(uint64_t)address;
        Driver driver;

        CHECK(mmio_read(slot + R_VENDOR_ID), 0x6d5675);
        CHECK(mmio_read(SLOT(handoff, 1) + R_CHANGES), address + 4);
        CHECK(word[0], 0);
        /* A queue's interrupt is no change. */
        driver_start(&driver, slot, &test_rings, 0);
        driver_describe(&driver, 0, test_buffer, 8, DESCRIPTOR_WRITE, 0);
        driver_submit(&driver, 0);
        driver_wait(&driver, 1);
        for (unsigned i = 0; i < 10000 && mmio_read(slot + R_INTERRUPT_STATUS) == 0; i++)
                pause();
        CHECK(mmio_read(slot + R_INTERRUPT_STATUS), 1);
        CHECK(word[0], 0);
        break_and_wait(slot, word, 1);
        mmio_write(slot + R_STATUS, 0);
        CHECK(word[0], 1);
        mmio_write(slot + R_CHANGES, 0x100000);
        CHECK(mmio_read(slot + R_CHANGES), address);
        fill((void *)(uint64_t)address, 0xff, 4096);
        break_and_wait(slot, word, 0);
        CHECK(word[1], UINT32_MAX);
        /* It isn't memory that a device would use. */
        driver_start(&driver, slot, &test_rings, 0);
        driver_describe(&driver, 0, (void *)word, 8, DESCRIPTOR_WRITE, 0);
        driver_submit(&driver, 0);
        driver_wait_failed(&driver);
        CHECK(word[1], UINT32_MAX);
}

/* The harness plugs an rng into slot 2 at phase 201 and pulls it at 202, and again at 203, 204. */
static void plug(const HandoffBlock *handoff)
{
        uint64_t slot = SLOT(handoff, 2);
        Driver driver;

        for (uint8_t round = 0; round < 4; round += 2) {
                CHECK(mmio_read(slot + R_DEVICE_ID), 0);
                tell(201 + round);
                for (unsigned i = 0; i < 100000 && mmio_read(slot + R_DEVICE_ID) == 0; i++)
                        pause();
                CHECK(mmio_read(slot + R_DEVICE_ID), ID_RNG);
                CHECK(mmio_read(slot + R_STATUS), 0);
                driver_start(&driver, slot, &test_rings, 0);
                driver_describe(&driver, 0, test_buffer, 64, DESCRIPTOR_WRITE, 0);
                driver_submit(&driver, 0);
                driver_wait(&driver, 1);
                /* Pulled with a request on its way: nothing but the device is lost. */
                driver_submit(&driver, 0);
                tell(202 + round);
                for (unsigned i = 0; i < 100000 && mmio_read(slot + R_DEVICE_ID) != 0; i++)
                        pause();
                CHECK(mmio_read(slot + R_DEVICE_ID), 0);
        }
}

/* At phase 205 the harness saves slot 0's device, makes a new one of the state, and answers by
 * plugging slot 3: the queue goes on where it was. */
static void save_load(const HandoffBlock *handoff)
{
        Driver driver;

        driver_start(&driver, SLOT(handoff, 0), &test_rings, FEATURE_EVENT_IDX);
        driver_describe(&driver, 0, test_buffer, 64, DESCRIPTOR_WRITE, 0);
        for (uint16_t n = 1; n <= 11; n++) {
                driver_submit(&driver, 0);
                driver_wait(&driver, n);
        }
        tell(205);
        for (unsigned i = 0; i < 100000 && mmio_read(SLOT(handoff, 3) + R_DEVICE_ID) == 0; i++)
                pause();
        CHECK(mmio_read(SLOT(handoff, 3) + R_DEVICE_ID), ID_RNG);
        CHECK(mmio_read(SLOT(handoff, 0) + R_STATUS), 15);
        for (uint16_t n = 12; n <= 22; n++) {
                driver_submit(&driver, 0);
                driver_wait(&driver, n);
                CHECK(test_rings.used.ring[(n - 1) % QUEUE_SIZE].length, 64);
        }
}

const Case cases_virtio[] = {
        {"empty-slot", empty_slot},
        {"probe", probe},
        {"rng", rng},
        {"rng-indirect", rng_indirect},
        {"interrupts", interrupts},
        {"changes", changes},
        {"plug", plug},
        {"save-load", save_load},
        {},
};
