#include "proto/handoff.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/wire.h"

_Static_assert(sizeof(HandoffBlock) <= HANDOFF_SIZE, "the block is one page");

static bool ram_is_valid(const Handoff *handoff)
{
        return handoff->ram_low > 0 && handoff->ram_low <= HANDOFF_LOW_MAX &&
               handoff->ram_low % 4096 == 0 && handoff->ram_high % 4096 == 0;
}

static bool slots_are_valid(const Handoff *handoff)
{
        if (handoff->n_slots > HANDOFF_SLOTS_MAX)
                return false;
        if (handoff->n_slots == 0)
                return true;
        for (unsigned i = 0; i < handoff->n_slots; i++)
                if (handoff->slot_gsis[i] == 0 || handoff->slot_gsis[i] >= HANDOFF_GSIS)
                        return false;
        /* Between the RAM below 3 GiB and the interrupt controllers, and without a wrap. */
        return handoff->slots_stride >= HANDOFF_SLOT_WINDOW &&
               handoff->slots_base >= handoff->ram_low && handoff->slots_base < UINT32_MAX &&
               handoff->slots_base + (uint64_t)handoff->slots_stride * handoff->n_slots <=
                       UINT64_C(0xfec00000);
}

/* How long the stub's command line becomes (firmware/stub/cmdline.c), NUL not counted. */
static size_t kernel_cmdline_length(const Handoff *handoff, const char *base)
{
        size_t length = strlen(base) + (handoff->cmdline ? 1 + strlen(handoff->cmdline) : 0);

        length += (size_t)snprintf(NULL, 0, " maxcpus=%u", handoff->cpus);
        for (unsigned i = 0; i < handoff->n_slots; i++)
                length += (size_t)snprintf(
                        NULL, 0, " virtio_mmio.device=%u@0x%llx:%u", HANDOFF_SLOT_WINDOW,
                        (unsigned long long)handoff->slots_base + i * handoff->slots_stride,
                        handoff->slot_gsis[i]);
        return length;
}

int handoff_encode(const Handoff *handoff, const char *base_cmdline, uint8_t page[HANDOFF_SIZE])
{
        const char *cmdline = handoff->cmdline ?: "";
        WireWriter writer = wire_writer(page, HANDOFF_SIZE);

        if (handoff->cpus == 0 || handoff->cpus > handoff->cpus_max ||
            handoff->cpus_max > HANDOFF_CPUS_MAX || handoff->serial_gsi >= HANDOFF_GSIS ||
            !ram_is_valid(handoff) || !slots_are_valid(handoff))
                return -EINVAL;
        if (strlen(cmdline) > HANDOFF_CMDLINE_MAX ||
            kernel_cmdline_length(handoff, base_cmdline) >= HANDOFF_KERNEL_CMDLINE_SIZE)
                return -E2BIG;

        memset(page, 0, HANDOFF_SIZE);
        wire_put_bytes(&writer, HANDOFF_MAGIC, 8);
        wire_put_u32(&writer, HANDOFF_VERSION);
        wire_put_u32(&writer, handoff->cpus);
        wire_put_u32(&writer, handoff->cpus_max);
        wire_put_u32(&writer, handoff->serial_gsi);
        wire_put_u64(&writer, handoff->ram_low);
        wire_put_u64(&writer, handoff->ram_high);
        wire_put_u64(&writer, handoff->slots_base);
        wire_put_u32(&writer, handoff->slots_stride);
        wire_put_u32(&writer, handoff->n_slots);
        for (unsigned i = 0; i < HANDOFF_SLOTS_MAX; i++)
                wire_put_u8(&writer, i < handoff->n_slots ? handoff->slot_gsis[i] : 0);
        wire_put_bytes(&writer, handoff->seed, sizeof(handoff->seed));
        wire_put_string(&writer, cmdline);
        return 0;
}
