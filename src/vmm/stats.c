/* What GET_STATS tells of a machine; declared in machine.h. I/O thread. */
#include "base/clock.h"
#include "vmm/machine.h"
#include "vmm/virtio/balloon.h"
#include "vmm/virtio/mem.h"

static void stats_add_vcpu(const Vcpu *vcpu, ControlStats *stats)
{
        clockid_t clock;
        uint64_t exits;

        if (vcpu->has_thread && pthread_getcpuclockid(vcpu->thread, &clock) == 0)
                stats->vcpu_usec += clock_cpu_usec(clock);
        stats->vcpu_usec += vcpu->past_usec;
        for (unsigned i = 0; i < CONTROL_EXIT_MAX; i++)
                stats->exits[i] += atomic_load_explicit(&vcpu->exits[i], memory_order_relaxed);
        if (vcpu->stats_fd >= 0 && kvm_stats_read(vcpu->stats_fd, "exits", &exits) == 0)
                stats->all_exits += exits;
}

static ControlDevice device_kind(const VirtioDevice *device)
{
        switch (device->ops->id) {
        case VIRTIO_ID_BLOCK:
                return CONTROL_DEVICE_BLOCK;
        case VIRTIO_ID_VSOCK:
                return CONTROL_DEVICE_VSOCK;
        case VIRTIO_ID_9P:
                return CONTROL_DEVICE_P9;
        case VIRTIO_ID_BALLOON:
                return CONTROL_DEVICE_BALLOON;
        case VIRTIO_ID_NET:
                return CONTROL_DEVICE_NET;
        case VIRTIO_ID_MEM:
                return CONTROL_DEVICE_MEM;
        }
        return CONTROL_DEVICE_RNG;
}

static void stats_add_device(uint32_t slot, const VirtioDevice *device, ControlStats *stats)
{
        const VirtioCounters *counters = &device->counters;

        stats->devices[stats->n_devices++] = (ControlDeviceStats){
                .slot = slot,
                .kind = device_kind(device),
                .notifies = virtio_counter_read(&counters->notifies),
                .interrupts = virtio_counter_read(&counters->interrupts),
                .requests = virtio_counter_read(&counters->requests),
                .bytes_from_guest = virtio_counter_read(&counters->bytes_from_guest),
                .bytes_to_guest = virtio_counter_read(&counters->bytes_to_guest),
                .delayed_usec = virtio_counter_read(&counters->delayed_usec),
                .deliveries = virtio_counter_read(&counters->deliveries),
                .drops = virtio_counter_read(&counters->drops),
                .waiting = virtio_counter_read(&counters->waiting),
        };
}

/* As long as no device says more. */
static ControlMemoryStats stats_memory(const Machine *machine)
{
        return (ControlMemoryStats){
                .boot_bytes = guest_memory_size(&machine->memory),
                .free = UINT64_MAX,
                .available = UINT64_MAX,
                .total = UINT64_MAX,
                .caches = UINT64_MAX,
                .major_faults = UINT64_MAX,
                .minor_faults = UINT64_MAX,
                .swap_in = UINT64_MAX,
                .swap_out = UINT64_MAX,
        };
}

void machine_get_stats(Machine *machine, ControlStats *ret)
{
        uint64_t all;

        *ret = (ControlStats){.vcpus = machine->n_vcpus, .memory = stats_memory(machine)};
        /* Those that were taken out, too: what they did is counted for ever. */
        for (unsigned i = 0; machine->vcpus && i < machine->max_vcpus; i++)
                stats_add_vcpu(&machine->vcpus[i], ret);
        all = clock_cpu_usec(CLOCK_PROCESS_CPUTIME_ID);
        ret->io_usec = all > ret->vcpu_usec ? all - ret->vcpu_usec : 0;
        if (machine->console.fd >= 0)
                console_count(&machine->console, &ret->console_bytes, &ret->console_dropped);
        for (unsigned i = 0; i < machine->slots.n; i++) {
                VirtioDevice *device = virtio_slots_device(&machine->slots, i);

                if (device)
                        stats_add_device(i, device, ret);
                if (virtio_device_is_balloon(device))
                        virtio_balloon_get_stats(device, &ret->memory);
                if (virtio_device_is_mem(device))
                        virtio_mem_get_sizes(device, &ret->memory.requested_bytes,
                                             &ret->memory.plugged_bytes);
        }
}
