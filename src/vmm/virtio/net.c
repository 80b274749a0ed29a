/* virtio-net: features, configuration, control queue; see net.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/log.h"
#include "vmm/virtio/net.h"
#include "vmm/virtio/net_control.h"
#include "vmm/virtio/net_pair.h"

/* virtio 1.2 §5.1.3; UDP segmentation: 1.3 */
#define NET_F_CSUM                (1ULL << 0)
#define NET_F_GUEST_CSUM          (1ULL << 1)
#define NET_F_CTRL_GUEST_OFFLOADS (1ULL << 2)
#define NET_F_MTU                 (1ULL << 3)
#define NET_F_MAC                 (1ULL << 5)
#define NET_F_GUEST_TSO4          (1ULL << 7)
#define NET_F_GUEST_TSO6          (1ULL << 8)
#define NET_F_GUEST_ECN           (1ULL << 9)
#define NET_F_GUEST_UFO           (1ULL << 10)
#define NET_F_HOST_TSO4           (1ULL << 11)
#define NET_F_HOST_TSO6           (1ULL << 12)
#define NET_F_HOST_ECN            (1ULL << 13)
#define NET_F_HOST_UFO            (1ULL << 14)
#define NET_F_MRG_RXBUF           (1ULL << 15)
#define NET_F_STATUS              (1ULL << 16)
#define NET_F_CTRL_VQ             (1ULL << 17)
#define NET_F_MQ                  (1ULL << 22)
#define NET_F_GUEST_USO4          (1ULL << 54)
#define NET_F_GUEST_USO6          (1ULL << 55)
#define NET_F_HOST_USO            (1ULL << 56)

#define NET_F_GUEST_USO (NET_F_GUEST_USO4 | NET_F_GUEST_USO6)
#define NET_F_GUEST_OFFLOADS                                                        \
        (NET_F_GUEST_CSUM | NET_F_GUEST_TSO4 | NET_F_GUEST_TSO6 | NET_F_GUEST_ECN | \
         NET_F_GUEST_UFO | NET_F_GUEST_USO)

/* §5.1.4: mac[6] status[2] max_virtqueue_pairs[2] mtu[2] */
#define CONFIG_SIZE    12U
#define CONFIG_STATUS  6U
#define STATUS_LINK_UP 1

#define NET_QUEUE_SIZE VIRTIO_QUEUE_SIZE_MAX

typedef struct VirtioNet {
        VirtioDevice device;
        VirtioQueue queues[VIRTIO_QUEUES_MAX];
        uint8_t config[CONFIG_SIZE];
        unsigned n_open;   /* pairs that the driver uses, from the first on; 0: it isn't ready */
        uint64_t offloads; /* NET_F_GUEST_* that are in use */
        unsigned wanted_pairs;    /* the next activation begins with so many, */
        uint64_t wanted_offloads; /* and at most these: all, or as they were saved */
        unsigned n_pairs;
        NetPair pairs[];
} VirtioNet;

/* What each of a tap's offloads lets the device offer. */
static const struct {
        unsigned tap;
        uint64_t guest, host;
} net_offloads[] = {
        {TAP_CSUM, NET_F_GUEST_CSUM, NET_F_CSUM},
        {TAP_TSO4, NET_F_GUEST_TSO4, NET_F_HOST_TSO4},
        {TAP_TSO6, NET_F_GUEST_TSO6, NET_F_HOST_TSO6},
        {TAP_ECN, NET_F_GUEST_ECN, NET_F_HOST_ECN},
        {TAP_UFO, NET_F_GUEST_UFO, NET_F_HOST_UFO},
        {TAP_USO, NET_F_GUEST_USO, NET_F_HOST_USO},
};

static VirtioNet *net_of(VirtioDevice *device)
{
        return CONTAINER_OF(device, VirtioNet, device);
}

/* --- what the driver chose --- */

static uint64_t net_features(const VirtioNetConfig *config)
{
        uint64_t features = NET_F_MAC | NET_F_STATUS | NET_F_MRG_RXBUF | NET_F_CTRL_VQ;

        for (unsigned i = 0; i < ELEMENTSOF(net_offloads); i++)
                if (config->offloads & net_offloads[i].tap)
                        features |= net_offloads[i].guest | net_offloads[i].host;
        if (config->offloads & TAP_CSUM)
                features |= NET_F_CTRL_GUEST_OFFLOADS;
        if (config->mtu > 0)
                features |= NET_F_MTU;
        if (config->n_pairs > 1)
                features |= NET_F_MQ;
        return features;
}

static int net_use_offloads(VirtioNet *net, uint64_t offloads)
{
        unsigned tap = 0;
        int r;

        for (unsigned i = 0; i < ELEMENTSOF(net_offloads); i++)
                /* All of a row: a tap has USO for both versions of IP or for none. */
                if ((offloads & net_offloads[i].guest) == net_offloads[i].guest)
                        tap |= net_offloads[i].tap;
        r = tap_set_offloads(net->pairs[0].tap, tap);
        if (r == 0)
                net->offloads = offloads;
        return r;
}

