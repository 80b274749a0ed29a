/* What all virtio devices share; see device.h. */
#include <assert.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "vmm/virtio/device.h"

#define VIRTIO_COMMON_FEATURES (VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX | VIRTIO_F_VERSION_1)

#define VIRTIO_FAILURES_LOGGED 8

/* How long the machine's I/O thread waits at most, and all else with it. */
#define VIRTIO_ENTER_USEC (200 * USEC_PER_MSEC)

/* Marks one device's state in a template. */
#define VIRTIO_STATE_MAGIC 0x76446576U

static void device_reset_common(VirtioDevice *device)
{
        device->state = (VirtioDeviceState){
                .config_generation = device->state.config_generation,
        };
        for (unsigned i = 0; i < device->n_queues; i++)
                virtio_queue_reset(&device->queues[i], device->ops->queue_sizes[i]);
}

void virtio_device_init(VirtioDevice *device, const VirtioDeviceOps *ops, Loop *loop,
                        const GuestMemory *memory)
{
        *device = (VirtioDevice){
                .ops = ops,
                .loop = loop,
                .memory = memory,
                .features = ops->features | VIRTIO_COMMON_FEATURES,
                .interrupt_fd = FD_NONE,
        };
        for (unsigned i = 0; i < VIRTIO_QUEUES_MAX; i++)
                device->kick_fds[i] = FD_NONE;
        for (unsigned i = 0; i < VIRTIO_PACES_MAX; i++)
                virtio_pace_init(&device->paces[i], device);
        if (ops->n_queues <= VIRTIO_QUEUES_FEW)
                virtio_device_use_queues(device, device->few_queues, ops->n_queues);
}

void virtio_device_use_queues(VirtioDevice *device, VirtioQueue *queues, unsigned n)
{
        assert(n <= VIRTIO_QUEUES_MAX);
        device->queues = queues;
        device->n_queues = n;
        device_reset_common(device);
}

void virtio_device_take_thread(VirtioDevice *device, IoThread *thread)
{
        assert(!device->thread && iothread_loop(thread) == device->loop);
        device->thread = thread;
}

int virtio_device_try_enter(VirtioDevice *device)
{
        return device->thread ? iothread_try_enter(device->thread) : 0;
}

int virtio_device_enter(VirtioDevice *device)
{
        uint64_t deadline = clock_now_usec() + clock_limit_usec(VIRTIO_ENTER_USEC);
        int r;

        do
                r = virtio_device_try_enter(device);
        while (r == -EAGAIN && clock_now_usec() < deadline);
        return r < 0 ? -EBUSY : 0;
}

void virtio_device_leave(VirtioDevice *device)
{
        if (device->thread)
                iothread_leave(device->thread);
}

bool virtio_device_is_busy(const VirtioDevice *device)
{
        for (unsigned i = 0; i < device->n_queues; i++)
                if (device->queues[i].in_flight > 0)
                        return true;
        return false;
}

int virtio_device_drain(VirtioDevice *device)
{
        if (!virtio_device_is_busy(device))
                return 0;
        device->draining = true;
        if (device->ops->cancel)
                device->ops->cancel(device);
        return virtio_device_is_busy(device) ? -EAGAIN : 0;
}

void virtio_device_reset(VirtioDevice *device)
{
        assert(!virtio_device_is_busy(device));
        if (device->ops->reset)
                device->ops->reset(device);
        for (unsigned i = 0; i < VIRTIO_PACES_MAX; i++)
                virtio_pace_cancel(&device->paces[i]);
        device_reset_common(device);
        device->draining = false;
        if (device->interrupt_status)
                atomic_store(device->interrupt_status, 0);
}

VirtioDevice *virtio_device_free(VirtioDevice *device)
{
        IoThread *thread;

        if (!device)
                return NULL;
        thread = device->thread;
        if (thread)
                iothread_enter(thread);
        virtio_device_reset(device);
        for (unsigned i = 0; i < VIRTIO_PACES_MAX; i++)
                virtio_pace_done(&device->paces[i]);
        device->ops->free(device);
        if (thread)
                iothread_leave(thread);
        iothread_free(thread);
        return NULL;
}

static const char *device_problem(const VirtioDevice *device)
{
        for (unsigned i = 0; i < device->n_queues; i++)
                if (device->queues[i].broken)
                        return device->queues[i].problem;
        return "a request is malformed";
}

/* What an operation returned: the guest's wrongs end here, the host's failures go up. */
static int device_settle(VirtioDevice *device, int r)
{
        if (r <= 0)
                return r;
        virtio_device_fail(device, device_problem(device));
        return 0;
}

static int device_start(VirtioDevice *device)
{
        bool event_index = virtio_device_has(device, VIRTIO_F_EVENT_IDX);

        for (unsigned i = 0; i < device->n_queues; i++) {
                int r;

                if (!device->queues[i].state.ready)
                        continue;
                r = virtio_queue_start(&device->queues[i], device->memory, event_index);
                if (r != 0)
                        return r;
        }
        return device->ops->activate ? device->ops->activate(device) : 0;
}

