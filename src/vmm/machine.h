/*
 * One virtual machine: memory, vCPUs, board. It knows nothing of the control socket; the owner
 * (link.c, or a board test) calls it and hears of it by MachineEvents.
 *
 * Threads. The I/O thread runs the loop and owns everything. Each vCPU has a thread that only runs
 * the vCPU and dispatches its exits. A device whose work may block has a thread with a loop of its
 * own, and perhaps a pool for system calls that do (thread/). What crosses between them, and how:
 *
 *   slots and device state    the board lock: held by the I/O thread but while it waits in epoll, by
 *                             a vCPU thread during one register access. Writes that call into a
 *                             device are handed to the I/O thread (Vcpu.access) and waited for.
 *   a device with a thread    the I/O thread visits that thread (iothread.h): to plug, for a vCPU's
 *                             write, to save, to unplug. It doesn't wait for one that blocks: the
 *                             vCPU does, and after a time limit the machine ends, with a reason.
 *   device status, counters   atomic: written on the device's thread, read by vCPUs and GET_STATS
 *   kicks, interrupts         eventfds
 *   interrupt status          atomic, for interrupt handlers must not wait for the lock
 *   requests in a pool        the request and what it has a reference to; home by an eventfd
 *   serial port, console      a lock each of their own
 *   run, pause, end           Machine.gate, atomic; a vCPU parks on Machine.gate_changed
 *   a vCPU comes, leaves      the I/O thread starts and joins its thread; Vcpu.leaves, atomic
 *   phases, the end's reason  under the news lock; the I/O thread is woken by wake_fd
 *   exit counters             atomic, relaxed
 *   guest memory              fixed before the first vCPU runs; its bytes are anyone's. Which blocks
 *                             of what may be plugged are, is atomic; the I/O thread changes it, and a
 *                             thread that uses one meanwhile doesn't crash (mem/hot.h, mem/guard.h)
 *
 * Order of locks: the board's before a visit, the gate's and the news'; a visit before the news'; the
 * serial port's before the console's. A device's thread never takes the board's.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "base/enum.h"
#include "base/loop.h"
#include "proto/control.h"
#include "vmm/dev/console.h"
#include "vmm/dev/serial.h"
#include "vmm/kvm/vm.h"
#include "vmm/mem/memory.h"
#include "vmm/vcpu.h"
#include "vmm/virtio/slots.h"

typedef enum MachineState {
        MACHINE_EMPTY,      /* made, nothing configured */
        MACHINE_BROKEN,     /* could not be configured: only the end is left */
        MACHINE_CONFIGURED, /* complete and loaded; devices may come and go from here on */
        MACHINE_RUNNING,
        MACHINE_PAUSING, /* some vCPU has not stopped yet */
        MACHINE_PAUSED,
        MACHINE_ENDED, /* no vCPU thread exists any more */
        MACHINE_STATE_MAX,
} MachineState;
ENUM_DECLARE(machine_state, MachineState);

/* All are called on the I/O thread. */
typedef struct MachineEvents {
        void (*phase)(void *userdata, uint32_t id, uint64_t usec);
        void (*paused)(void *userdata);
        /* The machine is MACHINE_ENDED; @text is for people. Once. */
        void (*ended)(void *userdata, ControlEnd reason, const char *text);
        void *userdata;
} MachineEvents;

#define MACHINE_PHASES_MAX 16

typedef struct MachineNews {
        struct {
                uint32_t id;
                uint64_t usec;
        } phases[MACHINE_PHASES_MAX];
        unsigned n_phases;
        uint8_t seen[256 / 8]; /* guest phases that were reported: each is once */
        ControlEnd end;        /* 0: goes on */
        char text[CONTROL_TEXT_SIZE_MAX + 1];
} MachineNews;

/* Bits of Machine.gate. */
#define MACHINE_GATE_PAUSE 1U
#define MACHINE_GATE_END   2U

struct Machine {
        MachineState state;
        MachineEvents events;
        Loop *loop;

        KvmVm vm;
        GuestMemory memory;
        VirtioSlots slots;
        Console console;
        Serial serial;
        int serial_fd; /* irqfd of the serial port */

        pthread_mutex_t board_lock;
        pthread_cond_t access_done; /* with the board lock */

        unsigned n_vcpus; /* the first ones, that have a thread once the machine was started */
        unsigned max_vcpus;
        Vcpu *vcpus; /* max_vcpus entries; behind n_vcpus those that never came or left again */
        atomic_uint gate;
        pthread_mutex_t gate_lock;
        pthread_cond_t gate_changed; /* with the gate lock */
        unsigned n_parked;           /* under the gate lock */

        LoopTimer retry;         /* accesses that wait for a device's thread */
        uint64_t retry_end_usec; /* until when; 0: none waits */
        uint64_t retry_limit_usec;

        pthread_mutex_t news_lock;
        MachineNews news;
        int wake_fd;
        LoopFd wake;
};

typedef struct MachineConfig {
        uint64_t memory_bytes, memory_max_bytes; /* the second: 0, or with what may be plugged */
        bool merge_pages;
        unsigned vcpus, max_vcpus, slots;
        const char *cmdline;                 /* added to the firmware's own */
        int kvm_fd, firmware_fd, console_fd; /* all taken over */
} MachineConfig;

/* Borrows @loop, whose wait hooks become the board lock's. 0 or -errno. */
int machine_init(Machine *machine, Loop *loop, const MachineEvents *events);

/*
 * Ends what runs, without an event, and frees all. Harmless on an all-zero object. 0; or -EBUSY:
 * requests of a device to the host don't end, nothing could be freed, the process has to end.
 */
int machine_done(Machine *machine);

/*
 * Makes the machine and loads the firmware: MACHINE_EMPTY → MACHINE_CONFIGURED. 0, or -errno and
 * what to tell a person in @ret_text, and MACHINE_BROKEN. -EALREADY: it was configured before.
 */
int machine_configure(Machine *machine, const MachineConfig *config,
                      char ret_text[CONTROL_TEXT_SIZE_MAX + 1]);

/* Whether there is a board for devices to be in. */
bool machine_has_board(const Machine *machine);

/* Each: 0, or -EINVAL in a state that doesn't allow it, or -errno. */
int machine_start(Machine *machine);
int machine_pause(Machine *machine); /* events.paused follows */
/* The guest's clocks went on meanwhile: the TSC and KVM's clock run with the host's time. Its watchdogs
 * are told. Time that the host was suspended for is missing where the guest's clock is the TSC; the agent
 * is told the time then. */
int machine_resume(Machine *machine);

/*
 * How many vCPUs run from now on; see SET_VCPUS in proto/control.h. 0; -EINVAL: a state that doesn't
 * allow it (also before the start: the guest was told another number), or no such number; or -errno,
 * and as many run as came so far.
 */
int machine_set_vcpus(Machine *machine, unsigned vcpus);

/* Asks for the end; any thread. The first reason given is the one that is told. */
void machine_end(Machine *machine, ControlEnd reason, const char *format, ...)
        __attribute__((format(printf, 3, 4)));

void machine_get_stats(Machine *machine, ControlStats *ret);

/* A thread for a device, whose failure ends the machine. 0 or -errno. */
int machine_new_iothread(Machine *machine, const char *name, IoThread **ret);

/* For vcpu.c and configure.c; any thread. */
void machine_tell_phase(Machine *machine, uint32_t id);
void machine_wake(Machine *machine);
void machine_set_state(Machine *machine, MachineState state); /* I/O thread */
