/*
 * virtio-9p; see p9.h. All the work is in vmm/p9: this hands chains over, and gives them back when
 * they are answered, at once or later.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "vmm/p9/server.h"
#include "vmm/virtio/p9.h"

#define VIRTIO_9P_MOUNT_TAG (1ULL << 0)

/* Linux's driver uses 128 descriptors and no more (VIRTQUEUE_NUM). */
#define P9_QUEUE_SIZE 128

/* Half for opened files, half for paths to files that aren't. Several devices share the process's
 * limit: a server that meets it gives paths up. */
#define P9_FDS 16384

typedef struct VirtioP9 {
        VirtioDevice device;
        Pool pool;
        P9Server *server;
        uint32_t rooms[P9_QUEUE_SIZE]; /* by head: what requests in flight paid for answers */
        uint8_t config[2 + VIRTIO_P9_TAG_MAX];
} VirtioP9;

static VirtioP9 *p9_from_device(VirtioDevice *device)
{
        return CONTAINER_OF(device, VirtioP9, device);
}

/* The space is as large as the longest tag's; behind a shorter one there are zeros. */
static void p9_config_read(VirtioDevice *device, uint32_t offset, void *data, unsigned size)
{
        virtio_config_copy(p9_from_device(device)->config, offset, data, size);
}

static void p9_reset(VirtioDevice *device)
{
        p9_server_reset(p9_from_device(device)->server);
}

static void p9_cancel(VirtioDevice *device)
{
        p9_server_cancel(p9_from_device(device)->server);
}

/* The request whose chain has this head was answered. The guest hears of it by who called. */
static void p9_answered(void *userdata, uint32_t head, size_t size)
{
        VirtioP9 *p9 = userdata;

        virtio_count(&p9->device.counters.bytes_to_guest, size);
        /* Once for each: a guest may have used the head for another meanwhile. */
        if (p9->rooms[head] > size)
                virtio_device_refund(&p9->device, p9->rooms[head] - size);
        p9->rooms[head] = 0;
        virtio_queue_push(&p9->device.queues[0], (uint16_t)head, (uint32_t)size);
}

static void p9_settled(void *userdata)
{
        virtio_device_signal(&((VirtioP9 *)userdata)->device, 0);
}

static int p9_serve(VirtioP9 *p9, VirtioQueue *queue, const VirtioChain *chain)
{
        size_t written;
        int r = p9_server_begin(p9->server, chain->head, chain->readable, chain->n_readable,
                                chain->writable, chain->n_writable, &written);

        if (r == P9_SERVER_E_FRAME) {
                /* Nothing to answer to, and nothing in flight any more. */
                virtio_queue_push(queue, chain->head, 0);
                return VIRTIO_QUEUE_E_BROKEN;
        }
        virtio_count(&p9->device.counters.requests, 1);
        virtio_count(&p9->device.counters.bytes_from_guest, chain->readable_size);
        p9->rooms[chain->head] = chain->writable_size;
        if (r == 0)
                p9_answered(p9, chain->head, written);
        return 0;
}

/* Serves all that is there, then tells the guest once. */
static int p9_notify(VirtioDevice *device, unsigned index)
{
        VirtioQueue *queue = &device->queues[index];
        VirtioChain chain;
        int r;

        while ((r = virtio_device_pop(device, index, &chain)) == 0) {
                r = p9_serve(p9_from_device(device), queue, &chain);
                if (r != 0)
                        break;
        }
        virtio_device_signal(device, index);
        return r == VIRTIO_QUEUE_E_EMPTY ? 0 : r;
}

static int p9_save(const VirtioDevice *device, WireWriter *writer)
{
        const VirtioP9 *p9 = CONTAINER_OF((VirtioDevice *)device, VirtioP9, device);

        if (p9_server_is_in_use(p9->server))
                return -EBUSY;
        wire_put_blob(writer, p9->config, sizeof(p9->config));
        return 0;
}

/* The tree comes with the fresh device; a driver that was probed knows it by this tag. */
static int p9_load(VirtioDevice *device, WireReader *reader)
{
        const VirtioP9 *p9 = p9_from_device(device);
        size_t size;
        const uint8_t *config = wire_get_blob(reader, sizeof(p9->config), &size);

        if (!config || size != sizeof(p9->config) || memcmp(config, p9->config, size) != 0)
                return -EBADMSG;
        return 0;
}

static VirtioDevice *p9_free(VirtioDevice *device)
{
        VirtioP9 *p9 = p9_from_device(device);

        p9_server_free(p9->server);
        pool_done(&p9->pool);
        free(p9);
        return NULL;
}

static const VirtioDeviceOps p9_ops = {
        .name = "9p",
        .id = VIRTIO_ID_9P,
        .features = VIRTIO_9P_MOUNT_TAG,
        .n_queues = 1,
        .queue_sizes = {P9_QUEUE_SIZE},
        .config_size = sizeof((VirtioP9){}.config),
        .n_paces = 1,
        .config_read = p9_config_read,
        .reset = p9_reset,
        .cancel = p9_cancel,
        .notify = p9_notify,
        .save = p9_save,
        .load = p9_load,
        .free = p9_free,
};

int virtio_p9_new(Loop *loop, const GuestMemory *memory, const VirtioP9Config *config,
                  VirtioDevice **ret)
{
        _cleanup_(fd_closep) int root_fd = config->root_fd;
        size_t size = strlen(config->tag);
        P9ServerConfig server = {
                .proc_fd = config->proc_fd,
                .read_only = config->read_only,
                .limits = p9_limits_for(P9_FDS),
                .answered = p9_answered,
        };
        VirtioP9 *p9;
        int r;

        if (size == 0 || size > VIRTIO_P9_TAG_MAX)
                return -EINVAL;
        p9 = calloc(1, sizeof(*p9));
        if (!p9)
                return -ENOMEM;
        virtio_device_init(&p9->device, &p9_ops, loop, memory);
        p9->config[0] = (uint8_t)size;
        memcpy(p9->config + 2, config->tag, size);
        r = pool_init(&p9->pool, &(PoolConfig){
                                         .loop = loop,
                                         .name = "9p pool",
                                         .settled = p9_settled,
                                         .userdata = p9,
                                 });
        if (r == 0) {
                server.root_fd = TAKE_FD(root_fd);
                server.pool = &p9->pool;
                server.userdata = p9;
                r = p9_server_new(&p9->server, &server);
        }
        if (r < 0) {
                pool_done(&p9->pool);
                free(p9);
                return r;
        }
        *ret = &p9->device;
        return 0;
}

int virtio_p9_add_bind(VirtioDevice *device, const char *name, int root_fd, bool read_only)
{
        if (device->ops == &p9_ops)
                return p9_server_add_bind(p9_from_device(device)->server, name, root_fd, read_only);
        fd_close(root_fd);
        return -EINVAL;
}

int virtio_p9_remove_bind(VirtioDevice *device, const char *name)
{
        if (device->ops != &p9_ops)
                return -EINVAL;
        return p9_server_remove_bind(p9_from_device(device)->server, name);
}
