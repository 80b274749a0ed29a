/*
 * A 16550A as far as Linux's 8250 driver looks: registers, transmit interrupt, loopback test. It
 * sends at once and never receives, for the console has no input.
 *
 * Thread: any vCPU's; it has a lock of its own. Offsets and values are hostile.
 */
#pragma once

#include <pthread.h>

#include "base/wire.h"
#include "vmm/dev/console.h"

/* Plain data: all that the guest can set. */
typedef struct SerialState {
        uint8_t interrupt_enable;
        uint8_t fifo_control;
        uint8_t line_control;
        uint8_t modem_control;
        uint8_t scratch;
        uint8_t divisor[2];
        uint8_t transmitter_pending; /* the transmit interrupt was raised and not read yet */
} SerialState;

typedef struct Serial {
        pthread_mutex_t lock;
        SerialState state;
        Console *console;
        int interrupt_fd; /* an irqfd */
} Serial;

#define SERIAL_REGISTERS 8

/* Borrows @console and @interrupt_fd. */
void serial_init(Serial *serial, Console *console, int interrupt_fd);

/* @offset is 0 to SERIAL_REGISTERS - 1. */
uint8_t serial_read(Serial *serial, unsigned offset);
void serial_write(Serial *serial, unsigned offset, uint8_t value);

int serial_save(const Serial *serial, WireWriter *writer);
int serial_load(Serial *serial, WireReader *reader); /* 0 or -EBADMSG */
