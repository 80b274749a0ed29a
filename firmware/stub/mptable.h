/*
 * The MP table (MultiProcessor Specification 1.4, chapter 4): which CPUs there are or may come, and
 * how interrupt lines reach the IOAPIC. Each CPU that may ever be plugged is listed as enabled:
 * Linux brings up no other later. Lines are listed for what exists only, since Linux programs each
 * one listed at boot, by slow accesses.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "proto/handoff.h"

typedef struct MpFloating {
        uint8_t signature[4]; /* "_MP_" */
        uint32_t table;
        uint8_t length; /* of this structure, in units of 16 bytes */
        uint8_t revision;
        uint8_t checksum; /* makes all bytes add up to 0 */
        uint8_t features[5];
} MpFloating;

typedef struct MpHeader {
        uint8_t signature[4]; /* "PCMP" */
        uint16_t length;      /* with all entries */
        uint8_t revision;
        uint8_t checksum;
        uint8_t oem[8];
        uint8_t product[12];
        uint32_t oem_table;
        uint16_t oem_table_size;
        uint16_t n_entries;
        uint32_t local_apic;
        uint32_t extended; /* length and checksum of further tables: none */
} MpHeader;

typedef struct MpCpu {
        uint8_t type; /* 0 */
        uint8_t apic_id;
        uint8_t apic_version;
        uint8_t flags; /* 1 enabled, 2 boot processor */
        uint32_t signature;
        uint32_t features;
        uint32_t reserved[2];
} MpCpu;

typedef struct MpBus {
        uint8_t type; /* 1 */
        uint8_t id;
        uint8_t name[6];
} MpBus;

typedef struct MpIoapic {
        uint8_t type; /* 2 */
        uint8_t id;
        uint8_t version;
        uint8_t flags; /* 1 enabled */
        uint32_t address;
} MpIoapic;

typedef struct MpInterrupt {
        uint8_t type;   /* 3 */
        uint8_t kind;   /* 0: a vectored interrupt */
        uint16_t flags; /* 0: polarity and trigger mode as the bus has them */
        uint8_t bus;
        uint8_t bus_irq;
        uint8_t ioapic;
        uint8_t pin;
} MpInterrupt;

_Static_assert(sizeof(MpFloating) == 16 && sizeof(MpHeader) == 44 && sizeof(MpCpu) == 20 &&
                       sizeof(MpBus) == 8 && sizeof(MpIoapic) == 8 && sizeof(MpInterrupt) == 8,
               "sizes of the specification");

/* Room for the longest table; the entries follow the header without gaps. */
typedef struct MpTable {
        MpHeader header;
        uint8_t entries[HANDOFF_CPUS_MAX * sizeof(MpCpu) + sizeof(MpBus) + sizeof(MpIoapic) +
                        HANDOFF_GSIS * sizeof(MpInterrupt)];
} MpTable;

void mptable_build(MpTable *table, const HandoffBlock *block);

/* @table is the physical address of the MpTable. */
void mpfloating_build(MpFloating *floating, uint32_t table);
