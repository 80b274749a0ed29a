/*
 * The firmware image: stub, kernel and initial RAM disk in one file, laid out so that a monitor
 * puts each segment into guest memory by one read (or mapping) and parses nothing but this page.
 *
 *   file offset 0: the header, one page, little-endian
 *
 *        0  u8[8]  magic "uVM-FW\r\n"
 *        8  u32    version of this layout, 1
 *       12  u32    architecture as in ELF's e_machine: 62 x86-64
 *       16  u32    CRC-32 (IEEE 802.3) of the page with these four bytes zero
 *       20  u32    number of segments, 1 to 32
 *       24  u64    size of the whole file
 *       32  u64    entry: the boot vCPU's first instruction
 *       40  u64    cr3: the boot vCPU's page tables, page aligned
 *       48  u64    stack: the boot vCPU's first stack pointer, 16-byte aligned
 *       56  u64    hand-off block: where the monitor writes it, page aligned (proto/handoff.h)
 *       64  u64    least RAM in bytes with which this image boots
 *       72  u8[56] zero
 *      128  32 segments of 40 bytes; those behind the last are zero
 *             0  u64  guest physical address, page aligned
 *             8  u64  offset in the file, page aligned
 *            16  u64  bytes in the file; may be 0
 *            24  u64  bytes in memory, at least those in the file, at least 1; the rest is zero
 *            32  u32  kind (FirmwareKind), for people: a monitor loads all kinds alike
 *            36  u32  zero
 *     1408  u32    length of the kernel's base command line, at most 1024
 *     1412  its bytes, then zeros
 *     2436  u32    length of the label, at most 255
 *     2440  its bytes, then zeros
 *
 *   from offset 4096: the segments' bytes
 *
 * Segments lie inside the file behind the header and below FIRMWARE_MEMORY_LIMIT in memory. Counted
 * in whole pages they overlap neither each other nor the hand-off block. entry, cr3 and the byte
 * below stack lie in segments.
 *
 * How the boot vCPU starts (x86-64): 64-bit long mode with paging on; RIP = entry, RSP = stack,
 * CR3 = cr3 (an identity mapping of at least the first GiB), RSI = address of the hand-off block,
 * flat CS (long mode), DS, ES and SS, interrupts off, direction flag clear. GDT and IDT may be
 * empty. The other vCPUs wait for INIT and SIPI.
 *
 * All of an image is hostile input. Pure; any thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define FIRMWARE_PAGE_SIZE    4096
#define FIRMWARE_HEADER_SIZE  FIRMWARE_PAGE_SIZE
#define FIRMWARE_SEGMENTS_MAX 32
#define FIRMWARE_CMDLINE_MAX  1024
#define FIRMWARE_LABEL_MAX    255
#define FIRMWARE_ARCH_X86_64  62
/* What the start page tables map; a kernel and an initial RAM disk have no business above it. */
#define FIRMWARE_MEMORY_LIMIT (UINT64_C(1) << 30)

typedef enum FirmwareKind {
        FIRMWARE_KIND_OTHER,
        FIRMWARE_KIND_STUB,
        FIRMWARE_KIND_KERNEL,
        FIRMWARE_KIND_INITRD,
        FIRMWARE_KIND_MAX_,
} FirmwareKind;

typedef struct FirmwareSegment {
        uint64_t gpa;
        uint64_t offset;
        uint64_t file_size;
        uint64_t memory_size;
        FirmwareKind kind;
} FirmwareSegment;

typedef struct Firmware {
        uint64_t image_size;
        uint64_t entry;
        uint64_t cr3;
        uint64_t stack;
        uint64_t handoff;
        uint64_t min_memory;
        unsigned n_segments;
        FirmwareSegment segments[FIRMWARE_SEGMENTS_MAX];
        char cmdline[FIRMWARE_CMDLINE_MAX + 1];
        char label[FIRMWARE_LABEL_MAX + 1]; /* which kernel this is, for people */
} Firmware;

/* What can be wrong with an image; firmware_strerror() says it to a person. */
typedef enum FirmwareError {
        FIRMWARE_E_SHORT = 1, /* the file ends before its header or its last segment does */
        FIRMWARE_E_MAGIC,     /* not a firmware image */
        FIRMWARE_E_VERSION,   /* a layout that this version does not know */
        FIRMWARE_E_ARCH,      /* made for another architecture */
        FIRMWARE_E_CHECKSUM,  /* the header is damaged */
        FIRMWARE_E_SIZE,      /* the file is longer than the header says */
        FIRMWARE_E_RESERVED,  /* a field that must be zero is not */
        FIRMWARE_E_SEGMENTS,  /* no segment, or more than 32 */
        FIRMWARE_E_ALIGNMENT, /* an address or offset that must be aligned is not */
        FIRMWARE_E_FILE,      /* a segment lies outside the file or over its header */
        FIRMWARE_E_MEMORY,    /* a segment is empty, wraps around or lies too high in memory */
        FIRMWARE_E_OVERLAP,   /* segments overlap each other or the hand-off block */
        FIRMWARE_E_START,     /* entry, cr3 or stack is in no segment */
        FIRMWARE_E_NEEDS,     /* it claims to need less memory than it fills */
        FIRMWARE_E_TEXT,      /* command line or label is too long or not printable ASCII */
        FIRMWARE_E_MAX_,
} FirmwareError;

/*
 * Decodes and checks the header of an image of @image_size bytes, of which the first @size (at
 * least FIRMWARE_HEADER_SIZE unless the file is shorter) are at @data. 0, or FIRMWARE_E_*.
 */
int firmware_decode(const void *data, size_t size, uint64_t image_size, Firmware *ret);

/* Checks what an image must be, as firmware_decode() does. 0, or FIRMWARE_E_*. */
int firmware_check(const Firmware *firmware);

/* Encodes the header into @page. 0, or FIRMWARE_E_* as firmware_check() finds it. */
int firmware_encode(const Firmware *firmware, uint8_t page[FIRMWARE_HEADER_SIZE]);

/* "the file is cut short" … for an error of this module; never NULL. */
const char *firmware_strerror(int error);

/* "stub", "kernel", "initrd", "other". */
const char *firmware_kind_to_string(FirmwareKind kind);
