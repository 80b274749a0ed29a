/* A pair of a network device's queues; see net_pair.h. */
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/uio.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "vmm/net/vhost.h"
#include "vmm/virtio/net_pair.h"

/* What the driver took that is about its rings, and so of concern to the kernel if that walks them:
 * the last one is MRG_RXBUF. */
#define NET_RING_FEATURES \
        (VIRTIO_F_VERSION_1 | VIRTIO_F_EVENT_IDX | VIRTIO_F_INDIRECT_DESC | 1ULL << 15)

/* Packets of a turn, and how often in one of sending the tap is looked at. */
#define NET_TURN_MAX      64
#define NET_EXCHANGES_MAX 4

/* After so many bytes of a turn the guest hears of them, so that it works while we do: of those that came
 * with each large packet, which a guest that is busy with the last asks for no interrupt for. */
#define NET_SIGNAL_BYTES          (128U << 10)
#define NET_SIGNAL_BYTES_RECEIVED (64U << 10)

/* What was sent is told of at once when it is so many packets, or two with so many bytes, else with what comes
 * next or after this time. TCP waits with data until it hears that what it sent before is gone, but has two
 * packets on their way at least. */
#define NET_SIGNAL_PACKETS    16U
#define NET_SIGNAL_BYTES_SENT 2048U
#define NET_SIGNAL_USEC       (1 * USEC_PER_MSEC)

/* What is no larger may be an answer, behind which nothing comes. */
#define NET_ANSWER_BYTES 2048U

static unsigned receive_index(const NetPair *pair)
{
        return 2 * pair->index;
}

static unsigned transmit_index(const NetPair *pair)
{
        return 2 * pair->index + 1;
}

/* Waits for what can be used of the tap now. */
static int pair_watch(NetPair *pair)
{
        uint32_t events = 0;

        if (!pair->source.loop)
                return 0;
        if (!pair->is_starved && !pair->is_held)
                events |= EPOLLIN;
        if (pair->is_stuck)
                events |= EPOLLOUT;
        return loop_fd_watch(&pair->source, events);
}

/* Somebody deleted the tap: it would be ready for ever. */
static void pair_lose_tap(NetPair *pair, int error)
{
        log_warning_errno(error, "net: the tap is gone");
        pair->is_gone = true;
        loop_fd_remove(&pair->source);
}

/* The timer goes on: to stop it and set it again for every packet costs more than that it finds nothing. */
static void pair_forget_untold(NetPair *pair)
{
        pair->n_untold = pair->untold_bytes = 0;
        pair->is_tell_due = false;
}

/* Tells of packets that came, and of those that were sent with them. */
static void pair_tell_received(NetPair *pair)
{
        if (!virtio_device_signal(pair->device, receive_index(pair)) || pair->n_untold == 0)
                return;
        pair_forget_untold(pair);
        (void)virtio_queue_wants_interrupt(&pair->device->queues[transmit_index(pair)]);
}

static void pair_tell_sent(NetPair *pair)
{
        pair_forget_untold(pair);
        virtio_device_signal(pair->device, transmit_index(pair));
}

static int pair_on_tell(LoopTimer *timer);

/* At the latest when the timer is done for the first time. */
static void pair_tell_sent_later(NetPair *pair)
{
        loop_timer_arm(pair->device->loop, &pair->tell, clock_now_usec() + NET_SIGNAL_USEC,
                       pair_on_tell);
        pair->is_tell_due = true;
}

static int pair_on_tell(LoopTimer *timer)
{
        NetPair *pair = CONTAINER_OF(timer, NetPair, tell);

        if (pair->n_untold > 0 && pair->is_tell_due)
                pair_tell_sent(pair);
        else if (pair->n_untold > 0) /* younger than the timer */
                pair_tell_sent_later(pair);
        return 0;
}

/* More was sent than may wait. */
static bool pair_has_news(const NetPair *pair)
{
        uint32_t half = pair->device->queues[transmit_index(pair)].state.size / 2U;

        /* A short ring is full soon. */
        return pair->n_untold >= MIN(NET_SIGNAL_PACKETS, MAX(half, 1U)) ||
               (pair->n_untold > 1 && pair->untold_bytes >= NET_SIGNAL_BYTES_SENT);
}

static bool error_is_of_lost_tap(int r)
{
        return r == -EBADFD || r == -ENODEV || r == -ECONNRESET;
}

/* --- to the guest --- */

static int pair_receive_one(NetPair *pair, uint32_t *ret_size)
{
        if (!pair->is_linked)
                return net_receive_discard(&pair->receive, pair->tap);
        return net_receive_packet(&pair->receive, &pair->device->queues[receive_index(pair)],
                                  pair->tap, ret_size);
}

