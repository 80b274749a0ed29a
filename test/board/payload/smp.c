/*
 * Cases about more than one vCPU. The second is woken by INIT and SIPI at a page below 1 MiB, says that
 * it is there, and halts: that is all that an offline one does in Linux, too.
 */
#include "virtio.h"

#define SIGNAL_SLOT 3
#define AP_PAGE     0x8000UL
#define LOCAL_APIC  0xfee00000UL
#define PATIENCE    3000000

extern uint8_t ap_start[], ap_end[], ap_page_tables[], ap_stack[];
void payload_ap_main(void);

static volatile uint32_t ap_is_up;
static volatile uint64_t ap_writes_to; /* for ever, to this register, if it isn't 0 */
static uint8_t ap_stack_space[4096] __attribute__((aligned(16)));

void payload_ap_main(void)
{
        ap_is_up = 1;
        while (ap_writes_to != 0)
                mmio_write(ap_writes_to, 0);
}

static void wake_ap(void)
{
        uint8_t *page = (uint8_t *)AP_PAGE;
        uint64_t page_tables;

        ap_is_up = 0;
        __asm__ volatile("mov %%cr3, %0" : "=r"(page_tables));
        for (size_t i = 0; i < (size_t)(ap_end - ap_start); i++)
                page[i] = ap_start[i];
        *(uint32_t *)(page + (ap_page_tables - ap_start)) = (uint32_t)page_tables;
        *(uint64_t *)(page + (ap_stack - ap_start)) = (uint64_t)(ap_stack_space +
                                                                 sizeof(ap_stack_space));
        mmio_write(LOCAL_APIC + 0x0f0, 0x1ff); /* on */
        mmio_write(LOCAL_APIC + 0x310, 1U << 24);
        mmio_write(LOCAL_APIC + 0x300, 0x4500); /* INIT */
        mmio_write(LOCAL_APIC + 0x310, 1U << 24);
        mmio_write(LOCAL_APIC + 0x300, 0x4600 | AP_PAGE >> 12); /* SIPI */
        for (unsigned i = 0; i < PATIENCE && !ap_is_up; i++)
                pause();
        CHECK(ap_is_up, 1);
}

static void smp(const HandoffBlock *handoff)
{
        CHECK(handoff->cpus, 2);
        wake_ap();
}

/* The harness makes the second vCPU at each even phase and takes it out at each odd one; a device in
 * the last slot says that it has done so. */
static void late(const HandoffBlock *handoff)
{
        uint64_t slot = handoff->slots_base + SIGNAL_SLOT * handoff->slots_stride;

        CHECK(handoff->cpus, 1);
        CHECK(handoff->cpus_max, 2);
        for (uint8_t phase = 40; phase < 80; phase += 2) {
                tell(phase);
                print("up NEXT\n");
                while (mmio_read(slot + R_DEVICE_ID) == 0)
                        pause();
                wake_ap();
                tell(phase + 1);
                print("down NEXT\n");
                while (mmio_read(slot + R_DEVICE_ID) != 0)
                        pause();
        }
}

/* Taken out although it runs, in the middle of writes that wait for the monitor. */
static void busy(const HandoffBlock *handoff)
{
        ap_writes_to = handoff->slots_base + handoff->slots_stride + R_STATUS;
        late(handoff);
}

const Case cases_smp[] = {
        {"smp", smp},
        {"vcpus-late", late},
        {"vcpus-busy", busy},
        {},
};
