/*
 * What is shared by those who carry out uvmd's requests: request.c takes them and answers what needs
 * nobody, request_guest.c does what takes the VMM and the agent. Internal to the two.
 */
#pragma once

#include "shim/sandbox.h"

/* A request that is not answered yet. At most one call is under way for it. */
typedef struct Request {
        List link;
        Sandbox *sandbox;
        uint32_t serial; /* 0: the link that asked is gone */
        ShimType type;
        VmmCall vmm;
        AgentCall agent;
        uint64_t process;     /* AGENT_REQUEST: that it starts, or 0 */
        ShimAddDevice device; /* ADD_DEVICE: until the machine runs, with its fd */
        bool deferred;
        int fd;
        uint32_t slot;
        uint8_t *stats; /* GET_STATS: the VMM's answer */
        size_t stats_size;
} Request;

/* Answers at once. @text: NULL or "" for the error's own. Without a link nobody hears. */
void request_answer(Sandbox *sandbox, uint32_t serial, int error, const char *text, uint32_t value,
                    const void *payload, size_t size);

/* NULL: out of memory, and answered so. */
Request *request_new(Sandbox *sandbox, const ShimMessage *message);

/* Answers and frees it. */
void request_end(Request *request, int error, const char *text, const void *payload, size_t size);

/* Asks the VMM; a failure to do so ends the request. */
void request_to_vmm(Request *request, ControlMessage *message, const int *fds, unsigned n_fds,
                    VmmCallDone done);

/* Ends a request with what the VMM has answered. */
void request_on_vmm(VmmCall *call, int error, const ControlMessage *answered, const uint8_t *raw,
                    size_t raw_size);
const char *request_vmm_refusal(const ControlMessage *answered);

/* A device that has waited for the machine to run. */
void request_add_device(Request *request);

void request_on_add_device(Sandbox *sandbox, const ShimMessage *message, int *fds, unsigned n_fds);
void request_on_remove_device(Sandbox *sandbox, const ShimMessage *message);
void request_on_bind(Sandbox *sandbox, const ShimMessage *message, int *fds, unsigned n_fds);
void request_on_set_throttle(Sandbox *sandbox, const ShimMessage *message);
void request_on_agent_request(Sandbox *sandbox, const ShimMessage *message);
void request_on_get_stats(Sandbox *sandbox, const ShimMessage *message);
