/*
 * A vCPU and its thread, which runs it and dispatches its exits until the machine ends. What it may
 * touch of the machine is listed in machine.h.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "proto/control.h"
#include "vmm/kvm/vm.h"
#include "vmm/virtio/slots.h"

typedef struct Machine Machine;

/* A register write that waits for the I/O thread; under the board lock. */
typedef struct VcpuAccess {
        bool pending;
        VirtioSlot *slot;
        uint32_t offset;
        unsigned size;
        uint8_t data[8];
} VcpuAccess;

typedef struct Vcpu {
        Machine *machine;
        unsigned id;
        KvmVcpu kvm;
        pthread_t thread;
        bool has_thread;
        VcpuAccess access;
        atomic_uint_fast64_t exits[CONTROL_EXIT_MAX];
        int stats_fd; /* KVM's own counters, or negative */
} Vcpu;

/* Creates the vCPU in KVM. 0 or -errno. */
int vcpu_init(Vcpu *vcpu, Machine *machine, unsigned id);
void vcpu_done(Vcpu *vcpu); /* the thread was joined */

/* Starts the thread; it parks if the machine's gate is closed. 0 or -errno. */
int vcpu_start(Vcpu *vcpu);

/* Has KVM_RUN return soon, so that the thread looks at the gate. I/O thread. */
void vcpu_kick(Vcpu *vcpu);

/* The I/O thread, board lock held: serves the access that waits, if one does. 0; -EAGAIN: it waits
 * on, come back; or another -errno. */
int vcpu_serve_access(Vcpu *vcpu);
