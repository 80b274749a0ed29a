/*
 * The network device with a vhost-net that this test plays: its ioctls end here, and it walks the rings
 * as the kernel would. What the real one does is for dev/bench net and the scenarios to show.
 */
#include <linux/vhost.h>
#include <stdarg.h>
#include <sys/ioctl.h>

/* The same number as a mask, in ours. */
#undef VIRTIO_F_VERSION_1

#include "test/unit/net_guest.h"

#define FEATURES (F_COMMON | F_MERGEABLE | F_CONTROL)

/* Of one vhost-net. */
typedef struct Kernel {
        int fd;
        bool is_owned;
        uint64_t features;
        struct vhost_vring_addr address[2];
        unsigned size[2], next[2];
        int kick[2], call[2], error[2], backend[2];
        uint64_t memory_start, memory_size, memory_at;
        uint32_t n_regions;
        struct vhost_memory_region last;
} Kernel;

static Kernel kernels[PAIRS];
static unsigned n_kernels;
static unsigned long failing; /* the request that fails */

int __real_ioctl(int fd, unsigned long request, ...);
int __wrap_ioctl(int fd, unsigned long request, ...);

static Kernel *kernel_of(int fd)
{
        for (unsigned i = 0; i < n_kernels; i++)
                if (kernels[i].fd == fd)
                        return &kernels[i];
        return NULL;
}

static int kernel_do(Kernel *kernel, unsigned long request, void *argument)
{
        const struct vhost_memory *table = argument;
        struct vhost_vring_state *state = argument;
        const struct vhost_vring_file *file = argument;
        const struct vhost_vring_addr *address = argument;

        /* The kernel's own rules: an owner first, and no change of a ring that it drives. */
        if (!kernel->is_owned && request != VHOST_SET_OWNER)
                return EPERM;
        switch (request) {
        case VHOST_SET_OWNER:
                kernel->is_owned = true;
                return 0;
        case VHOST_GET_FEATURES:
                *(uint64_t *)argument = FEATURES;
                return 0;
        case VHOST_SET_FEATURES:
                kernel->features = *(uint64_t *)argument;
                return 0;
        case VHOST_SET_MEM_TABLE:
                kernel->memory_start = table->regions[0].guest_phys_addr;
                kernel->memory_size = table->regions[0].memory_size;
                kernel->memory_at = table->regions[0].userspace_addr;
                kernel->n_regions = table->nregions;
                kernel->last = table->regions[table->nregions - 1];
                return 0;
        case VHOST_SET_VRING_NUM:
                kernel->size[state->index] = state->num;
                return kernel->backend[state->index] >= 0 ? EBUSY : 0;
        case VHOST_SET_VRING_BASE:
                kernel->next[state->index] = state->num;
                return kernel->backend[state->index] >= 0 ? EBUSY : 0;
        case VHOST_GET_VRING_BASE:
                state->num = kernel->next[state->index];
                return 0;
        case VHOST_SET_VRING_ADDR:
                kernel->address[address->index] = *address;
                return 0;
        case VHOST_SET_VRING_KICK:
                kernel->kick[file->index] = file->fd;
                return 0;
        case VHOST_SET_VRING_CALL:
                kernel->call[file->index] = file->fd;
                return 0;
        case VHOST_SET_VRING_ERR:
                kernel->error[file->index] = file->fd;
                return 0;
        case VHOST_NET_SET_BACKEND:
                kernel->backend[file->index] = file->fd;
                return 0;
        }
        return ENOTTY;
}

int __wrap_ioctl(int fd, unsigned long request, ...)
{
        Kernel *kernel = kernel_of(fd);
        va_list arguments;
        void *argument;
        int error;

        va_start(arguments, request);
        argument = va_arg(arguments, void *);
        va_end(arguments);
        if (!kernel)
                return __real_ioctl(fd, request, argument);
        error = request == failing ? EIO : kernel_do(kernel, request, argument);
        errno = error;
        return error ? -1 : 0;
}

static int make_kernel(void)
{
        Kernel *kernel = &kernels[n_kernels++];

        *kernel = (Kernel){
                .fd = eventfd(0, EFD_CLOEXEC),
                .kick = {-1, -1},
                .call = {-1, -1},
                .error = {-1, -1},
                .backend = {-1, -1},
        };
        return kernel->fd;
}

static bool kernel_runs(const Kernel *kernel)
{
        return kernel->backend[0] >= 0 && kernel->backend[1] >= 0;
}

/* Uses the next @n requests of ring @index, as the kernel does. */
static void kernel_uses(Kernel *kernel, unsigned index, unsigned n)
{
        const struct vhost_vring_addr *address = &kernel->address[index];
        uint16_t *available = (uint16_t *)(uintptr_t)address->avail_user_addr;
        uint16_t *used = (uint16_t *)(uintptr_t)address->used_user_addr;
        const uint64_t one = 1;

        unit_assert(kernel_runs(kernel));
        for (; n > 0; n--) {
                uint32_t *entry = (uint32_t *)(used + 2) + 2 * (used[1] % kernel->size[index]);

                unit_assert(kernel->next[index] != available[1]);
                entry[0] = available[2 + kernel->next[index]++ % kernel->size[index]];
                entry[1] = 77;
                used[1]++;
        }
        unit_assert_int(write(kernel->call[index], &one, sizeof(one)), sizeof(one));
}

