/* The memory device; see mem.h. */
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "vmm/virtio/mem.h"
#include "vmm/virtio/mem_request.h"

/* virtio 1.2 §5.15.3: the driver knows that it must not touch what isn't plugged. */
#define MEM_F_UNPLUGGED_INACCESSIBLE (1ULL << 1)

/* §5.15.4, little-endian */
typedef struct MemConfig {
        uint64_t block_size;
        uint16_t node_id;
        uint8_t padding[6];
        uint64_t address;
        uint64_t region_size;
        uint64_t usable_region_size;
        uint64_t plugged_size;
        uint64_t requested_size;
} MemConfig;

typedef struct VirtioMem {
        VirtioDevice device;
        HotMemory *hot;
        VirtioMemChanged changed;
        void *userdata;
        uint64_t requested;
} VirtioMem;

static VirtioMem *mem_of(VirtioDevice *device)
{
        return CONTAINER_OF(device, VirtioMem, device);
}

static void mem_config_read(VirtioDevice *device, uint32_t offset, void *data, unsigned size)
{
        const VirtioMem *mem = mem_of(device);
        const MemConfig config = {
                .block_size = htole64(mem->hot->block_size),
                .address = htole64(mem->hot->start),
                .region_size = htole64(mem->hot->size),
                .usable_region_size = htole64(mem->hot->size),
                .plugged_size = htole64(mem->hot->plugged),
                .requested_size = htole64(mem->requested),
        };

        virtio_config_copy(&config, offset, data, size);
}

static MemResult mem_plug(VirtioMem *mem, uint64_t address, uint64_t size)
{
        if (hot_memory_count(mem->hot, address, size) > 0)
                return MEM_ERROR;
        if (size > mem->requested || mem->hot->plugged > mem->requested - size)
                return MEM_NACK;
        return hot_memory_plug(mem->hot, address, size) < 0 ? MEM_BUSY : MEM_ACK;
}

static MemResult mem_unplug(VirtioMem *mem, uint64_t address, uint64_t size)
{
        if (hot_memory_count(mem->hot, address, size) != size)
                return MEM_ERROR;
        return hot_memory_unplug(mem->hot, address, size) < 0 ? MEM_BUSY : MEM_ACK;
}

static MemState mem_state(const VirtioMem *mem, uint64_t address, uint64_t size)
{
        uint64_t plugged = hot_memory_count(mem->hot, address, size);

        if (plugged == 0)
                return MEM_UNPLUGGED;
        return plugged == size ? MEM_PLUGGED : MEM_MIXED;
}

static MemResult mem_do(VirtioMem *mem, const MemRequest *request, MemState *ret_state)
{
        uint64_t size = request->n_blocks * mem->hot->block_size;

        if (request->type == MEM_UNPLUG_ALL)
                return hot_memory_unplug_all(mem->hot) < 0 ? MEM_BUSY : MEM_ACK;
        if (!hot_memory_has_blocks(mem->hot, request->address, size))
                return MEM_ERROR;
        if (request->type == MEM_PLUG)
                return mem_plug(mem, request->address, size);
        if (request->type == MEM_UNPLUG)
                return mem_unplug(mem, request->address, size);
        *ret_state = mem_state(mem, request->address, size);
        return MEM_ACK;
}

/* 0, or a positive value: there is no request in the chain, or no room for an answer. */
static int mem_serve(VirtioMem *mem, const VirtioChain *chain)
{
        uint8_t bytes[MEM_REQUEST_SIZE], answer[MEM_ANSWER_SIZE];
        uint64_t plugged = mem->hot->plugged;
        MemResult result = MEM_ERROR;
        MemState state = MEM_PLUGGED;
        MemRequest request;

        if (chain->readable_size < sizeof(bytes) || chain->writable_size < sizeof(answer))
                return VIRTIO_QUEUE_E_BROKEN;
        virtio_spans_read(chain->readable, chain->n_readable, 0, bytes, sizeof(bytes));
        if (mem_request_decode(bytes, &request))
                result = mem_do(mem, &request, &state);
        mem_answer_encode(result, state, answer);
        virtio_spans_write(chain->writable, chain->n_writable, 0, answer, sizeof(answer));
        if (mem->hot->plugged != plugged)
                mem->changed(mem->userdata);
        return 0;
}

static int mem_notify(VirtioDevice *device, unsigned index)
{
        VirtioMem *mem = mem_of(device);
        VirtioQueue *queue = &device->queues[index];
        VirtioChain chain;
        int r;

        while ((r = virtio_queue_pop(queue, &chain)) == 0) {
                r = mem_serve(mem, &chain);
                virtio_count(&device->counters.requests, 1);
                virtio_queue_push(queue, chain.head, r == 0 ? MEM_ANSWER_SIZE : 0);
                if (r != 0)
                        return r;
        }
        virtio_device_signal(device, index);
        return r == VIRTIO_QUEUE_E_EMPTY ? 0 : r;
}

static int mem_save(const VirtioDevice *device, WireWriter *writer)
{
        const VirtioMem *mem = CONTAINER_OF(device, VirtioMem, device);

        wire_put_u64(writer, mem->requested);
        hot_memory_save(mem->hot, writer);
        return 0;
}

static int mem_load(VirtioDevice *device, WireReader *reader)
{
        VirtioMem *mem = mem_of(device);
        int r;

        mem->requested = wire_get_u64(reader);
        r = hot_memory_load(mem->hot, reader);
        return r == 0 && mem->requested > mem->hot->limit ? -EBADMSG : r;
}

static VirtioDevice *mem_free(VirtioDevice *device)
{
        free(mem_of(device));
        return NULL;
}

static const VirtioDeviceOps mem_ops = {
        .name = "mem",
        .id = VIRTIO_ID_MEM,
        .features = MEM_F_UNPLUGGED_INACCESSIBLE,
        .n_queues = 1,
        .queue_sizes = {16},
        .config_size = sizeof(MemConfig),
        .config_read = mem_config_read,
        .notify = mem_notify,
        .save = mem_save,
        .load = mem_load,
        .free = mem_free,
};

int virtio_mem_new(Loop *loop, GuestMemory *memory, VirtioMemChanged changed, void *userdata,
                   VirtioDevice **ret)
{
        VirtioMem *mem;

        if (memory->hot.limit == 0)
                return -EINVAL;
        mem = calloc(1, sizeof(*mem));
        if (!mem)
                return -ENOMEM;
        mem->hot = &memory->hot;
        mem->changed = changed;
        mem->userdata = userdata;
        virtio_device_init(&mem->device, &mem_ops, loop, memory);
        *ret = &mem->device;
        return 0;
}

int virtio_mem_resize(VirtioDevice *device, uint64_t bytes)
{
        VirtioMem *mem = mem_of(device);

        if (bytes % mem->hot->block_size != 0 || bytes > mem->hot->limit)
                return -EINVAL;
        mem->requested = bytes;
        virtio_device_config_changed(device);
        return 0;
}

void virtio_mem_get_sizes(const VirtioDevice *device, uint64_t *ret_requested,
                          uint64_t *ret_plugged)
{
        const VirtioMem *mem = CONTAINER_OF(device, VirtioMem, device);

        *ret_requested = mem->requested;
        *ret_plugged = mem->hot->plugged;
}
