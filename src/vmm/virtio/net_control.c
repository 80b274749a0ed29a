/* Commands of a network driver; see net_control.h. */
#include "vmm/virtio/net_control.h"
#include "base/wire.h"

enum {
        CLASS_MQ = 4,
        CLASS_GUEST_OFFLOADS = 5,
        COMMAND_VQ_PAIRS_SET = 0,
        COMMAND_OFFLOADS_SET = 0,
};

enum {
        ACK_OK = 0,
        ACK_ERROR = 1,
};

#define COMMAND_SIZE_MAX 10 /* of those that are known */

static void command_decode_pairs(WireReader *reader, const NetControlLimits *limits,
                                 NetCommand *ret)
{
        uint16_t pairs = wire_get_u16(reader);

        if (wire_reader_end(reader) < 0 || pairs == 0 || pairs > limits->pairs)
                return;
        ret->type = NET_COMMAND_PAIRS;
        ret->pairs = pairs;
}

static void command_decode_offloads(WireReader *reader, const NetControlLimits *limits,
                                    NetCommand *ret)
{
        uint64_t offloads = wire_get_u64(reader);

        if (wire_reader_end(reader) < 0 || limits->offloads == 0 ||
            (offloads & ~limits->offloads) != 0)
                return;
        ret->type = NET_COMMAND_OFFLOADS;
        ret->offloads = offloads;
}

int net_command_decode(const VirtioChain *chain, const NetControlLimits *limits, NetCommand *ret)
{
        uint8_t bytes[COMMAND_SIZE_MAX + 1]; /* one more, so that longer ones are seen */
        size_t size = virtio_spans_read(chain->readable, chain->n_readable, 0, bytes,
                                        sizeof(bytes));
        WireReader reader = wire_reader(bytes, size);
        uint8_t class, command;

        if (chain->writable_size == 0)
                return NET_CONTROL_E_MALFORMED;
        *ret = (NetCommand){.type = NET_COMMAND_REFUSED};
        class = wire_get_u8(&reader);
        command = wire_get_u8(&reader);
        if (class == CLASS_MQ && command == COMMAND_VQ_PAIRS_SET)
                command_decode_pairs(&reader, limits, ret);
        else if (class == CLASS_GUEST_OFFLOADS && command == COMMAND_OFFLOADS_SET)
                command_decode_offloads(&reader, limits, ret);
        return 0;
}

uint32_t net_command_answer(const VirtioChain *chain, bool is_done)
{
        const uint8_t ack = is_done ? ACK_OK : ACK_ERROR;

        return (uint32_t)virtio_spans_write(chain->writable, chain->n_writable, 0, &ack, 1);
}
