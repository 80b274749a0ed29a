/* The driver; see virtio.h. */
#include "virtio.h"

#define PATIENCE 400000

Rings test_rings;
uint8_t test_buffer[4096];

static void write64(uint64_t address, uint64_t value)
{
        mmio_write(address, (uint32_t)value);
        mmio_write(address + 4, (uint32_t)(value >> 32));
}

void driver_begin(uint64_t registers, uint32_t features)
{
        mmio_write(registers + R_STATUS, 0);
        CHECK(mmio_read(registers + R_STATUS), 0);
        mmio_write(registers + R_STATUS, 1);
        mmio_write(registers + R_STATUS, 3);
        mmio_write(registers + R_DRIVER_FEATURES_SELECT, 0);
        mmio_write(registers + R_DRIVER_FEATURES, features);
        mmio_write(registers + R_DRIVER_FEATURES_SELECT, 1);
        mmio_write(registers + R_DRIVER_FEATURES, 1); /* VERSION_1 */
        mmio_write(registers + R_STATUS, 11);
        CHECK(mmio_read(registers + R_STATUS), 11);
}

void driver_place(uint64_t registers, uint32_t queue, const Rings *rings)
{
        mmio_write(registers + R_QUEUE_SELECT, queue);
        CHECK(mmio_read(registers + R_QUEUE_READY), 0);
        mmio_write(registers + R_QUEUE_SIZE, QUEUE_SIZE);
        write64(registers + R_DESCRIPTORS, (uint64_t)rings->descriptors);
        write64(registers + R_AVAILABLE, (uint64_t)&rings->available);
        write64(registers + R_USED, (uint64_t)&rings->used);
        mmio_write(registers + R_QUEUE_READY, 1);
        CHECK(mmio_read(registers + R_QUEUE_READY), 1);
}

void driver_add(Driver *driver, uint64_t registers, uint32_t queue, Rings *rings)
{
        *driver = (Driver){.registers = registers, .queue = queue, .rings = rings};
        fill(rings, 0, sizeof(*rings));
        driver_place(registers, queue, rings);
}

void driver_end(uint64_t registers)
{
        mmio_write(registers + R_STATUS, 15);
}

void driver_start(Driver *driver, uint64_t registers, Rings *rings, uint32_t features)
{
        driver_begin(registers, features);
        driver_add(driver, registers, 0, rings);
        driver_end(registers);
}

void driver_describe(Driver *driver, unsigned index, const void *address, uint32_t length,
                     uint16_t flags, uint16_t next)
{
        driver->rings->descriptors[index] = (Descriptor){
                .address = (uint64_t)address,
                .length = length,
                .flags = flags,
                .next = next,
        };
}

void driver_submit(Driver *driver, uint16_t head)
{
        Rings *rings = driver->rings;

        rings->available.ring[driver->available % QUEUE_SIZE] = head;
        __asm__ volatile("" : : : "memory");
        rings->available.index = ++driver->available;
        __asm__ volatile("" : : : "memory");
        mmio_write(driver->registers + R_QUEUE_NOTIFY, driver->queue);
}

void driver_wait(Driver *driver, uint16_t n)
{
        for (unsigned i = 0; i < PATIENCE; i++) {
                if (driver->rings->used.index == n)
                        return;
                pause();
        }
        fail("the device never used the buffers", driver->rings->used.index);
}

void driver_wait_failed(Driver *driver)
{
        for (unsigned i = 0; i < PATIENCE / 10; i++) {
                if (mmio_read(driver->registers + R_STATUS) & 64)
                        return;
                pause();
        }
        fail("the device took it", mmio_read(driver->registers + R_STATUS));
}
