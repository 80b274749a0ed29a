/*
 * The hand-off block: what a monitor tells the firmware stub about the machine it starts. One page
 * in guest memory at the address that the firmware's header names; the boot vCPU finds that address
 * in RSI. The stub turns it into what the kernel expects (boot parameters, MP table, command line),
 * so that no boot protocol is known to the monitor.
 *
 *      0  u8[8]   magic "uVM-HAND"
 *      8  u32     version of this layout, 1
 *     12  u32     vCPUs present at start, at least 1
 *     16  u32     vCPUs that may ever be present; their APIC ids are 0, 1, 2 …
 *     20  u32     serial port: GSI of the 8250 at port 0x3f8, or 0 if there is none
 *     24  u64     RAM from address 0 on, in bytes, page aligned, at most 3 GiB
 *     32  u64     RAM from address 4 GiB on, in bytes, page aligned
 *     40  u64     virtio-mmio slots: address of slot 0
 *     48  u32     virtio-mmio slots: distance from one to the next
 *     52  u32     virtio-mmio slots: how many, at most 32
 *     56  u8[32]  virtio-mmio slots: GSI of each, 1 to 23; zero behind the last
 *     88  u8[32]  random bytes to seed the kernel's generator with; never used for two boots
 *    120  u32     length of the additional command line, at most 1024
 *    124  u8[1025] the additional command line and a NUL
 *   1149  zeros
 *
 * This header is also the freestanding stub's: no libc here beyond the freestanding headers.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define HANDOFF_SIZE        4096
#define HANDOFF_MAGIC       "uVM-HAND"
#define HANDOFF_VERSION     1
#define HANDOFF_SLOTS_MAX   32
#define HANDOFF_SEED_SIZE   32
#define HANDOFF_CMDLINE_MAX 1024
/* An MP table's APIC ids are bytes; 255 is the broadcast and one is the IOAPIC's. */
#define HANDOFF_CPUS_MAX  254
#define HANDOFF_GSIS      24
#define HANDOFF_LOW_MAX   UINT64_C(0xc0000000)
#define HANDOFF_HIGH_BASE UINT64_C(0x100000000)
/* Bytes of each slot that the driver maps: registers up to 0x100 and the configuration space. */
#define HANDOFF_SLOT_WINDOW 512
/* Linux's COMMAND_LINE_SIZE on x86, with the NUL. */
#define HANDOFF_KERNEL_CMDLINE_SIZE 2048

/*
 * The boot phase port: the stub writes one byte (HandoffPhase) to it as it goes, so that the
 * monitor can tell how long each phase took and how far a boot came. Any other byte is ignored.
 */
#define HANDOFF_PHASE_PORT 0xf4

typedef enum HandoffPhase {
        HANDOFF_PHASE_STUB = 1,      /* the stub's first instructions */
        HANDOFF_PHASE_KERNEL = 2,    /* the tables are made, the kernel is next */
        HANDOFF_PHASE_REFUSED = 128, /* the stub can't use this hand-off block and has halted */
} HandoffPhase;

/* The block as it lies in guest memory: the stub reads it in place (x86 is little-endian). */
typedef struct HandoffBlock {
        uint8_t magic[8];
        uint32_t version;
        uint32_t cpus;
        uint32_t cpus_max;
        uint32_t serial_gsi;
        uint64_t ram_low;
        uint64_t ram_high;
        uint64_t slots_base;
        uint32_t slots_stride;
        uint32_t n_slots;
        uint8_t slot_gsis[HANDOFF_SLOTS_MAX];
        uint8_t seed[HANDOFF_SEED_SIZE];
        uint32_t cmdline_length;
        char cmdline[HANDOFF_CMDLINE_MAX + 1];
} HandoffBlock;

_Static_assert(offsetof(HandoffBlock, ram_low) == 24, "layout");
_Static_assert(offsetof(HandoffBlock, slot_gsis) == 56, "layout");
_Static_assert(offsetof(HandoffBlock, seed) == 88, "layout");
_Static_assert(offsetof(HandoffBlock, cmdline) == 124, "layout");

/* What the monitor fills in; the fields are those of the block. */
typedef struct Handoff {
        uint32_t cpus;
        uint32_t cpus_max;
        uint32_t serial_gsi;
        uint64_t ram_low;
        uint64_t ram_high;
        uint64_t slots_base;
        uint32_t slots_stride;
        uint32_t n_slots;
        uint8_t slot_gsis[HANDOFF_SLOTS_MAX];
        uint8_t seed[HANDOFF_SEED_SIZE];
        const char *cmdline; /* additional; NULL for none */
} Handoff;

/*
 * Encodes @handoff for a firmware whose own command line is @base_cmdline (Firmware.cmdline).
 * 0, -EINVAL if a field is out of the range given above, -E2BIG if the kernel's command line (the
 * firmware's, one entry for each slot, the additional one) would be longer than the kernel takes.
 */
int handoff_encode(const Handoff *handoff, const char *base_cmdline, uint8_t page[HANDOFF_SIZE]);
