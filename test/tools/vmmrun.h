/* vmmrun's state, and its command line. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/loop.h"
#include "proto/control.h"

#define RUN_P9_MAX      8
#define RUN_DISKS_MAX   8
#define RUN_NETS_MAX    4
#define RUN_PORTS_MAX   8
#define RUN_STREAMS_MAX 64
#define RUN_TAIL_SIZE   256
#define RUN_AT_MAX      16

/* What is asked of the monitor when the console shows a text. */
typedef struct RunAt {
        const char *text;
        ControlType type;     /* SET_VCPUS, RESIZE or SET_LINK */
        ControlDevice device; /* RESIZE, SET_LINK: which */
        uint64_t number;      /* vCPUs, bytes, or whether it is up */
} RunAt;

typedef struct Run {
        const char *vmm, *firmware, *stop_at, *toggle_at, *stats_at;
        ControlConfigure configure;
        struct {
                char *directory;
                const char *tag;
                ThrottleLimits throttle;
        } p9[RUN_P9_MAX];
        unsigned n_p9;
        struct {
                const char *file;
                bool read_only;
                ThrottleLimits throttle;
        } disks[RUN_DISKS_MAX];
        unsigned n_disks;
        struct {
                const char *tap;
                uint8_t mac[CONTROL_MAC_SIZE];
                uint32_t queues, mtu;
                bool vhost;
                ThrottleLimits transmit;
        } nets[RUN_NETS_MAX];
        unsigned n_nets;
        ThrottleLimits *throttle; /* of the last p9, disk or net so far */
        uint32_t ports[RUN_PORTS_MAX];
        unsigned n_ports;
        RunAt at[RUN_AT_MAX];
        unsigned n_at;
        uint32_t time_limit;
        bool balloon, mem;
        bool no_jail, no_rng, want_phases, want_stats;

        Loop *loop;
        pid_t pid;
        int control, console;
        LoopFd control_source, console_source, stdin_source;
        LoopTimer timer;
        LoopFd streams[RUN_STREAMS_MAX];
        unsigned n_streams;
        uint32_t serial, expected; /* the last serial sent, and the last that needs a good answer */
        uint32_t device_serials[CONTROL_DEVICE_MAX]; /* of the last ADD_DEVICE of a kind … */
        uint32_t device_slots[CONTROL_DEVICE_MAX];   /* … and what it was answered */
        uint64_t start_usec;
        char tail[RUN_TAIL_SIZE]; /* of the console, for --stop-at and the like */
        bool plugged;             /* the last slot, by --toggle-at */
        int status;
} Run;

/* Fills @run, whose texts borrow @argv. 0; or -errno, and what is wrong was told. */
int vmmrun_parse(Run *run, int argc, char **argv);

/* The message that adds net @i, and its fds: *@ret_n of them, also on failure, for the caller to close.
 * 0; or -errno, and what is wrong was told. */
int vmmrun_open_net(const Run *run, unsigned i, ControlMessage *ret, int *fds, unsigned *ret_n);
