/*
 * Runs a payload on a machine of uvm-vmm's library in this process, on the local /dev/kvm: makes a
 * firmware image of the payload in memory, collects the console, waits for the end.
 */
#pragma once

#include "base/log.h"
#include "base/loop.h"
#include "test/unit.h"
#include "vmm/machine.h"

#define BOARD_SLOTS        4
#define BOARD_CONSOLE_SIZE 65536

typedef struct Board {
        Machine machine;
        Loop *loop;
        int console;
        LoopFd console_source;
        char text[BOARD_CONSOLE_SIZE]; /* all of the console, NUL-terminated */
        size_t length;
        bool ended, paused;
        ControlEnd reason;
        char why[CONTROL_TEXT_SIZE_MAX + 1];
        uint64_t phase_usec[CONTROL_PHASE_GUEST];             /* of the host's phases */
        void (*on_phase)(struct Board *board, uint8_t phase); /* of the guest's; may be NULL */
} Board;

typedef struct BoardConfig {
        const char *payload; /* the flat program's file */
        const char *name;    /* of the case: the additional command line */
        unsigned vcpus;      /* 0: 1 */
        unsigned max_vcpus;  /* 0: as many */
        uint64_t room;       /* bytes of memory that may be plugged */
        bool keep_console;   /* nobody reads it */
} BoardConfig;

/* A firmware image of the payload in a new memory file: the fd. Fails the test on any error. */
int board_make_firmware(const char *payload);

/* Why no board can run here, or NULL. */
const char *board_missing(void);

/* Says that all tests are left out, and why. Returns 0, for main(). */
int board_skip(const char *why);

/*
 * How a test program begins: opens the log and takes its one argument, the payload's file. False if no
 * board can run here: all tests are skipped then.
 */
bool board_begin(int argc, char **argv, const char *log, int level, const char **ret_payload);

/* A configured machine with an rng in slot 0. Fails the test on any error. */
Board *board_new(const BoardConfig *config);
Board *board_free(Board *board);

void board_start(Board *board);
/* Dispatches until @flag is true; fails the test after a time limit. */
void board_wait(Board *board, const bool *flag);

/* Plugs an rng into @slot. */
void board_plug_rng(Board *board, uint32_t slot);

/* Runs a case to its end and checks that it ended well. */
void board_pass(const char *payload, const char *name);

/* How many entries a directory has: of fds, of threads. */
unsigned board_count(const char *directory);

/* How many times to do what is to leave nothing behind: UVM_SOAK, or once. */
uint32_t board_soak(void);