int virtio_device_activate(VirtioDevice *device)
{
        virtio_device_add_status(device, VIRTIO_STATUS_DRIVER_OK);
        return device_settle(device, device_start(device));
}

static void device_limit_pops(VirtioDevice *device)
{
        for (unsigned i = 0; i < device->n_queues; i++) {
                device->queues[i].limited = true;
                device->queues[i].cut = false;
                device->queues[i].budget = device->queues[i].state.size;
        }
}

void virtio_device_kick(VirtioDevice *device, unsigned queue)
{
        uint64_t one = 1;

        if (device->kick_fds[queue] >= 0 && write(device->kick_fds[queue], &one, sizeof(one)) < 0)
                log_warning_errno(errno_neg(), "%s: can't go on", device->ops->name);
}

static void device_kick_all(VirtioDevice *device)
{
        for (unsigned i = 0; i < device->n_queues; i++)
                virtio_device_kick(device, i);
}

/* Has the queues that met their limit looked at again. */
static void device_unlimit_pops(VirtioDevice *device)
{
        for (unsigned i = 0; i < device->n_queues; i++) {
                device->queues[i].limited = false;
                if (device->queues[i].cut)
                        virtio_device_kick(device, i);
        }
}

int virtio_device_notify(VirtioDevice *device, unsigned queue)
{
        int r;

        if (queue >= device->n_queues || device->draining || !virtio_device_is_active(device))
                return 0;
        virtio_count(&device->counters.notifies, 1);
        device_limit_pops(device);
        r = device->ops->notify(device, queue);
        device_unlimit_pops(device);
        return device_settle(device, r);
}

static VirtioPace *device_pace(VirtioDevice *device, ThrottleDirection direction)
{
        switch (direction) {
        case THROTTLE_ALL:
                return device->ops->n_paces == 1 ? &device->paces[VIRTIO_PACE_ALL] : NULL;
        case THROTTLE_TRANSMIT:
                return device->ops->n_paces == 2 ? &device->paces[VIRTIO_PACE_TRANSMIT] : NULL;
        case THROTTLE_RECEIVE:
                return device->ops->n_paces == 2 ? &device->paces[VIRTIO_PACE_RECEIVE] : NULL;
        case THROTTLE_DIRECTION_MAX:
                break;
        }
        return NULL;
}

int virtio_device_set_throttle(VirtioDevice *device, ThrottleDirection direction,
                               const ThrottleLimits *limits)
{
        VirtioPace *pace = device_pace(device, direction);

        if (!pace)
                return -EINVAL;
        virtio_pace_set(pace, limits);
        device_kick_all(device);
        return 0;
}

static int device_on_pace(LoopTimer *timer)
{
        device_kick_all(CONTAINER_OF(timer, VirtioPace, timer)->userdata);
        return 0;
}

bool virtio_device_may_begin(VirtioDevice *device, unsigned pace)
{
        uint64_t waited;

        if (!virtio_pace_may_begin(&device->paces[pace], device->loop, device_on_pace, &waited))
                return false;
        if (waited > 0)
                virtio_count(&device->counters.delayed_usec, waited);
        return true;
}

void virtio_device_spend(VirtioDevice *device, unsigned pace, uint64_t bytes, uint64_t ops)
{
        virtio_pace_take(&device->paces[pace], bytes, ops);
}

int virtio_device_pop(VirtioDevice *device, unsigned queue, VirtioChain *ret)
{
        VirtioPace *pace = &device->paces[VIRTIO_PACE_ALL];
        uint64_t waited;
        int r;

        if (!virtio_pace_may_begin(pace, device->loop, device_on_pace, &waited))
                return VIRTIO_QUEUE_E_EMPTY;
        r = virtio_queue_pop(&device->queues[queue], ret);
        if (r != 0)
                return r;
        virtio_pace_take(pace, (uint64_t)ret->readable_size + ret->writable_size, 1);
        virtio_count(&device->counters.delayed_usec, waited);
        return 0;
}

void virtio_device_refund(VirtioDevice *device, uint64_t bytes)
{
        VirtioPace *pace = &device->paces[VIRTIO_PACE_ALL];

        virtio_pace_give(pace, bytes);
        /* What waits may perhaps begin sooner than the timer says. */
        if (bytes > 0 && pace->waiting_usec > 0)
                device_kick_all(device);
}

void virtio_device_charge(VirtioDevice *device, uint64_t bytes)
{
        virtio_device_spend(device, VIRTIO_PACE_ALL, bytes, 0);
}

static int device_raise(VirtioDevice *device)
{
        uint64_t one = 1;

        /* Who borrows a queue raises the line by the eventfd, and so one after the other with us. */
        if (device->vm && device->n_lent == 0)
                return kvm_vm_raise(device->vm, device->gsi);
        return write(device->interrupt_fd, &one, sizeof(one)) < 0 ? errno_neg() : 0;
}

