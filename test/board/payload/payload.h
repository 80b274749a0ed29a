/*
 * Freestanding programs for the board tests: no libc, no interrupts, no page tables of their own (the
 * harness maps 4 GiB one to one). What a case finds wrong it says over the serial port, a line
 * "FAIL …"; every case ends by resetting the board.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/handoff.h"

typedef struct Case {
        const char *name;
        void (*run)(const HandoffBlock *handoff);
} Case;

/* Each ends with a nameless one. */
extern const Case cases_board[], cases_virtio[], cases_hostile[], cases_blk[], cases_p9[];
extern const Case cases_p9_hostile[], cases_smp[], cases_balloon[], cases_mem[], cases_net[];

static inline void port_write(uint16_t port, uint8_t value)
{
        __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline uint8_t port_read(uint16_t port)
{
        uint8_t value;

        __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port) : "memory");
        return value;
}

static inline uint32_t mmio_read(uint64_t address)
{
        return *(volatile uint32_t *)address;
}

static inline void mmio_write(uint64_t address, uint32_t value)
{
        *(volatile uint32_t *)address = value;
}

static inline void pause(void)
{
        __asm__ volatile("pause" : : : "memory");
}

void print(const char *text);
void print_hex(uint64_t value);
bool text_is(const char *a, const char *b);
void fill(void *memory, uint8_t value, size_t size);

/* Prints "FAIL text value" and resets. */
void fail(const char *text, uint64_t value) __attribute__((noreturn));
void reset(void) __attribute__((noreturn));

/* Tells the harness by the boot phase port; each value once. */
void tell(uint8_t phase);

#define CHECK(actual, expected)                                      \
        do {                                                         \
                uint64_t actual_ = (actual);                         \
                if (actual_ != (uint64_t)(expected))                 \
                        fail(#actual " is not " #expected, actual_); \
        } while (0)