/* §5.1.2: a driver without MQ has one pair, and the control queue behind it. */
static unsigned net_max_pairs(const VirtioNet *net)
{
        return virtio_device_has(&net->device, NET_F_MQ) ? net->n_pairs : 1;
}

int virtio_net_choose_mover(VirtioDevice *device)
{
        VirtioNet *net = net_of(device);
        bool may_be_kernel = net->config[CONFIG_STATUS] == STATUS_LINK_UP &&
                             !virtio_pace_is_limited(&device->paces[VIRTIO_PACE_TRANSMIT]) &&
                             !virtio_pace_is_limited(&device->paces[VIRTIO_PACE_RECEIVE]);
        int r = 0;

        for (unsigned i = 0; i < net->n_open && r == 0; i++)
                r = net_pair_use_vhost(&net->pairs[i], may_be_kernel);
        return r;
}

static int net_use_pairs(VirtioNet *net, unsigned n)
{
        bool is_mergeable = virtio_device_has(&net->device, NET_F_MRG_RXBUF);
        int r = 0;

        for (unsigned i = 0; i < net->n_pairs && r == 0; i++) {
                if (i < n)
                        r = net_pair_open(&net->pairs[i], is_mergeable);
                else
                        net_pair_close(&net->pairs[i]);
        }
        net->n_open = n;
        return r < 0 ? r : virtio_net_choose_mover(&net->device);
}

/* --- the control queue --- */

static bool net_obey(VirtioNet *net, const NetCommand *command)
{
        int r;

        switch (command->type) {
        case NET_COMMAND_REFUSED:
                return false;
        case NET_COMMAND_PAIRS:
                r = net_use_pairs(net, command->pairs);
                /* Buffers that are there already are told of by no kick. */
                for (unsigned i = 0; i < 2 * command->pairs && r == 0; i++)
                        virtio_device_kick(&net->device, i);
                return r == 0;
        case NET_COMMAND_OFFLOADS:
                return net_use_offloads(net, command->offloads) == 0;
        }
        return false;
}

static int net_control(VirtioNet *net, unsigned index)
{
        const NetControlLimits limits = {
                .pairs = virtio_device_has(&net->device, NET_F_MQ) ? net->n_pairs : 0,
                .offloads = virtio_device_has(&net->device, NET_F_CTRL_GUEST_OFFLOADS)
                                    ? net->device.state.driver_features & NET_F_GUEST_OFFLOADS
                                    : 0,
        };
        VirtioQueue *queue = &net->device.queues[index];
        VirtioChain chain;
        int r;

        while ((r = virtio_queue_pop(queue, &chain)) == 0) {
                NetCommand command;

                r = net_command_decode(&chain, &limits, &command);
                if (r != 0) {
                        virtio_queue_unpop(queue);
                        break;
                }
                virtio_queue_push(queue, chain.head,
                                  net_command_answer(&chain, net_obey(net, &command)));
        }
        virtio_device_signal(&net->device, index);
        return r == VIRTIO_QUEUE_E_EMPTY ? 0 : r;
}

/* --- the device --- */

static int net_notify(VirtioDevice *device, unsigned index)
{
        VirtioNet *net = net_of(device);
        NetPair *pair = &net->pairs[index / 2];

        if (index == 2 * net_max_pairs(net))
                return virtio_device_has(device, NET_F_CTRL_VQ) ? net_control(net, index) : 0;
        if (index / 2 >= net->n_open)
                return 0;
        return index % 2 == 0 ? net_pair_receive(pair) : net_pair_transmit(pair);
}

static int net_activate(VirtioDevice *device)
{
        VirtioNet *net = net_of(device);
        uint64_t offloads = device->state.driver_features & NET_F_GUEST_OFFLOADS;
        int r = net_use_offloads(net, offloads & net->wanted_offloads);

        return r == 0 ? net_use_pairs(net, net->wanted_pairs) : r;
}

static void net_reset(VirtioDevice *device)
{
        VirtioNet *net = net_of(device);

        (void)net_use_pairs(net, 0);
        (void)net_use_offloads(net, 0);
        net->wanted_pairs = 1;
        net->wanted_offloads = NET_F_GUEST_OFFLOADS;
}

static void net_config_read(VirtioDevice *device, uint32_t offset, void *data, unsigned size)
{
        virtio_config_copy(net_of(device)->config, offset, data, size);
}

