/* Finds the case that the additional command line names, and runs it. */
#include "payload.h"

#define SERIAL_PORT   0x3f8
#define KEYBOARD_PORT 0x64

void print(const char *text)
{
        for (; *text; text++)
                port_write(SERIAL_PORT, (uint8_t)*text);
}

void print_hex(uint64_t value)
{
        char text[19] = "0x";
        unsigned at = 2;

        for (int shift = 60; shift >= 0; shift -= 4)
                if (value >> shift || shift == 0)
                        text[at++] = "0123456789abcdef"[value >> shift & 15];
        text[at] = 0;
        print(text);
}

bool text_is(const char *a, const char *b)
{
        while (*a && *a == *b) {
                a++;
                b++;
        }
        return *a == *b;
}

void fill(void *memory, uint8_t value, size_t size)
{
        /* One instruction: an emulated KVM does few of them in a second. */
        __asm__ volatile("rep stosb" : "+D"(memory), "+c"(size) : "a"(value) : "memory");
}

void reset(void)
{
        for (;;)
                port_write(KEYBOARD_PORT, 0xfe);
}

void fail(const char *text, uint64_t value)
{
        print("FAIL ");
        print(text);
        print(" but ");
        print_hex(value);
        print("\n");
        reset();
}

void tell(uint8_t phase)
{
        port_write(HANDOFF_PHASE_PORT, phase);
}

static void run(const Case *cases, const HandoffBlock *handoff)
{
        for (; cases->name; cases++) {
                if (!text_is(cases->name, handoff->cmdline))
                        continue;
                cases->run(handoff);
                print("done\n");
                reset();
        }
}

void payload_main(const HandoffBlock *handoff);
void payload_main(const HandoffBlock *handoff)
{
        run(cases_board, handoff);
        run(cases_virtio, handoff);
        run(cases_hostile, handoff);
        run(cases_blk, handoff);
        run(cases_p9, handoff);
        run(cases_p9_hostile, handoff);
        run(cases_smp, handoff);
        run(cases_balloon, handoff);
        run(cases_net, handoff);
        run(cases_mem, handoff);
        fail("no case has this name", 0);
}