/* 0: goes on; else the turn ends, with what it returns if that is of the guest or of ours. */
static int pair_on_received(NetPair *pair, int r, uint32_t size)
{
        VirtioCounters *counters = &pair->device->counters;

        if (r == 0 && pair->is_linked) {
                virtio_count(&counters->deliveries, 1);
                virtio_count(&counters->bytes_to_guest, size);
                virtio_device_spend(pair->device, VIRTIO_PACE_RECEIVE, size, 1);
                return 0;
        }
        if (r == -EINTR)
                return 0;
        if (r == -EAGAIN || r == NET_RECEIVE_E_STARVED) {
                pair->is_starved = r == NET_RECEIVE_E_STARVED;
                return r;
        }
        if (r > 0 && r != NET_RECEIVE_E_DROPPED)
                return r;
        if (error_is_of_lost_tap(r)) {
                pair_lose_tap(pair, r);
                return r;
        }
        /* The packet is lost: nobody could take it, or the host had no memory for it. */
        virtio_count(&counters->drops, 1);
        return 0;
}

static int pair_receive_turn(NetPair *pair)
{
        bool is_answer = pair->awaits_answer;
        uint32_t size = 0, untold = 0;
        int r = 0;

        pair->is_starved = pair->is_held = pair->awaits_answer = false;
        for (unsigned n = 0; n < NET_TURN_MAX && r == 0; n++) {
                if (pair->is_linked &&
                    !virtio_device_may_begin(pair->device, VIRTIO_PACE_RECEIVE)) {
                        pair->is_held = true;
                        break;
                }
                r = pair_receive_one(pair, &size);
                r = pair_on_received(pair, r, size);
                untold += size;
                if (untold >= NET_SIGNAL_BYTES_RECEIVED) {
                        pair_tell_received(pair);
                        untold = 0;
                }
                /* No look at the tap that finds nothing; if there is more, it is ready for reading. */
                if (is_answer && size <= NET_ANSWER_BYTES)
                        break;
        }
        pair_tell_received(pair);
        /* What the tap says, and what it has not, are no failures of the device. */
        return r < 0 || r == NET_RECEIVE_E_STARVED ? 0 : r;
}

int net_pair_receive(NetPair *pair)
{
        int r;

        if (!pair->source.loop)
                return 0;
        r = pair_receive_turn(pair);
        return r != 0 ? r : pair_watch(pair);
}

/* --- from the guest --- */

/* 0, or -EAGAIN: not now. What is no packet, or what the host can't take, is lost. */
static int pair_send(NetPair *pair, const VirtioChain *chain)
{
        VirtioCounters *counters = &pair->device->counters;
        ssize_t n;

        if (!pair->is_linked || pair->is_gone || chain->readable_size <= TAP_HEADER_SIZE ||
            chain->readable_size > TAP_PACKET_MAX)
                return 0;
        do
                n = writev(pair->tap, chain->readable, (int)chain->n_readable);
        while (n < 0 && errno == EINTR);
        if (n < 0 && errno == EAGAIN)
                return -EAGAIN;
        if (n > TAP_HEADER_SIZE)
                virtio_count(&counters->bytes_from_guest, (uint64_t)n - TAP_HEADER_SIZE);
        return 0;
}

/* 0, VIRTIO_QUEUE_E_EMPTY: there is none, or it can't be sent now; or what the guest did wrong. */
static int pair_transmit_one(NetPair *pair)
{
        VirtioQueue *queue = &pair->device->queues[transmit_index(pair)];
        VirtioChain chain;
        int r;

        if (!virtio_device_may_begin(pair->device, VIRTIO_PACE_TRANSMIT))
                return VIRTIO_QUEUE_E_EMPTY;
        r = virtio_queue_pop(queue, &chain);
        if (r != 0)
                return r;
        if (pair_send(pair, &chain) == -EAGAIN) {
                virtio_queue_unpop(queue);
                pair->is_stuck = true;
                return VIRTIO_QUEUE_E_EMPTY;
        }
        virtio_device_spend(pair->device, VIRTIO_PACE_TRANSMIT,
                            chain.readable_size - MIN(chain.readable_size, TAP_HEADER_SIZE), 1);
        virtio_queue_push(queue, chain.head, 0);
        virtio_count(&pair->device->counters.requests, 1);
        pair->n_untold++;
        pair->untold_bytes += MIN(chain.readable_size, NET_SIGNAL_BYTES);
        return 0;
}

