/*
 * What is shared by those who carry out uvmd's requests: request.c takes them and answers what needs
 * nobody, request_vmm.c what takes the VMM alone, request_device.c and request_vcpus.c what takes the
 * VMM and the guest, request_guest.c the rest. Internal to these.
 *
 * A guest need not answer. Requests that change what the VMM has by the guest's word have a limit: they
 * are answered with ETIMEDOUT then, and stay on the list until the guest's answer comes after all, for
 * until then nobody knows what the guest has.
 */
#pragma once

#include "shim/sandbox.h"

/* For the guest to plug, unplug, or bring CPUs on or off; scaled. */
#define REQUEST_GUEST_USEC (10 * UINT64_C(1000000))

/* The most fds that one takes. */
#define REQUEST_FDS_MAX (2 * CONTROL_NET_QUEUES_MAX)

/* A request that is not answered yet. At most one call is under way for it. */
typedef struct Request {
        List link;
        Sandbox *sandbox;
        uint32_t serial; /* 0: nobody waits for the answer any more */
        ShimType type;
        VmmCall vmm;
        AgentCall agent;
        LoopTimer limit;
        bool overdue;         /* the limit has passed, and has been answered so */
        uint64_t process;     /* AGENT_REQUEST: that it starts, or 0 */
        ShimAddDevice device; /* ADD_DEVICE: until the machine runs, with its fds */
        bool deferred;
        bool before_boot; /* ADD_DEVICE: the VMM was asked before it was told to start */
        int fds[REQUEST_FDS_MAX];
        unsigned n_fds;
        uint32_t slot;  /* of a device that is there */
        uint32_t vcpus; /* SET_VCPUS: that are wanted */
        uint32_t value; /* the REPLY's */
        int error;      /* what it failed with, while what was half done is undone */
        char text[SHIM_TEXT_MAX + 1];
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

/* From now on the guest has REQUEST_GUEST_USEC, not counting pauses; @text is the answer then. */
void request_limit(Request *request, const char *text);

/* Another one of these two types that hasn't ended; @slot UINT32_MAX: whatever device it is about. */
bool request_is_under_way(Sandbox *sandbox, ShimType one, ShimType other, uint32_t slot);

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
void request_on_resize(Sandbox *sandbox, const ShimMessage *message);
void request_on_set_link(Sandbox *sandbox, const ShimMessage *message);
void request_on_set_vcpus(Sandbox *sandbox, const ShimMessage *message);
void request_on_agent_request(Sandbox *sandbox, const ShimMessage *message);
void request_on_get_stats(Sandbox *sandbox, const ShimMessage *message);

/* What the agent's REPLY says: 0 or -errno, with its words in @text. @ret: NULL, or the reply with
 * its payload, to be freed with agent_reply_done(). */
int request_read_reply(int error, const uint8_t *payload, size_t size, char text[SHIM_TEXT_MAX + 1],
                       AgentReply *ret);
