/* The codec of virtio socket headers: any 44 bytes decode, and encode to themselves. */
#include <assert.h>
#include <string.h>

#include "test/fuzz/fuzz.h"
#include "vmm/vsock/packet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        uint8_t again[VSOCK_HEADER_SIZE];
        VsockHeader header;

        if (size < VSOCK_HEADER_SIZE)
                return 0;
        vsock_header_decode(data, &header);
        vsock_header_encode(&header, again);
        assert(memcmp(data, again, sizeof(again)) == 0);
        return 0;
}
