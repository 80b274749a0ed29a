/*
 * One KVM virtual machine: the file descriptors and ioctls, no policy. Errors are the host's:
 * negative errnos.
 *
 * Thread: set up on the I/O thread; a KvmVcpu is run by its own thread.
 */
#pragma once

#include <linux/kvm.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "vmm/mem/memory.h"

#define KVM_LINES 24 /* pins of the IOAPIC */

typedef struct KvmVm {
        int kvm_fd; /* /dev/kvm */
        int vm_fd;
        int run_size;                     /* bytes of a vCPU's struct kvm_run */
        bool has_hot;                     /* kvm_vm_map_hot() was done */
        pthread_mutex_t lines[KVM_LINES]; /* held from a line's rise to its fall */
} KvmVm;

typedef struct KvmVcpu {
        int fd;
        int run_size;
        struct kvm_run *run;
} KvmVcpu;

/* The oldest API there is and ever will be. */
#define KVM_API 12

/*
 * Takes over @kvm_fd and makes a machine without memory or vCPUs. -ENOTTY: the fd isn't /dev/kvm;
 * -EOPNOTSUPP: this KVM is too old or lacks something, named in *@ret_lacks (else NULL).
 */
int kvm_vm_open(KvmVm *vm, int kvm_fd, const char **ret_lacks);
void kvm_vm_close(KvmVm *vm);

/* Every region of @memory becomes guest RAM at its address. */
int kvm_vm_map(KvmVm *vm, const GuestMemory *memory);

/* The region that memory may be plugged in becomes guest RAM, as far as it is plugged. Once: from then
 * on there is nothing to do. Not earlier than it is wanted, for KVM makes tables for all of it. */
int kvm_vm_map_hot(KvmVm *vm, const HotMemory *hot);

/* One page of ours, @host, becomes guest RAM at @address, once. */
#define KVM_PAGE_SIZE 4096
int kvm_vm_map_page(KvmVm *vm, uint64_t address, const void *host);

/*
 * Raises @gsi once, as an edge: in this thread, where the same by an eventfd would wake a worker of the
 * kernel's first (it does without one for message-signalled interrupts only). Devices of several threads
 * may share @gsi: each gets an edge of its own. But not beside an irqfd of the same line that another
 * thread, or the kernel, writes at the same time: what rises while the line is high is no edge.
 */
int kvm_vm_raise(KvmVm *vm, uint32_t gsi);

/* Writing to @event_fd raises @gsi once, as an edge. */
int kvm_vm_irqfd(KvmVm *vm, uint32_t gsi, int event_fd, bool assign);

/* A 4-byte guest write of @value to @address signals @event_fd instead of leaving KVM_RUN. */
int kvm_vm_ioeventfd(KvmVm *vm, uint64_t address, uint32_t value, int event_fd, bool assign);

/* @id is the APIC id on x86. */
int kvm_vcpu_open(KvmVm *vm, unsigned id, KvmVcpu *ret);
void kvm_vcpu_close(KvmVcpu *vcpu);

/*
 * KVM's own statistics of a vCPU: a file to read (its vCPU must not run while it is made; the fd, or
 * -errno on old hosts), and the value of one counter in it by name.
 */
int kvm_vcpu_stats_open(const KvmVcpu *vcpu);
int kvm_stats_read(int stats_fd, const char *name, uint64_t *ret);

/* An ioctl with an argument, as 0 or more, or -errno. */
int kvm_ioctl(int fd, unsigned long request, void *argument);
int kvm_ioctl_value(int fd, unsigned long request, unsigned long value);
