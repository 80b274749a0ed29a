/*
 * What the shim's tests stand on: the test is uvmd at one end of a running uvm-shim, and the guest's
 * agent at the other; between them is fake_vmm. Everything blocks, with a time limit that ends the
 * test. Needs root, as uvmd does.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "proto/agent.h"
#include "proto/frame.h"
#include "proto/shim.h"

#define FIXTURE_ID        "0123456789abcdef"
#define FIXTURE_RANGE     0x70000000U
#define FIXTURE_PROCESSES 64

typedef struct Fixture {
        char dir[32]; /* run directory and the guest's ports */
        pid_t shim;
        int link;
        uint32_t serial;
        bool synced;
        ShimHello hello;
        ShimStatus status;
        uint64_t phases[SHIM_PHASE_MAX_];
        ShimProcess processes[FIXTURE_PROCESSES];
        unsigned n_processes;
        ShimReply reply; /* the last; its payload is in @payload */
        uint8_t payload[SHIM_PAYLOAD_MAX];
        uint32_t replied;  /* its serial */
        ShimMemory memory; /* the last */
        uint32_t vcpus;    /* the last that were told late */
} Fixture;

void fixture_start(Fixture *fixture);

/* LAUNCH; @what as fake_vmm knows it, or "". The REPLY's error. */
int fixture_launch(Fixture *fixture, const char *what, uint64_t boot_usec);

/* Waits for the end of the shim, checks that it was orderly, and removes the directory. */
void fixture_end(Fixture *fixture);

/* With the files and empty directories in it. */
void fixture_remove_directory(const char *path);

/* Closes the link; connects to shim.sock and takes the snapshot. */
void fixture_disconnect(Fixture *fixture);
void fixture_reconnect(Fixture *fixture);

/* Sends a request; its serial. */
uint32_t fixture_send(Fixture *fixture, ShimMessage *message, const int *fds, unsigned n_fds);

/* Waits for the REPLY with @serial; its error. */
int fixture_reply(Fixture *fixture, uint32_t serial);
int fixture_ask(Fixture *fixture, ShimMessage *message, const int *fds, unsigned n_fds);

void fixture_wait_state(Fixture *fixture, ShimState state);
const ShimProcess *fixture_wait_process(Fixture *fixture, uint64_t token, ShimProcessState state);

/* Handles what has come, without waiting. */
void fixture_poll(Fixture *fixture);

/* Number of the shim's open files. */
unsigned fixture_count_fds(const Fixture *fixture);

void fixture_read_end(Fixture *fixture, ShimEndRecord *ret);

/* Resets the guest. */
void fixture_reset(Fixture *fixture);

/* ---- the guest's agent */

typedef struct FakeAgent {
        int fd;
        FrameReader reader;
        uint32_t last_request;
        uint64_t sequence, acknowledged;
        uint64_t host_sequence; /* WELCOME's */
} FakeAgent;

void fake_agent_connect(FakeAgent *agent, const Fixture *fixture);
void fake_agent_break(FakeAgent *agent);

/* The next request; waits for it. */
void fake_agent_next(FakeAgent *agent, Frame *ret);

/* Waits until the host has acknowledged everything. */
void fake_agent_wait_ack(FakeAgent *agent);
void fake_agent_reply(FakeAgent *agent, uint32_t id, uint32_t code, uint8_t exit_code);
/* With the AgentCpus of SET_VCPUS as its payload. */
void fake_agent_reply_cpus(FakeAgent *agent, uint32_t id, uint32_t code, uint32_t cpus);
void fake_agent_exited(FakeAgent *agent, const char *container, const char *process, uint8_t code,
                       uint64_t stdout_bytes, uint64_t stderr_bytes);
void fake_agent_goodbye(FakeAgent *agent);

/* Opens one of a process's streams. */
int fake_agent_stream(const Fixture *fixture, uint64_t token, AgentStream which);

/* ---- shortcuts */

/* Started, launched, booted, with an agent that has said hello. */
void fixture_run(Fixture *fixture, FakeAgent *agent);

/* Adds a process (container "c@token", no process id). */
void fixture_add_process(Fixture *fixture, uint64_t token, uint32_t flags);

/* Attaches a new client; @ends gets its own side of @n streams, by ShimStream. */
void fixture_attach(Fixture *fixture, uint64_t token, uint32_t flags, uint32_t streams,
                    int ends[SHIM_STREAM_MAX_]);

/* The agent is asked to start it and answers @code. */
void fixture_start_process(Fixture *fixture, FakeAgent *agent, uint64_t token, uint8_t code);
void fixture_ack_exit(Fixture *fixture, uint64_t token);
