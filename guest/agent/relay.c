/* One-way relays; see relay.h. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"

#include "agent/relay.h"

/* Reads in a row before others have their turn. */
#define RELAY_ROUNDS 8

static void relay_pump(Relay *relay);

static int relay_on_source(LoopFd *source, uint32_t events)
{
        relay_pump(CONTAINER_OF(source, Relay, source));
        return 0;
}

static int relay_on_sink(LoopFd *sink, uint32_t events)
{
        relay_pump(CONTAINER_OF(sink, Relay, sink));
        return 0;
}

/* EPOLLHUP can't be masked: what isn't waited for is off the loop. */
static int relay_wait_source(Relay *relay)
{
        loop_fd_remove(&relay->sink);
        if (relay->source.loop)
                return 0;
        return loop_fd_add(relay->loop, &relay->source, relay->source_fd, EPOLLIN, relay_on_source);
}

static int relay_wait_sink(Relay *relay)
{
        loop_fd_remove(&relay->source);
        if (relay->sink.loop)
                return 0;
        return loop_fd_add(relay->loop, &relay->sink, relay->sink_fd, EPOLLOUT, relay_on_sink);
}

void relay_stop(Relay *relay)
{
        if (!relay->loop)
                return;
        loop_fd_remove(&relay->source);
        loop_fd_remove(&relay->sink);
        relay->source_fd = fd_close(relay->source_fd);
        relay->sink_fd = fd_close(relay->sink_fd);
        free(relay->held);
        relay->held = NULL;
        relay->loop = NULL;
}

static void relay_end(Relay *relay)
{
        relay_stop(relay);
        relay->ended(relay);
}

/* Writes as much as goes. 0: all gone; -EAGAIN: *@at says how far it came; else: the sink is. */
static int relay_write(Relay *relay, const uint8_t *data, size_t size, size_t *at)
{
        while (*at < size) {
                ssize_t n = relay->sink_gone ? (ssize_t)(size - *at)
                                             : write(relay->sink_fd, data + *at, size - *at);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0 && errno == EAGAIN)
                        return -EAGAIN;
                if (n < 0) {
                        relay->sink_gone = true;
                        if (!relay->drain)
                                return errno_neg();
                        continue;
                }
                *at += (size_t)n;
                if (!relay->sink_gone)
                        relay->moved += (uint64_t)n;
        }
        return 0;
}

static int relay_flush_held(Relay *relay)
{
        int r = relay_write(relay, relay->held, relay->held_size, &relay->held_at);

        if (r != -EAGAIN) {
                free(relay->held);
                relay->held = NULL;
        }
        return r;
}

static int relay_hold(Relay *relay, const uint8_t *data, size_t size)
{
        relay->held = malloc(size);
        if (!relay->held)
                return -ENOMEM;
        memcpy(relay->held, data, size);
        relay->held_at = 0;
        relay->held_size = size;
        return 0;
}

/* One read and its write. 0: go on; -EAGAIN: wait for the source; -EBUSY: wait for the sink. */
static int relay_move(Relay *relay)
{
        size_t at = 0;
        ssize_t n;
        int r;

        do
                n = read(relay->source_fd, relay->scratch,
                         MIN(relay->budget, (uint64_t)RELAY_CHUNK));
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return errno_neg();
        if (n == 0)
                return -ENODATA;
        relay->budget -= (uint64_t)n;
        r = relay_write(relay, relay->scratch, (size_t)n, &at);
        if (r != -EAGAIN)
                return r;
        r = relay_hold(relay, relay->scratch + at, (size_t)n - at);
        return r < 0 ? r : -EBUSY;
}

/* Every way out either waits for one fd or ends the relay; the latter must be the last thing. */
static void relay_pump(Relay *relay)
{
        int r = relay->held ? relay_flush_held(relay) : 0;
        bool sink_full = r == -EAGAIN;

        for (unsigned round = 0; r == 0 && (relay->finishing || round < RELAY_ROUNDS); round++)
                r = relay->budget > 0 ? relay_move(relay) : -ENODATA;
        if (sink_full || r == -EBUSY)
                r = relay_wait_sink(relay);
        else if (r == 0 || (r == -EAGAIN && !relay->finishing))
                r = relay_wait_source(relay);
        /* The end of the source is -ENODATA for pipes and sockets, -EIO for terminals; after any
         * other failure there is nothing that can be moved either. */
        if (r < 0)
                relay_end(relay);
}

int relay_start(Relay *relay, Loop *loop, uint8_t *scratch, int source_fd, int sink_fd, bool drain,
                void (*ended)(Relay *relay))
{
        int r;

        assert(!relay->loop);
        *relay = (Relay){
                .loop = loop,
                .source_fd = source_fd,
                .sink_fd = sink_fd,
                .scratch = scratch,
                .budget = UINT64_MAX,
                .drain = drain,
                .ended = ended,
        };
        r = relay_wait_source(relay);
        if (r < 0)
                relay_stop(relay);
        return r;
}

void relay_finish(Relay *relay, uint64_t budget)
{
        int held;

        if (!relay->loop || relay->finishing)
                return;
        relay->finishing = true;
        relay->budget = budget;
        if (ioctl(relay->source_fd, FIONREAD, &held) == 0 && held >= 0 && !isatty(relay->source_fd))
                relay->budget = (uint64_t)held;
        relay_pump(relay);
}
