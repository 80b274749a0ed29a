/* The kernel's network device; see vhost.h. */
#include <linux/vhost.h>
#include <sys/ioctl.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "vmm/net/vhost.h"

#define VHOST_QUEUES 2

static int vhost_ioctl(int fd, unsigned long request, const void *argument)
{
        return ioctl(fd, request, argument) < 0 ? errno_neg() : 0;
}

int vhost_own(int fd)
{
        return vhost_ioctl(fd, VHOST_SET_OWNER, NULL);
}

static int vhost_set_features(int fd, uint64_t features)
{
        uint64_t known = 0;
        int r = vhost_ioctl(fd, VHOST_GET_FEATURES, &known);

        if (r == 0 && (features & ~known) != 0)
                r = -EOPNOTSUPP;
        return r < 0 ? r : vhost_ioctl(fd, VHOST_SET_FEATURES, &features);
}

static struct vhost_memory_region vhost_region(uint64_t start, uint64_t size, const void *host)
{
        return (struct vhost_memory_region){
                .guest_phys_addr = start,
                .memory_size = size,
                .userspace_addr = (uintptr_t)host,
        };
}

/* The regions that a guest boots with, and the one behind them. */
#define VHOST_TABLE_SIZE               \
        (sizeof(struct vhost_memory) + \
         (GUEST_MEMORY_REGIONS_MAX + 1) * sizeof(struct vhost_memory_region))

/* All that may ever be memory: what of it the guest has is the business of its mapping, EFAULT for the
 * rest (mem/hot.h). */
static int vhost_set_memory(int fd, const GuestMemory *memory)
{
        _Alignas(struct vhost_memory) uint8_t space[VHOST_TABLE_SIZE] = {};
        struct vhost_memory *table = (struct vhost_memory *)space;
        const HotMemory *hot = &memory->hot;

        for (unsigned i = 0; i < memory->n_regions; i++)
                table->regions[table->nregions++] = vhost_region(
                        memory->regions[i].start, memory->regions[i].size, memory->regions[i].host);
        if (hot->size > 0)
                table->regions[table->nregions++] = vhost_region(hot->start, hot->size, hot->host);
        return vhost_ioctl(fd, VHOST_SET_MEM_TABLE, table);
}

static int vhost_set_ring(const VhostPair *pair, unsigned index)
{
        const VirtioQueue *queue = &pair->queues[index];
        const struct vhost_vring_state size = {index, queue->state.size};
        const struct vhost_vring_state base = {index, queue->state.next_available};
        const struct vhost_vring_addr address = {
                .index = index,
                .desc_user_addr = (uintptr_t)queue->descriptors,
                .avail_user_addr = (uintptr_t)queue->available,
                .used_user_addr = (uintptr_t)queue->used,
        };
        const struct vhost_vring_file kick = {index, pair->kick_fds[index]};
        const struct vhost_vring_file call = {index, pair->interrupt_fd};
        const struct vhost_vring_file error = {index, pair->error_fd};
        int r = vhost_ioctl(pair->fd, VHOST_SET_VRING_NUM, &size);

        if (r == 0)
                r = vhost_ioctl(pair->fd, VHOST_SET_VRING_BASE, &base);
        if (r == 0)
                r = vhost_ioctl(pair->fd, VHOST_SET_VRING_ADDR, &address);
        if (r == 0)
                r = vhost_ioctl(pair->fd, VHOST_SET_VRING_ERR, &error);
        if (r == 0)
                r = vhost_ioctl(pair->fd, VHOST_SET_VRING_CALL, &call);
        if (r == 0)
                r = vhost_ioctl(pair->fd, VHOST_SET_VRING_KICK, &kick);
        return r;
}

static int vhost_set_backend(int fd, unsigned index, int tap)
{
        const struct vhost_vring_file backend = {index, tap};

        return vhost_ioctl(fd, VHOST_NET_SET_BACKEND, &backend);
}

/* The kernel must not keep eventfds that are ours again. */
static void vhost_release(int fd, unsigned index)
{
        const struct vhost_vring_file none = {index, -1};

        (void)vhost_ioctl(fd, VHOST_SET_VRING_KICK, &none);
        (void)vhost_ioctl(fd, VHOST_SET_VRING_CALL, &none);
}

/* Waits until the kernel is out of the ring, and takes back where it stood. */
static int vhost_stop_ring(const VhostPair *pair, unsigned index)
{
        struct vhost_vring_state base = {.index = index};
        int r = vhost_set_backend(pair->fd, index, -1);

        if (r == 0)
                r = vhost_ioctl(pair->fd, VHOST_GET_VRING_BASE, &base);
        if (r == 0)
                virtio_queue_resume(&pair->queues[index], (uint16_t)base.num);
        vhost_release(pair->fd, index);
        return r;
}

int vhost_start(const VhostPair *pair, const GuestMemory *memory, uint64_t features)
{
        unsigned n_running = 0;
        int r = 0;

        for (unsigned i = 0; i < VHOST_QUEUES; i++)
                if (!virtio_queue_is_live(&pair->queues[i]))
                        return -EINVAL;
        r = vhost_set_features(pair->fd, features);
        if (r == 0)
                r = vhost_set_memory(pair->fd, memory);
        for (unsigned i = 0; i < VHOST_QUEUES && r == 0; i++)
                r = vhost_set_ring(pair, i);
        while (n_running < VHOST_QUEUES && r == 0) {
                r = vhost_set_backend(pair->fd, n_running, pair->tap);
                n_running += r == 0;
        }
        for (unsigned i = 0; i < VHOST_QUEUES && r < 0; i++) {
                if (i < n_running)
                        (void)vhost_stop_ring(pair, i);
                else
                        vhost_release(pair->fd, i);
        }
        return r;
}

void vhost_stop(const VhostPair *pair)
{
        for (unsigned i = 0; i < VHOST_QUEUES; i++) {
                int r = vhost_stop_ring(pair, i);

                if (r < 0)
                        log_warning_errno(r, "vhost-net: a queue can't be taken back");
        }
}
