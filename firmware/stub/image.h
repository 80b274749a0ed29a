/*
 * The first bytes of the stub's flat binary: what uvm-mkfw must know about the stub, and what it
 * fills in for it. The linker script (layout.ld) puts it at the stub's load address.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define STUB_MAGIC       "uVM-STUB"
#define STUB_VERSION     1
#define STUB_CMDLINE_MAX 1024

typedef struct StubImage {
        uint8_t magic[8];
        uint32_t version;
        uint32_t memory_size; /* bytes from base on, zeros and stack included */
        uint64_t base;        /* load address */
        uint64_t entry;
        uint64_t cr3;
        uint64_t stack;
        uint64_t handoff;
        /* From here on uvm-mkfw's. */
        uint64_t kernel_entry; /* physical; 64-bit boot protocol */
        uint64_t initrd;       /* physical */
        uint64_t initrd_size;  /* 0: none */
        char cmdline[STUB_CMDLINE_MAX + 1];
} StubImage;

_Static_assert(offsetof(StubImage, base) == 16, "layout; start.S fills these fields");
_Static_assert(offsetof(StubImage, kernel_entry) == 56, "layout; start.S fills these fields");
_Static_assert(sizeof(StubImage) == 1112, "layout; start.S reserves these bytes");
