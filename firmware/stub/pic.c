#include "stub/pic.h"

#include <stdint.h>

enum {
        PIC_COMMAND = 0x20,
        PIC_ICW1 = 0x11, /* initialize; three more command words follow */
        LVT_MASKED = 1 << 16,
};

/* Intel SDM volume 3, 10.4.1: the local vector table's entry for pin LINT0. */
#define LOCAL_APIC_LINT0 UINT64_C(0xfee00350)

void pic_hide(void)
{
        /* Out of reset the boot vCPU takes interrupts of the 8259 at LINT0. It no longer does. */
        *(volatile uint32_t *)LOCAL_APIC_LINT0 = LVT_MASKED;
        /*
         * A controller that is amidst its initialization takes what is written to its mask register
         * for the next command word, and Linux, which does not read back what it wrote there,
         * concludes that there is none (probe_8259A in arch/x86/kernel/i8259.c).
         */
        __asm__ volatile("outb %b0, %w1" : : "a"(PIC_ICW1), "Nd"(PIC_COMMAND));
}
