/* Requests to a memory device; see mem_request.h. */
#include <string.h>

#include "base/wire.h"
#include "vmm/virtio/mem_request.h"

bool mem_request_decode(const uint8_t bytes[MEM_REQUEST_SIZE], MemRequest *ret)
{
        WireReader reader = wire_reader(bytes, MEM_REQUEST_SIZE);
        uint16_t type = wire_get_u16(&reader);

        if (type >= MEM_TYPE_MAX)
                return false;
        *ret = (MemRequest){.type = (MemType)type};
        if (ret->type == MEM_UNPLUG_ALL)
                return true;
        (void)wire_get_bytes(&reader, 6);
        ret->address = wire_get_u64(&reader);
        ret->n_blocks = wire_get_u16(&reader);
        return true;
}

void mem_answer_encode(MemResult result, MemState state, uint8_t bytes[MEM_ANSWER_SIZE])
{
        WireWriter writer = wire_writer(bytes, MEM_ANSWER_SIZE);

        memset(bytes, 0, MEM_ANSWER_SIZE);
        wire_put_u16(&writer, (uint16_t)result);
        writer.at += 6;
        wire_put_u16(&writer, (uint16_t)state);
}
