#include "stub/mptable.h"

#include "stub/string.h"

enum {
        MP_REVISION = 4, /* 1.4 */
        MP_CPU_ENABLED = 1,
        MP_CPU_BOOT = 2,
        /* What KVM's local APIC and IOAPIC report. */
        LOCAL_APIC_VERSION = 0x14,
        IOAPIC_VERSION = 0x11,
};

#define LOCAL_APIC_ADDRESS 0xfee00000
#define IOAPIC_ADDRESS     0xfec00000

static uint8_t checksum_of(const void *data, size_t size)
{
        const uint8_t *bytes = data;
        uint8_t sum = 0;

        for (size_t i = 0; i < size; i++)
                sum = (uint8_t)(sum + bytes[i]);
        return (uint8_t)-sum;
}

static uint8_t *entry_put(MpTable *table, uint8_t *at, const void *entry, size_t size)
{
        memcpy(at, entry, size);
        table->header.n_entries++;
        return at + size;
}

static uint8_t *cpus_put(MpTable *table, uint8_t *at, uint32_t n)
{
        for (uint32_t i = 0; i < n; i++) {
                MpCpu cpu = {
                        .type = 0,
                        .apic_id = (uint8_t)i,
                        .apic_version = LOCAL_APIC_VERSION,
                        .flags = MP_CPU_ENABLED | (i == 0 ? MP_CPU_BOOT : 0),
                };
                at = entry_put(table, at, &cpu, sizeof(cpu));
        }
        return at;
}

/* One entry for each pin in use: Linux then numbers its interrupts as the pins are numbered. */
static uint8_t *interrupts_put(MpTable *table, uint8_t *at, const HandoffBlock *block,
                               uint8_t ioapic)
{
        uint32_t used = block->serial_gsi ? UINT32_C(1) << block->serial_gsi : 0;

        for (uint32_t i = 0; i < block->n_slots; i++)
                used |= UINT32_C(1) << (block->slot_gsis[i] % 32);
        for (uint8_t pin = 0; pin < HANDOFF_GSIS; pin++) {
                MpInterrupt interrupt = {
                        .type = 3,
                        .bus_irq = pin,
                        .ioapic = ioapic,
                        .pin = pin,
                };
                if (used & (UINT32_C(1) << pin))
                        at = entry_put(table, at, &interrupt, sizeof(interrupt));
        }
        return at;
}

void mptable_build(MpTable *table, const HandoffBlock *block)
{
        MpHeader *header = &table->header;
        const MpBus bus = {.type = 1, .id = 0, .name = {'I', 'S', 'A', ' ', ' ', ' '}};
        const MpIoapic ioapic = {
                .type = 2,
                .id = (uint8_t)block->cpus_max, /* behind the CPUs' */
                .version = IOAPIC_VERSION,
                .flags = 1,
                .address = IOAPIC_ADDRESS,
        };
        uint8_t *at = table->entries;

        memset(header, 0, sizeof(*header));
        memcpy(header->signature, "PCMP", 4);
        header->revision = MP_REVISION;
        memcpy(header->oem, "UVM     ", 8);
        memcpy(header->product, "UVM BOARD   ", 12);
        header->local_apic = LOCAL_APIC_ADDRESS;
        at = cpus_put(table, at, block->cpus_max);
        at = entry_put(table, at, &bus, sizeof(bus));
        at = entry_put(table, at, &ioapic, sizeof(ioapic));
        at = interrupts_put(table, at, block, ioapic.id);
        header->length = (uint16_t)(at - (uint8_t *)table);
        header->checksum = checksum_of(table, header->length);
}

void mpfloating_build(MpFloating *floating, uint32_t table)
{
        memset(floating, 0, sizeof(*floating));
        memcpy(floating->signature, "_MP_", 4);
        floating->table = table;
        floating->length = sizeof(*floating) / 16;
        floating->revision = MP_REVISION;
        floating->checksum = checksum_of(floating, sizeof(*floating));
}
