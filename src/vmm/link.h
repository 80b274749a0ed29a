/*
 * The control socket's end in the VMM: takes requests, calls the machine, answers. Messages and fds
 * are described in proto/control.h.
 *
 * Thread: the I/O thread. The shim is trusted to want no harm but not to make no mistakes: what isn't
 * a message, or comes with the wrong fds, ends the machine.
 */
#pragma once

#include "base/loop.h"
#include "proto/control.h"
#include "vmm/machine.h"

typedef struct Link Link;

/* A device by which the guest's memory changes its size, of which there is one of a kind; resize.h. */
typedef struct LinkMemory {
        Link *link;
        VirtioDevice *device; /* in its slot; or NULL */
        uint32_t slot;
        bool is_new; /* the supervisor was not told yet what it is like now */
} LinkMemory;

enum { LINK_MEMORY_BALLOON, LINK_MEMORY_MEM, LINK_MEMORY_MAX };

struct Link {
        Loop *loop;
        int fd;
        int fds_fd; /* /proc/self/fd of the jail, for devices that reopen files; or FD_NONE */
        LoopFd source;
        Machine machine;
        uint32_t pause_serial; /* of the PAUSE that is not answered yet; 0: none */
        ControlEnd end;        /* why the machine ended */
        VirtioDevice *vsock;   /* the one device of its kind, in its slot; or NULL */
        uint32_t vsock_slot;
        LinkMemory memory[LINK_MEMORY_MAX];
        LoopTimer memory_timer; /* armed: news about memory wait for it */
};

/* Takes over @fd, a SEQPACKET socket, and @fds_fd. 0 or -errno. */
int link_init(Link *link, Loop *loop, int fd, int fds_fd);
int link_done(Link *link); /* as machine_done() */

/* READY, with the phases of the start so far. 0 or -errno. */
int link_hello(Link *link, uint64_t start_usec, uint64_t jailed_usec);

/* Sends a message of the VMM's own accord with at most one fd (or FD_NONE), which is borrowed. */
int link_send(Link *link, const ControlMessage *message, int fd);

/* Answers request @serial. */
int link_reply(Link *link, uint32_t serial, int r, uint32_t value, const char *text);