static void start_vhost(unsigned n_pairs, uint64_t features)
{
        int vhosts[PAIRS];

        failing = n_kernels = 0;
        for (unsigned i = 0; i < n_pairs; i++)
                vhosts[i] = make_kernel();
        unit_assert_int(loop_new(&loop), 0);
        unit_assert_int(guest_memory_init(&memory, DRIVER_MEMORY), 0);
        plug_vhost(n_pairs, TAP_CSUM | TAP_TSO4 | TAP_TSO6 | TAP_USO, 1500, vhosts);
        start(features);
}

static void check_runs(const Kernel *kernel, unsigned pair)
{
        unit_assert(kernel_runs(kernel));
        for (unsigned i = 0; i < 2; i++) {
                Driver *driver = &drivers[2 * pair + i];
                const struct vhost_vring_addr *address = &kernel->address[i];

                unit_assert_int(kernel->size[i], DRIVER_ENTRIES);
                unit_assert_int(kernel->kick[i], driver->kick.fd);
                unit_assert_int(kernel->call[i], device->interrupt_fd);
                unit_assert(kernel->error[i] >= 0);
                unit_assert(address->desc_user_addr ==
                            (uintptr_t)driver_at(driver, driver->base, 1));
                unit_assert(address->avail_user_addr ==
                            (uintptr_t)driver_at(driver, driver->base + 4096, 1));
                unit_assert(address->used_user_addr ==
                            (uintptr_t)driver_at(driver, driver->base + 8192, 1));
        }
        unit_assert(kernel->features == (F_COMMON | F_MERGEABLE));
        unit_assert_int(kernel->memory_start, 0);
        unit_assert_int(kernel->memory_size, DRIVER_MEMORY);
        unit_assert(kernel->memory_at == (uintptr_t)guest_memory_span(&memory, 0, 1));
}

static void check_stopped(const Kernel *kernel)
{
        for (unsigned i = 0; i < 2; i++)
                unit_assert(kernel->backend[i] < 0 && kernel->kick[i] < 0 && kernel->call[i] < 0);
}

static void set_throttle(uint64_t ops)
{
        unit_assert_int(virtio_device_set_throttle(device, THROTTLE_TRANSMIT,
                                                   &(ThrottleLimits){.ops = ops}),
                        0);
        unit_assert_int(virtio_net_choose_mover(device), 0);
        settle();
}

/* The kernel has the rings and nobody else touches them; with a throttle it is the other way round,
 * and each goes on where the other stopped. */
static void test_back_and_forth(void)
{
        Kernel *kernel = &kernels[0];

        start_vhost(1, FEATURES);
        check_runs(kernel, 0);
        unit_assert_int(atomic_load(device->interrupt_status), VIRTIO_INTERRUPT_LENT);
        offer(0, 0, 20);
        guest_sends(1, 0, 100, 1);
        guest_sends(1, 1, 100, 2);
        driver_kick(&drivers[0]);
        driver_kick(&drivers[1]);
        host_sends(0, 100, 3);
        settle();
        unit_assert_int(driver_used(&drivers[0]) + driver_used(&drivers[1]), 0);
        kernel_uses(kernel, 0, 3);
        kernel_uses(kernel, 1, 1);
        unit_assert_int(driver_used(&drivers[0]), 3);
        for (unsigned i = 0; i < 3; i++)
                (void)driver_reap(&drivers[0], &(uint32_t){0});
        (void)driver_reap(&drivers[1], &(uint32_t){0});
        set_throttle(1000000);
        check_stopped(kernel);
        unit_assert_int(atomic_load(device->interrupt_status) & VIRTIO_INTERRUPT_LENT, 0);
        (void)guest_gets(0, 100, 3);
        host_gets(0, 100, 2);
        unit_assert_int(driver_reap(&drivers[1], &(uint32_t){0}), 1);
        set_throttle(0);
        check_runs(kernel, 0);
        unit_assert_int(kernel->next[0], 4);
        unit_assert_int(kernel->next[1], 2);
        kernel_uses(kernel, 0, 1);
        unit_assert_int(driver_reap(&drivers[0], &(uint32_t){0}), 4);
        /* While the link is down, packets are lost: the kernel doesn't know that. */
        virtio_net_set_link(device, false);
        check_stopped(kernel);
        virtio_net_set_link(device, true);
        check_runs(kernel, 0);
        end();
}