/* What the host says to what was sent is there mostly, its acknowledgements: one interrupt for both. */
static int pair_exchange(NetPair *pair)
{
        int r = 0;

        pair->awaits_answer = false;
        if (pair->source.loop && !pair->is_starved && !pair->is_held)
                r = pair_receive_turn(pair);
        if (pair_has_news(pair))
                pair_tell_sent(pair);
        return r;
}

static int pair_transmit_turn(NetPair *pair)
{
        unsigned n_exchanges = 0;
        int r = 0;

        for (unsigned n = 0; n < NET_TURN_MAX && n_exchanges < NET_EXCHANGES_MAX && r == 0; n++) {
                r = pair_transmit_one(pair);
                if (r == 0 && pair->untold_bytes >= NET_SIGNAL_BYTES) {
                        r = pair_exchange(pair);
                        n_exchanges++;
                }
        }
        if (r == 0) /* the others first */
                virtio_device_kick(pair->device, transmit_index(pair));
        return r == VIRTIO_QUEUE_E_EMPTY ? 0 : r;
}

int net_pair_transmit(NetPair *pair)
{
        int r;

        if (!pair->is_open || pair->is_vhost)
                return 0;
        pair->is_stuck = false;
        r = pair_transmit_turn(pair);
        if (r == 0 && pair->untold_bytes >= NET_SIGNAL_BYTES_SENT)
                r = pair_exchange(pair);
        else if (pair_has_news(pair))
                pair_tell_sent(pair);
        else if (pair->n_untold > 0)
                pair->awaits_answer = true;
        if (pair->n_untold > 0 && !pair->tell.loop)
                pair_tell_sent_later(pair);
        return r != 0 ? r : pair_watch(pair);
}

/* --- the tap --- */

static int pair_settle(NetPair *pair, int r)
{
        const VirtioQueue *queues = &pair->device->queues[receive_index(pair)];
        const char *problem = queues[0].problem ? queues[0].problem : queues[1].problem;

        if (r <= 0)
                return r;
        virtio_device_fail(pair->device, problem ? problem : "a buffer can't be written");
        net_pair_close(pair);
        return 0;
}

static int pair_on_tap(LoopFd *source, uint32_t events)
{
        NetPair *pair = CONTAINER_OF(source, NetPair, source);
        int r = 0;

        if (!virtio_device_is_active(pair->device)) {
                net_pair_close(pair); /* another queue of it broke */
                return 0;
        }
        if (events & EPOLLOUT)
                r = pair_settle(pair, net_pair_transmit(pair));
        if (r == 0 && pair->source.loop && events & (EPOLLIN | EPOLLERR | EPOLLHUP))
                r = pair_settle(pair, net_pair_receive(pair));
        /* Trouble that no read tells of would come up again and again. */
        if (r == 0 && pair->source.loop && (events & (EPOLLERR | EPOLLHUP)) && !(events & EPOLLIN))
                pair_lose_tap(pair, -ECONNRESET);
        return r;
}

static int pair_attach(NetPair *pair, bool is_attached)
{
        int r = 0;

        /* The first queue is never taken away: it would take the interface's carrier with it. */
        if (pair->index > 0 && pair->is_attached != is_attached)
                r = tap_attach(pair->tap, is_attached);
        if (r == 0)
                pair->is_attached = is_attached;
        return r;
}

/* --- vhost --- */

static VhostPair pair_vhost(const NetPair *pair)
{
        return (VhostPair){
                .fd = pair->vhost,
                .queues = &pair->device->queues[receive_index(pair)],
                .kick_fds = &pair->device->kick_fds[receive_index(pair)],
                .interrupt_fd = pair->device->interrupt_fd,
                .error_fd = pair->error_fd,
                .tap = pair->tap,
        };
}

/* It is of no use: this process does what it can't. */
static void pair_forget_vhost(NetPair *pair)
{
        loop_fd_remove(&pair->error);
        pair->error_fd = fd_close(pair->error_fd);
        pair->vhost = fd_close(pair->vhost);
}

static void pair_stop_vhost(NetPair *pair)
{
        const VhostPair vhost = pair_vhost(pair);

        vhost_stop(&vhost);
        pair->is_vhost = false;
        virtio_device_take_back(pair->device, receive_index(pair));
}

static int pair_listen(NetPair *pair)
{
        pair->is_starved = pair->is_held = pair->is_stuck = false;
        return loop_fd_add(pair->device->loop, &pair->source, pair->tap, EPOLLIN, pair_on_tap);
}

