/* A 16550A; see serial.h. Register names and bits as in include/uapi/linux/serial_reg.h. */
#include <errno.h>
#include <linux/serial_reg.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "vmm/dev/serial.h"

#define SERIAL_STATE_MAGIC 0x38323530U /* "8250" */
#define IIR_FIFO_ENABLED   0xc0        /* how a 16550A differs from an 8250 */

void serial_init(Serial *serial, Console *console, int interrupt_fd)
{
        *serial = (Serial){.console = console, .interrupt_fd = interrupt_fd};
        pthread_mutex_init(&serial->lock, NULL);
}

static bool divisor_is_selected(const Serial *serial)
{
        return serial->state.line_control & UART_LCR_DLAB;
}

/* The transmitter is empty again, or still: tell the driver if it wants to know. */
static void serial_raise(Serial *serial)
{
        uint64_t one = 1;

        if (!(serial->state.interrupt_enable & UART_IER_THRI))
                return;
        serial->state.transmitter_pending = 1;
        if (write(serial->interrupt_fd, &one, sizeof(one)) < 0)
                log_warning_errno(errno_neg(), "serial port: can't raise its interrupt");
}

static uint8_t serial_read_identification(Serial *serial)
{
        uint8_t fifo = serial->state.fifo_control & UART_FCR_ENABLE_FIFO ? IIR_FIFO_ENABLED : 0;

        if (!serial->state.transmitter_pending)
                return fifo | UART_IIR_NO_INT;
        serial->state.transmitter_pending = 0;
        return fifo | UART_IIR_THRI;
}

/* In loopback mode the modem control lines come back: how a driver tells that this is a UART. */
static uint8_t serial_read_modem(const Serial *serial)
{
        uint8_t control = serial->state.modem_control;

        if (!(control & UART_MCR_LOOP))
                return UART_MSR_DCD | UART_MSR_DSR | UART_MSR_CTS;
        return (uint8_t)((control & UART_MCR_DTR ? UART_MSR_DSR : 0) |
                         (control & UART_MCR_RTS ? UART_MSR_CTS : 0) |
                         (control & UART_MCR_OUT1 ? UART_MSR_RI : 0) |
                         (control & UART_MCR_OUT2 ? UART_MSR_DCD : 0));
}

static uint8_t serial_read_locked(Serial *serial, unsigned offset)
{
        switch (offset) {
        case UART_RX:
                return divisor_is_selected(serial) ? serial->state.divisor[0] : 0;
        case UART_IER:
                return divisor_is_selected(serial) ? serial->state.divisor[1]
                                                   : serial->state.interrupt_enable;
        case UART_IIR:
                return serial_read_identification(serial);
        case UART_LCR:
                return serial->state.line_control;
        case UART_MCR:
                return serial->state.modem_control;
        case UART_LSR:
                return UART_LSR_TEMT | UART_LSR_THRE;
        case UART_MSR:
                return serial_read_modem(serial);
        case UART_SCR:
                return serial->state.scratch;
        }
        return 0;
}

uint8_t serial_read(Serial *serial, unsigned offset)
{
        uint8_t value;

        pthread_mutex_lock(&serial->lock);
        value = serial_read_locked(serial, offset);
        pthread_mutex_unlock(&serial->lock);
        return value;
}

static void serial_write_data(Serial *serial, uint8_t value)
{
        char byte = (char)value;

        if (divisor_is_selected(serial)) {
                serial->state.divisor[0] = value;
                return;
        }
        if (!(serial->state.modem_control & UART_MCR_LOOP))
                console_write(serial->console, &byte, 1);
        serial_raise(serial);
}

static void serial_write_enable(Serial *serial, uint8_t value)
{
        bool was_on = serial->state.interrupt_enable & UART_IER_THRI;

        if (divisor_is_selected(serial)) {
                serial->state.divisor[1] = value;
                return;
        }
        serial->state.interrupt_enable = value & 0x0f;
        if (!(value & UART_IER_THRI))
                serial->state.transmitter_pending = 0;
        else if (!was_on)
                serial_raise(serial);
}

static void serial_write_locked(Serial *serial, unsigned offset, uint8_t value)
{
        switch (offset) {
        case UART_TX:
                serial_write_data(serial, value);
                break;
        case UART_IER:
                serial_write_enable(serial, value);
                break;
        case UART_FCR:
                serial->state.fifo_control = value & (UART_FCR_ENABLE_FIFO | UART_FCR_TRIGGER_MASK);
                break;
        case UART_LCR:
                serial->state.line_control = value;
                break;
        case UART_MCR:
                serial->state.modem_control = value & 0x1f;
                break;
        case UART_SCR:
                serial->state.scratch = value;
                break;
        }
}

void serial_write(Serial *serial, unsigned offset, uint8_t value)
{
        pthread_mutex_lock(&serial->lock);
        serial_write_locked(serial, offset, value);
        pthread_mutex_unlock(&serial->lock);
}

int serial_save(const Serial *serial, WireWriter *writer)
{
        const SerialState *state = &serial->state;
        size_t size;

        wire_put_u32(writer, SERIAL_STATE_MAGIC);
        wire_put_u8(writer, state->interrupt_enable);
        wire_put_u8(writer, state->fifo_control);
        wire_put_u8(writer, state->line_control);
        wire_put_u8(writer, state->modem_control);
        wire_put_u8(writer, state->scratch);
        wire_put_bytes(writer, state->divisor, sizeof(state->divisor));
        wire_put_u8(writer, state->transmitter_pending);
        return wire_writer_end(writer, &size);
}

int serial_load(Serial *serial, WireReader *reader)
{
        SerialState state = {};

        if (wire_get_u32(reader) != SERIAL_STATE_MAGIC)
                return -EBADMSG;
        state.interrupt_enable = wire_get_u8(reader);
        state.fifo_control = wire_get_u8(reader);
        state.line_control = wire_get_u8(reader);
        state.modem_control = wire_get_u8(reader);
        state.scratch = wire_get_u8(reader);
        state.divisor[0] = wire_get_u8(reader);
        state.divisor[1] = wire_get_u8(reader);
        state.transmitter_pending = wire_get_u8(reader);
        if (reader->bad)
                return -EBADMSG;
        serial->state = state;
        return 0;
}