static void test_reset(void)
{
        uint8_t bytes[512];
        WireWriter writer = wire_writer(bytes, sizeof(bytes));

        start_vhost(1, FEATURES);
        unit_assert_int(virtio_device_save(device, &writer), -EBUSY);
        unit_assert(!virtio_device_is_busy(device));
        virtio_device_reset(device);
        check_stopped(&kernels[0]);
        start(FEATURES);
        check_runs(&kernels[0], 0);
        /* The driver takes a queue away: nobody may touch it any more. */
        device->ops->stop_queue(device, 0);
        virtio_queue_stop(&device->queues[0]);
        check_stopped(&kernels[0]);
        end();
}

/* What may be plugged later is in the table from the start. */
static void test_hot_memory(void)
{
        int vhost;

        failing = n_kernels = 0;
        vhost = make_kernel();
        unit_assert_int(loop_new(&loop), 0);
        unit_assert_int(guest_memory_init(&memory, DRIVER_MEMORY), 0);
        unit_assert_int(guest_memory_reserve(&memory, 2 * DRIVER_MEMORY), 0);
        plug_vhost(1, TAP_CSUM, 0, &vhost);
        start(F_COMMON | F_MERGEABLE);
        check_runs(&kernels[0], 0);
        unit_assert_int(kernels[0].n_regions, 2);
        unit_assert_int(kernels[0].last.guest_phys_addr, memory.hot.start);
        unit_assert_int(kernels[0].last.memory_size, memory.hot.size);
        unit_assert(kernels[0].last.userspace_addr == (uintptr_t)memory.hot.host);
        end();
}

static void test_pairs(void)
{
        start_vhost(PAIRS, FEATURES | F_MQ);
        check_runs(&kernels[0], 0);
        check_stopped(&kernels[1]);
        memcpy(driver_at(&drivers[QUEUES - 1], BUFFERS(QUEUES - 1), 4), "\4\0\2\0", 4);
        driver_describe(&drivers[QUEUES - 1], 0, BUFFERS(QUEUES - 1), 4, DRIVER_NEXT, 1);
        driver_describe(&drivers[QUEUES - 1], 1, BUFFERS(QUEUES - 1) + 64, 1, DRIVER_WRITE, 0);
        offer(QUEUES - 1, 0, 1);
        driver_kick(&drivers[QUEUES - 1]);
        settle();
        unit_assert_int(driver_used(&drivers[QUEUES - 1]), 1);
        check_runs(&kernels[1], 1);
        check_stopped(&kernels[2]);
        unit_assert(!kernels[2].is_owned);
        end();
        check_stopped(&kernels[0]);
        check_stopped(&kernels[1]);
}

/* Whatever the kernel can't do, this process does. */
static void test_failures(void)
{
        static const unsigned long requests[] = {
                VHOST_SET_OWNER,      VHOST_GET_FEATURES,    VHOST_SET_FEATURES,
                VHOST_SET_MEM_TABLE,  VHOST_SET_VRING_NUM,   VHOST_SET_VRING_BASE,
                VHOST_SET_VRING_ADDR, VHOST_SET_VRING_KICK,  VHOST_SET_VRING_CALL,
                VHOST_SET_VRING_ERR,  VHOST_NET_SET_BACKEND,
        };

        log_set_level(LOG_ERR);
        for (unsigned i = 0; i < ELEMENTSOF(requests); i++) {
                int vhost;

                failing = n_kernels = 0;
                vhost = make_kernel();
                failing = requests[i];
                unit_assert_int(loop_new(&loop), 0);
                unit_assert_int(guest_memory_init(&memory, DRIVER_MEMORY), 0);
                plug_vhost(1, TAP_CSUM, 0, &vhost);
                start(F_COMMON | F_MERGEABLE);
                failing = 0;
                unit_assert(!kernel_runs(&kernels[0]));
                offer(0, 0, 4);
                driver_kick(&drivers[0]);
                guest_sends(1, 0, 100, 1);
                driver_kick(&drivers[1]);
                host_sends(0, 100, 2);
                settle();
                host_gets(0, 100, 1);
                (void)guest_gets(0, 100, 2);
                end();
        }
        log_set_level(LOG_INFO);
}

/* A ring that the kernel can't use: what is wrong with it is found here. */
static void test_error(void)
{
        const uint64_t one = 1;

        start_vhost(1, FEATURES);
        log_set_level(LOG_ERR);
        driver_describe(&drivers[1], 0, 1ULL << 40, 100, 0, 0);
        offer(1, 0, 1);
        unit_assert_int(write(kernels[0].error[1], &one, sizeof(one)), sizeof(one));
        settle();
        unit_assert(virtio_device_status(device) & VIRTIO_STATUS_NEEDS_RESET);
        log_set_level(LOG_INFO);
        end();
}

UNIT_MAIN(UNIT_TEST(test_back_and_forth), UNIT_TEST(test_reset), UNIT_TEST(test_hot_memory),
          UNIT_TEST(test_pairs), UNIT_TEST(test_failures), UNIT_TEST(test_error))
