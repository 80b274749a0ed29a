/*
 * The firmware stub: all that runs before the kernel. It turns the monitor's hand-off block into
 * what a PC's firmware and boot loader would have left for Linux, one table per file, and returns
 * to start.S, which jumps to the kernel. Freestanding; the monitor is trusted, it owns the guest.
 */
#include <stdbool.h>

#include "proto/handoff.h"
#include "stub/bootparams.h"
#include "stub/cmdline.h"
#include "stub/image.h"
#include "stub/mptable.h"
#include "stub/pic.h"
#include "stub/string.h"

extern const StubImage stub_image;
extern MpFloating mp_floating;

/* start.S hands it to the kernel. */
struct boot_params boot_params;

static char kernel_cmdline[HANDOFF_KERNEL_CMDLINE_SIZE];
static MpTable mp_table;
static SeedData seed_data;

/* Called by start.S only. */
void stub_main(HandoffBlock *block);

static void phase_mark(HandoffPhase phase)
{
        __asm__ volatile("outb %b0, %w1" : : "a"(phase), "Nd"(HANDOFF_PHASE_PORT));
}

static _Noreturn void refuse(void)
{
        phase_mark(HANDOFF_PHASE_REFUSED);
        for (;;)
                __asm__ volatile("cli; hlt");
}

static bool block_is_usable(const HandoffBlock *block)
{
        return memcmp(block->magic, HANDOFF_MAGIC, sizeof(block->magic)) == 0 &&
               block->version == HANDOFF_VERSION && block->cpus >= 1 &&
               block->cpus <= block->cpus_max && block->cpus_max <= HANDOFF_CPUS_MAX &&
               block->n_slots <= HANDOFF_SLOTS_MAX &&
               block->cmdline_length <= HANDOFF_CMDLINE_MAX &&
               block->cmdline[block->cmdline_length] == '\0';
}

void stub_main(HandoffBlock *block)
{
        phase_mark(HANDOFF_PHASE_STUB);
        if (!block_is_usable(block) ||
            !cmdline_build(kernel_cmdline, sizeof(kernel_cmdline), stub_image.cmdline, block))
                refuse();
        mptable_build(&mp_table, block);
        mpfloating_build(&mp_floating, (uint32_t)(uintptr_t)&mp_table);
        seed_build(&seed_data, block);
        bootparams_build(&boot_params, block, &stub_image, (uint32_t)(uintptr_t)kernel_cmdline,
                         (uint32_t)(uintptr_t)&seed_data);
        pic_hide();
        phase_mark(HANDOFF_PHASE_KERNEL);
}