static int pair_start_vhost(NetPair *pair)
{
        const VhostPair vhost = pair_vhost(pair);
        int r;

        if (pair->receive.pending > 0)
                virtio_count(&pair->device->counters.drops, 1);
        if (pair->n_untold > 0)
                pair_tell_sent(pair);
        loop_fd_remove(&pair->source);
        net_receive_reset(&pair->receive, pair->receive.is_mergeable);
        virtio_device_lend(pair->device, receive_index(pair));
        r = vhost_start(&vhost, pair->device->memory,
                        pair->device->state.driver_features & NET_RING_FEATURES);
        if (r == 0) {
                pair->is_vhost = true;
                /* What was kicked for before is looked at, too. */
                virtio_device_kick(pair->device, receive_index(pair));
                virtio_device_kick(pair->device, transmit_index(pair));
                return 0;
        }
        virtio_device_take_back(pair->device, receive_index(pair));
        /* A driver that has a pair without queues is no failure of vhost's. */
        if (r != -EINVAL) {
                log_warning_errno(r, "net: vhost-net can't be used");
                pair_forget_vhost(pair);
        }
        return pair_listen(pair);
}

/* Ours says what is wrong with the ring, if anything is. */
static int pair_on_vhost_error(LoopFd *source, uint32_t events)
{
        NetPair *pair = CONTAINER_OF(source, NetPair, error);

        bool was_vhost = pair->is_vhost;

        log_warning("net: vhost-net can't use a queue");
        if (was_vhost)
                pair_stop_vhost(pair);
        pair_forget_vhost(pair);
        return was_vhost ? pair_listen(pair) : 0;
}

/* Only once it is needed: an owned one has a thread of the kernel's. */
static void pair_own_vhost(NetPair *pair)
{
        int r = vhost_own(pair->vhost);

        if (r == 0) {
                pair->error_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
                r = pair->error_fd < 0 ? errno_neg() : 0;
        }
        if (r == 0)
                r = loop_fd_add(pair->device->loop, &pair->error, pair->error_fd, EPOLLIN,
                                pair_on_vhost_error);
        if (r < 0) {
                log_warning_errno(r, "net: vhost-net can't be used");
                pair_forget_vhost(pair);
        }
}

int net_pair_use_vhost(NetPair *pair, bool is_wanted)
{
        if (!pair->is_open || pair->is_gone || pair->vhost < 0 || pair->is_vhost == is_wanted)
                return 0;
        if (is_wanted) {
                if (pair->error_fd < 0)
                        pair_own_vhost(pair);
                return pair->vhost < 0 ? 0 : pair_start_vhost(pair);
        }
        pair_stop_vhost(pair);
        return pair_listen(pair);
}

/* --- its life --- */

int net_pair_init(NetPair *pair, VirtioDevice *device, unsigned index, int tap, int vhost)
{
        int r;

        *pair = (NetPair){
                .device = device,
                .index = index,
                .tap = tap,
                .is_linked = true,
                .is_attached = true, /* by whoever opened it */
                .vhost = vhost,
                .error_fd = FD_NONE,
        };
        r = net_receive_init(&pair->receive);
        return r < 0 ? r : pair_attach(pair, false);
}

void net_pair_done(NetPair *pair)
{
        net_pair_close(pair);
        net_receive_done(&pair->receive);
        pair_forget_vhost(pair);
        pair->tap = fd_close(pair->tap);
}

int net_pair_open(NetPair *pair, bool is_mergeable)
{
        int r;

        if (pair->is_open)
                return 0;
        net_receive_reset(&pair->receive, is_mergeable);
        pair->is_starved = pair->is_held = pair->is_stuck = pair->is_gone = false;
        r = pair_attach(pair, true);
        if (r == 0)
                r = pair_listen(pair);
        if (error_is_of_lost_tap(r)) {
                pair->is_gone = true;
                r = 0;
        }
        pair->is_open = r == 0;
        return r;
}

void net_pair_close(NetPair *pair)
{
        if (!pair->is_open)
                return;
        if (pair->is_vhost)
                pair_stop_vhost(pair);
        pair_forget_untold(pair);
        loop_timer_cancel(&pair->tell);
        pair->is_open = pair->awaits_answer = false;
        loop_fd_remove(&pair->source);
        net_receive_reset(&pair->receive, false);
        if (pair_attach(pair, false) < 0)
                log_debug("net: a tap's queue can't be detached");
}

void net_pair_set_link(NetPair *pair, bool is_up)
{
        pair->is_linked = is_up;
        if (pair->source.loop)
                virtio_device_kick(pair->device, receive_index(pair));
}
