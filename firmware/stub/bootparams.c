#include "stub/bootparams.h"

#include "stub/string.h"

/* linux/arch/x86/include/asm/e820/types.h and uapi/asm/bootparam.h */
enum {
        E820_TYPE_RAM = 1,
        SETUP_TYPE_RNG_SEED = 9,
        LOADER_UNDEFINED = 0xff,
        BOOT_PROTOCOL = 0x020f,
};

/* Linux never uses the PC's old video memory and BIOS as RAM; no need to offer them. */
#define PC_HOLE_START UINT64_C(0xa0000)
#define PC_HOLE_END   UINT64_C(0x100000)

void seed_build(SeedData *data, HandoffBlock *block)
{
        data->next = 0;
        data->type = SETUP_TYPE_RNG_SEED;
        data->length = sizeof(data->seed);
        memcpy(data->seed, block->seed, sizeof(data->seed));
        memset(block->seed, 0, sizeof(block->seed));
}

static void e820_add(struct boot_params *params, uint64_t start, uint64_t end)
{
        struct boot_e820_entry *entry = &params->e820_table[params->e820_entries];

        if (start >= end)
                return;
        entry->addr = start;
        entry->size = end - start;
        entry->type = E820_TYPE_RAM;
        params->e820_entries++;
}

void bootparams_build(struct boot_params *params, const HandoffBlock *block, const StubImage *image,
                      uint32_t cmdline, uint32_t seed)
{
        memset(params, 0, sizeof(*params));
        params->hdr.boot_flag = 0xaa55;
        params->hdr.header = 0x53726448; /* "HdrS" */
        params->hdr.version = BOOT_PROTOCOL;
        params->hdr.type_of_loader = LOADER_UNDEFINED;
        params->hdr.cmd_line_ptr = cmdline;
        params->hdr.ramdisk_image = (uint32_t)image->initrd;
        params->hdr.ramdisk_size = (uint32_t)image->initrd_size;
        params->hdr.setup_data = seed;
        e820_add(params, 0, block->ram_low < PC_HOLE_START ? block->ram_low : PC_HOLE_START);
        e820_add(params, PC_HOLE_END, block->ram_low);
        e820_add(params, HANDOFF_HIGH_BASE, HANDOFF_HIGH_BASE + block->ram_high);
}
