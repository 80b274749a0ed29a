/*
 * Requests to a memory device, over a region of 128 MiB of which 64 may be plugged. Input: requests one
 * behind the other. Whatever they are, what is plugged is what its bits say, no more than what may be.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/wire.h"
#include "test/fuzz/fuzz.h"
#include "vmm/mem/memory.h"
#include "vmm/virtio/mem.h"
#include "vmm/virtio/mem_request.h"

#define BOOT (16ULL << 20)
#define MOST (64ULL << 20)

/* Where a driver would have its things. */
#define RINGS   0x1000
#define REQUEST 0x8000
#define ANSWER  0x9000

static void on_changed(void *userdata)
{
}

static void put(GuestMemory *memory, uint64_t address, uint64_t value, unsigned size)
{
        memcpy(guest_memory_span(memory, address, size), &value, size);
}

static void start(GuestMemory *memory, VirtioDevice *device)
{
        VirtioQueueState *state = &device->queues[0].state;

        device->state.driver_features = device->features;
        *state = (VirtioQueueState){
                .size = 16,
                .ready = true,
                .descriptors = RINGS,
                .available = RINGS + 0x1000,
                .used = RINGS + 0x2000,
        };
        put(memory, RINGS, REQUEST, 8);
        put(memory, RINGS + 8, MEM_REQUEST_SIZE, 4);
        put(memory, RINGS + 12, 1 | 1 << 16, 4); /* NEXT, 1 */
        put(memory, RINGS + 16, ANSWER, 8);
        put(memory, RINGS + 24, MEM_ANSWER_SIZE, 4);
        put(memory, RINGS + 28, 2, 4); /* WRITE */
        assert(virtio_device_activate(device) == 0);
}

static void ask(GuestMemory *memory, VirtioDevice *device, const uint8_t *request, uint16_t n)
{
        uint16_t result;

        memcpy(guest_memory_span(memory, REQUEST, MEM_REQUEST_SIZE), request, MEM_REQUEST_SIZE);
        put(memory, ANSWER, UINT64_MAX, 8);
        put(memory, RINGS + 0x1002, n, 2);
        assert(virtio_device_notify(device, 0) == 0);
        memcpy(&result, guest_memory_span(memory, ANSWER, 2), 2);
        assert(result <= MEM_ERROR);
        assert(memory->hot.plugged <= MOST);
        assert(hot_memory_count(&memory->hot, memory->hot.start, memory->hot.size) ==
               memory->hot.plugged);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        WireReader input = wire_reader(data, size);
        GuestMemory memory;
        VirtioDevice *device;

        assert(guest_memory_init(&memory, BOOT) == 0);
        assert(guest_memory_reserve(&memory, BOOT + MOST) == 0);
        assert(virtio_mem_new(NULL, &memory, on_changed, NULL, &device) == 0);
        assert(virtio_mem_resize(device, MOST) == 0);
        start(&memory, device);
        for (uint16_t n = 1; wire_left(&input) >= MEM_REQUEST_SIZE && n < 200; n++)
                ask(&memory, device, wire_get_bytes(&input, MEM_REQUEST_SIZE), n);
        virtio_device_free(device);
        guest_memory_done(&memory);
        return 0;
}
