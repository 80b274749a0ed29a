/* Cases about the board itself: hand-off, serial port, reset, triple fault. */
#include "payload.h"

static void hello(const HandoffBlock *handoff)
{
        print("hello from the guest\n");
}

/* What the hand-off block says is what the machine has. */
static void handoff_block(const HandoffBlock *handoff)
{
        volatile uint64_t *last = (volatile uint64_t *)(handoff->ram_low - 8);

        CHECK(handoff->version, HANDOFF_VERSION);
        CHECK(handoff->cpus, 1);
        CHECK(handoff->slots_base, 0xd0000000);
        CHECK(handoff->slots_stride, 0x1000);
        CHECK(handoff->n_slots, 4);
        CHECK(handoff->slot_gsis[0] != 0, 1);
        *last = 0x1234567890abcdef;
        CHECK(*last, 0x1234567890abcdef);
}

/* As Linux's 8250 driver probes it. */
static void serial(const HandoffBlock *handoff)
{
        port_write(0x3f9, 0);
        CHECK(port_read(0x3f9), 0);
        port_write(0x3f9, 0x0f);
        CHECK(port_read(0x3f9), 0x0f);
        CHECK(port_read(0x3fa) & 0x0f, 0x02); /* the transmitter is empty, and said so once */
        CHECK(port_read(0x3fa) & 0x0f, 0x01);
        port_write(0x3f9, 0);
        port_write(0x3fc, 0x1a); /* loopback: RTS and OUT2 come back */
        CHECK(port_read(0x3fe) & 0xf0, 0x90);
        port_write(0x3fc, 0);
        port_write(0x3fa, 0x01);
        CHECK(port_read(0x3fa) & 0xc0, 0xc0); /* a 16550A */
        port_write(0x3fb, 0x83);
        port_write(0x3f8, 1);
        port_write(0x3f9, 0);
        CHECK(port_read(0x3f8), 1);
        port_write(0x3fb, 0x03);
        port_write(0x3ff, 0xa5);
        CHECK(port_read(0x3ff), 0xa5);
        CHECK(port_read(0x3fd), 0x60);
}

/* Nothing else exists. */
static void empty_bus(const HandoffBlock *handoff)
{
        CHECK(port_read(0x64), 0);
        CHECK(port_read(0x60), 0xff);
        CHECK(port_read(0x70), 0xff);
        CHECK(port_read(0xcf8), 0xff);
        port_write(0x64, 0xd1);
        port_write(0x80, 1);
        CHECK(mmio_read(0xd0000000 + 4 * 0x1000), UINT32_MAX); /* behind the last slot */
        CHECK(mmio_read(0xc0000000), UINT32_MAX);
        mmio_write(0xc0000000, 1);
}

static void triple_fault(const HandoffBlock *handoff)
{
        /* There is no interrupt table: an exception ends in a shutdown. */
        __asm__ volatile("ud2");
}

static void spin(const HandoffBlock *handoff)
{
        tell(200);
        for (;;)
                pause();
}

static void halt(const HandoffBlock *handoff)
{
        tell(200);
        for (;;)
                __asm__ volatile("cli; hlt");
}

/* More console output than any buffer holds. */
static void flood(const HandoffBlock *handoff)
{
        for (unsigned i = 0; i < 300; i++)
                print("0123456789abcdef0123456789abcdef0123456789abcdef012345678\n");
}

const Case cases_board[] = {
        {"hello", hello},
        {"handoff", handoff_block},
        {"serial", serial},
        {"empty-bus", empty_bus},
        {"triple-fault", triple_fault},
        {"spin", spin},
        {"halt", halt},
        {"flood", flood},
        {},
};
