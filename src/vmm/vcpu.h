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
        bool is_prepared; /* made in KVM, and it looks to the guest as it should */
        pthread_t thread;
        bool has_thread;
        atomic_bool leaves; /* the thread is to end, whatever the machine does */
        VcpuAccess access;
        atomic_uint_fast64_t exits[CONTROL_EXIT_MAX];
        int stats_fd;       /* KVM's own counters, or negative */
        uint64_t last_usec; /* CPU time of the thread when it ended; its own until it is joined */
        uint64_t past_usec; /* CPU time of all threads that were joined */
} Vcpu;

/*
 * Creates the vCPU in KVM, as far as that isn't done: KVM keeps a vCPU as long as its machine, so one
 * that was taken out, or only half made, is used again. @vcpu is all zero at first. 0 or -errno.
 */
int vcpu_init(Vcpu *vcpu, Machine *machine, unsigned id);
void vcpu_done(Vcpu *vcpu); /* the thread was joined */

/* Starts the thread; it parks if the machine's gate is closed. 0 or -errno. */
int vcpu_start(Vcpu *vcpu);

/*
 * Ends the thread, between two exits, and has the vCPU wait for the guest to wake it, as a new one
 * does. The board lock is free meanwhile, for the thread may wait for it. I/O thread. 0 or -errno.
 */
int vcpu_stop(Vcpu *vcpu);

/* The same where the machine ends: its gate is open for the end, the board lock is free. */
void vcpu_join(Vcpu *vcpu);

/* Has KVM_RUN return soon, so that the thread looks at the gate. I/O thread. */
void vcpu_kick(Vcpu *vcpu);

/* The I/O thread, board lock held: serves the access that waits, if one does. 0; -EAGAIN: it waits
 * on, come back; or another -errno. */
int vcpu_serve_access(Vcpu *vcpu);
