/*
 * What a processor architecture brings to the board; src/vmm/x86 implements it. Addresses and
 * interrupt numbers that the guest learns by the hand-off block are chosen here.
 *
 * Thread: the I/O thread, unless said otherwise.
 */
#pragma once

#include <stdint.h>

#include "vmm/dev/serial.h"
#include "vmm/kvm/vm.h"

#define ARCH_SLOTS_BASE 0xd0000000ULL

/* The GSIs that virtio-mmio slots interrupt by; slot i has number i % ARCH_SLOT_GSIS. */
#define ARCH_SLOT_GSIS 18
extern const uint8_t arch_slot_gsis[ARCH_SLOT_GSIS];
extern const uint32_t arch_serial_gsi;

/* Interrupt controller and what must exist before the first vCPU. 0 or -errno. */
int arch_vm_prepare(KvmVm *vm);

/* What vCPU @id of at most @max_vcpus can do, as the guest sees it. 0 or -errno. */
int arch_vcpu_prepare(KvmVm *vm, KvmVcpu *vcpu, unsigned id, unsigned max_vcpus);

/* Where the boot vCPU starts; see proto/firmware.h. The others wait to be woken by it. */
typedef struct ArchStart {
        uint64_t entry, stack, page_tables, handoff; /* guest addresses */
} ArchStart;
int arch_vcpu_start(KvmVcpu *vcpu, const ArchStart *start);

/* The vCPU waits to be woken again, as a new one does. No thread runs it. 0 or -errno. */
int arch_vcpu_stop(KvmVcpu *vcpu);

/* Time stood still for the guest: tells its clock, so that its watchdogs keep quiet. Parked vCPU. */
void arch_vcpu_resume(KvmVcpu *vcpu);

/* What an exit for a port asks of the machine. */
enum {
        ARCH_E_RESET = 1, /* the guest resets the board */
        ARCH_E_PHASE = 2, /* the guest passed the boot phase *@ret_phase */
};

/* Serves a KVM_EXIT_IO of @vcpu on its own thread. 0 or ARCH_E_*. */
int arch_vcpu_port(KvmVcpu *vcpu, Serial *serial, uint8_t *ret_phase);

/* "rip 0x1000 …" for a message about a vCPU that can't go on; on its own thread. */
void arch_vcpu_describe(KvmVcpu *vcpu, char *text, size_t size);