static void device_interrupt(VirtioDevice *device, unsigned why)
{
        int r;

        if (!device->interrupt_status)
                return;
        atomic_fetch_or(device->interrupt_status, why);
        if ((why & VIRTIO_INTERRUPT_CONFIG) && device->changes)
                __atomic_fetch_add(device->changes, 1, __ATOMIC_RELEASE);
        virtio_count(&device->counters.interrupts, 1);
        r = device_raise(device);
        if (r < 0)
                log_warning_errno(r, "%s: can't raise its interrupt", device->ops->name);
}

bool virtio_device_signal(VirtioDevice *device, unsigned queue)
{
        if (!virtio_queue_wants_interrupt(&device->queues[queue]))
                return false;
        device_interrupt(device, VIRTIO_INTERRUPT_QUEUE);
        return true;
}

static void device_watch_kicks(VirtioDevice *device, unsigned first, uint32_t events)
{
        for (unsigned i = first; i < first + 2; i++)
                if (device->kick_sources[i] && loop_fd_watch(device->kick_sources[i], events) < 0)
                        log_warning("%s: kicks can't be waited for", device->ops->name);
}

void virtio_device_lend(VirtioDevice *device, unsigned first)
{
        device_watch_kicks(device, first, 0);
        if (device->n_lent++ == 0 && device->interrupt_status)
                atomic_fetch_or(device->interrupt_status, VIRTIO_INTERRUPT_LENT);
}

void virtio_device_take_back(VirtioDevice *device, unsigned first)
{
        assert(device->n_lent > 0);
        device_watch_kicks(device, first, VIRTIO_KICK_EVENTS);
        if (--device->n_lent == 0 && device->interrupt_status)
                atomic_fetch_and(device->interrupt_status, ~VIRTIO_INTERRUPT_LENT);
        virtio_device_kick(device, first);
        virtio_device_kick(device, first + 1);
}

void virtio_device_config_changed(VirtioDevice *device)
{
        __atomic_fetch_add(&device->state.config_generation, 1, __ATOMIC_RELEASE);
        if (virtio_device_is_active(device))
                device_interrupt(device, VIRTIO_INTERRUPT_CONFIG);
}

void virtio_device_fail(VirtioDevice *device, const char *why)
{
        bool was_active = virtio_device_is_active(device);

        virtio_device_add_status(device, VIRTIO_STATUS_NEEDS_RESET);
        if (device->failures++ < VIRTIO_FAILURES_LOGGED)
                log_warning("%s: the guest's driver broke the rules: %s", device->ops->name, why);
        if (was_active)
                device_interrupt(device, VIRTIO_INTERRUPT_CONFIG);
}

int virtio_device_save(const VirtioDevice *device, WireWriter *writer)
{
        size_t size;
        int r;

        wire_put_u32(writer, VIRTIO_STATE_MAGIC);
        wire_put_u32(writer, device->ops->id);
        wire_put_u8(writer, device->state.status);
        wire_put_u64(writer, device->state.driver_features);
        wire_put_u32(writer, device->state.config_generation);
        wire_put_u32(writer, device->n_queues);
        for (unsigned i = 0; i < device->n_queues; i++) {
                if (device->queues[i].in_flight > 0)
                        return -EBUSY;
                virtio_queue_save(&device->queues[i], writer);
        }
        r = device->ops->save ? device->ops->save(device, writer) : 0;
        return r < 0 ? r : wire_writer_end(writer, &size);
}

static int device_load_common(VirtioDevice *device, WireReader *reader)
{
        if (wire_get_u32(reader) != VIRTIO_STATE_MAGIC || wire_get_u32(reader) != device->ops->id)
                return -EBADMSG;
        device->state.status = wire_get_u8(reader);
        device->state.driver_features = wire_get_u64(reader);
        device->state.config_generation = wire_get_u32(reader);
        if (wire_get_u32(reader) != device->n_queues ||
            (device->state.driver_features & ~device->features) != 0)
                return -EBADMSG;
        for (unsigned i = 0; i < device->n_queues; i++)
                virtio_queue_load(&device->queues[i], reader);
        return reader->bad ? -EBADMSG : 0;
}

int virtio_device_load(VirtioDevice *device, WireReader *reader)
{
        int r = device_load_common(device, reader);

        if (r == 0 && device->ops->load)
                r = device->ops->load(device, reader);
        if (r == 0 && reader->bad)
                r = -EBADMSG;
        if (r == 0 && virtio_device_is_active(device))
                r = device_start(device);
        if (r == 0) {
                /* What waited for a throttle, or came behind the save: no driver kicks for it. */
                device_kick_all(device);
                return 0;
        }
        virtio_device_reset(device);
        return r < 0 ? r : -EBADMSG;
}
