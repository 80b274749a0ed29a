/* The header of virtio socket packets; see packet.h. */
#include <assert.h>
#include <stddef.h>

#include "base/wire.h"

#include "vmm/vsock/packet.h"

void vsock_header_decode(const uint8_t bytes[VSOCK_HEADER_SIZE], VsockHeader *ret)
{
        WireReader reader = wire_reader(bytes, VSOCK_HEADER_SIZE);

        ret->src_cid = wire_get_u64(&reader);
        ret->dst_cid = wire_get_u64(&reader);
        ret->src_port = wire_get_u32(&reader);
        ret->dst_port = wire_get_u32(&reader);
        ret->length = wire_get_u32(&reader);
        ret->type = wire_get_u16(&reader);
        ret->op = wire_get_u16(&reader);
        ret->flags = wire_get_u32(&reader);
        ret->buffer_size = wire_get_u32(&reader);
        ret->forwarded = wire_get_u32(&reader);
        assert(wire_reader_end(&reader) == 0);
}

void vsock_header_encode(const VsockHeader *header, uint8_t bytes[VSOCK_HEADER_SIZE])
{
        WireWriter writer = wire_writer(bytes, VSOCK_HEADER_SIZE);
        size_t size;

        wire_put_u64(&writer, header->src_cid);
        wire_put_u64(&writer, header->dst_cid);
        wire_put_u32(&writer, header->src_port);
        wire_put_u32(&writer, header->dst_port);
        wire_put_u32(&writer, header->length);
        wire_put_u16(&writer, header->type);
        wire_put_u16(&writer, header->op);
        wire_put_u32(&writer, header->flags);
        wire_put_u32(&writer, header->buffer_size);
        wire_put_u32(&writer, header->forwarded);
        assert(wire_writer_end(&writer, &size) == 0 && size == VSOCK_HEADER_SIZE);
}