void virtio_net_set_link(VirtioDevice *device, bool is_up)
{
        VirtioNet *net = net_of(device);
        uint8_t status = is_up ? STATUS_LINK_UP : 0;

        if (net->config[CONFIG_STATUS] == status)
                return;
        net->config[CONFIG_STATUS] = status;
        for (unsigned i = 0; i < net->n_pairs; i++)
                net_pair_set_link(&net->pairs[i], is_up);
        if (virtio_net_choose_mover(device) < 0)
                log_warning("net: a tap can't be waited for");
        virtio_device_config_changed(device);
}

static void net_stop_queue(VirtioDevice *device, unsigned queue)
{
        VirtioNet *net = net_of(device);

        if (queue / 2 < net->n_open && net_pair_use_vhost(&net->pairs[queue / 2], false) < 0)
                log_warning("net: a tap can't be waited for");
}

static int net_save(const VirtioDevice *device, WireWriter *writer)
{
        const VirtioNet *net = CONTAINER_OF((VirtioDevice *)device, VirtioNet, device);

        /* The kernel has the rings, and moves on. */
        if (device->n_lent > 0)
                return -EBUSY;
        wire_put_bytes(writer, net->config, sizeof(net->config));
        wire_put_u32(writer, net->n_open);
        wire_put_u64(writer, net->offloads);
        return 0;
}

static int net_load(VirtioDevice *device, WireReader *reader)
{
        VirtioNet *net = net_of(device);
        const uint8_t *config = wire_get_bytes(reader, sizeof(net->config));
        uint32_t n_open = wire_get_u32(reader);
        uint64_t offloads = wire_get_u64(reader);

        if (reader->bad || memcmp(config, net->config, sizeof(net->config)) != 0 ||
            n_open > net_max_pairs(net) ||
            (offloads & ~(device->state.driver_features & NET_F_GUEST_OFFLOADS)) != 0)
                return -EBADMSG;
        net->wanted_pairs = MAX(n_open, 1);
        net->wanted_offloads = offloads;
        return 0;
}

static VirtioDevice *net_free(VirtioDevice *device)
{
        VirtioNet *net = net_of(device);

        for (unsigned i = 0; i < net->n_pairs; i++)
                net_pair_done(&net->pairs[i]);
        free(net);
        return NULL;
}

static const VirtioDeviceOps net_ops = {
        .name = "net",
        .id = VIRTIO_ID_NET,
        .n_queues = VIRTIO_QUEUES_MAX,
        .queue_sizes = {NET_QUEUE_SIZE, NET_QUEUE_SIZE, NET_QUEUE_SIZE, NET_QUEUE_SIZE,
                        NET_QUEUE_SIZE, NET_QUEUE_SIZE, NET_QUEUE_SIZE, NET_QUEUE_SIZE,
                        NET_QUEUE_SIZE},
        .config_size = CONFIG_SIZE,
        .n_paces = 2,
        .config_read = net_config_read,
        .activate = net_activate,
        .reset = net_reset,
        .notify = net_notify,
        .stop_queue = net_stop_queue,
        .save = net_save,
        .load = net_load,
        .free = net_free,
};

static void net_describe(VirtioNet *net, const VirtioNetConfig *config)
{
        WireWriter writer = wire_writer(net->config, sizeof(net->config));

        wire_put_bytes(&writer, config->mac, VIRTIO_NET_MAC_SIZE);
        wire_put_u16(&writer, STATUS_LINK_UP);
        wire_put_u16(&writer, (uint16_t)config->n_pairs);
        wire_put_u16(&writer, config->mtu);
}

static int net_make(VirtioNet *net, const VirtioNetConfig *config)
{
        int r = 0;

        for (unsigned i = 0; i < config->n_pairs && r == 0; i++) {
                r = net_pair_init(&net->pairs[i], &net->device, i, TAKE_FD(config->taps[i]),
                                  config->vhosts ? TAKE_FD(config->vhosts[i]) : FD_NONE);
                net->n_pairs = i + 1;
        }
        if (r == 0)
                net_reset(&net->device);
        return r;
}

int virtio_net_new(Loop *loop, const GuestMemory *memory, const VirtioNetConfig *config,
                   VirtioDevice **ret)
{
        VirtioNet *net = NULL;
        int r = -EINVAL;

        if (config->n_pairs > 0 && config->n_pairs <= VIRTIO_NET_PAIRS_MAX) {
                net = calloc(1, sizeof(*net) + config->n_pairs * sizeof(net->pairs[0]));
                r = net ? 0 : -ENOMEM;
        }
        if (r == 0) {
                virtio_device_init(&net->device, &net_ops, loop, memory);
                virtio_device_use_queues(&net->device, net->queues, 2 * config->n_pairs + 1);
                net->device.features |= net_features(config);
                net_describe(net, config);
                r = net_make(net, config);
        }
        if (r < 0) {
                fd_close_many(config->taps, config->n_pairs);
                if (config->vhosts)
                        fd_close_many(config->vhosts, config->n_pairs);
                if (net)
                        virtio_device_free(&net->device);
                return r;
        }
        *ret = &net->device;
        return 0;
}
