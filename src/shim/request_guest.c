/* uvmd's requests to the guest's agent, and figures; see request.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shim/request.h"

/* ---- what the agent does */

int request_read_reply(int error, const uint8_t *payload, size_t size, char text[SHIM_TEXT_MAX + 1],
                       AgentReply *ret)
{
        AgentReply reply = {};

        text[0] = 0;
        if (error == 0)
                error = agent_reply_decode(payload, size, &reply);
        if (error == 0 && reply.code != 0) {
                error = reply.code <= 4095 ? -(int)reply.code : -EIO;
                snprintf(text, SHIM_TEXT_MAX + 1, "the guest: %s", reply.text ? reply.text : "");
        }
        if (ret)
                *ret = reply;
        else
                agent_reply_done(&reply);
        return error;
}

/* What the answer to a start means for the process: 0, or the code a shell would give. */
static int request_start_code(int error, const uint8_t *payload, size_t size)
{
        AgentReply reply = {};
        int code = 125;

        if (error == 0 && agent_reply_decode(payload, size, &reply) == 0)
                code = reply.code == 0 ? 0 : reply.exit_code ? reply.exit_code : 125;
        agent_reply_done(&reply);
        return code;
}

static void request_on_agent(AgentCall *call, int error, const uint8_t *payload, size_t size)
{
        Request *request = CONTAINER_OF(call, Request, agent);
        Process *process = process_find(&request->sandbox->table, request->process);

        /* First the answer, then what becomes of the process: uvmd learns why before that. A guest
         * that ended under it has lost it, which process_table_guest_gone() says. */
        if (process && error == 0) {
                int code = request_start_code(error, payload, size);

                request_end(request, error, NULL, payload, size);
                process_set_started(process, code);
                return;
        }
        request_end(request, error, NULL, payload, size);
}

/* What the shim keeps in step with the VMM. */
static bool request_is_the_shims_own(uint32_t type)
{
        return type < AGENT_REQUEST_PING || type == AGENT_REQUEST_PLUG ||
               type == AGENT_REQUEST_UNPLUG || type == AGENT_REQUEST_SHUTDOWN ||
               type == AGENT_REQUEST_CPUS || type == AGENT_REQUEST_SET_TIME;
}

void request_on_agent_request(Sandbox *sandbox, const ShimMessage *message)
{
        const ShimAgentRequest *ask = &message->agent_request;
        Process *process = ask->process ? process_find(&sandbox->table, ask->process) : NULL;
        Request *request;
        int r = 0;

        if (request_is_the_shims_own(ask->type))
                r = -EPERM;
        else if (ask->process && !process)
                r = -ENOENT;
        else if (process && process->state != PROCESS_ADDED)
                r = -EALREADY;
        if (r < 0) {
                request_answer(sandbox, message->serial, r, NULL, 0, NULL, 0);
                return;
        }
        request = request_new(sandbox, message);
        if (!request)
                return;
        request->process = ask->process;
        r = agent_link_call(&sandbox->agent, &request->agent, (uint16_t)ask->type, ask->payload,
                            ask->payload_size, request_on_agent);
        if (r < 0)
                request_end(request, r, NULL, NULL, 0);
        else if (process)
                process_set_starting(process);
}

/* ---- figures */

static void request_end_stats(Request *request, const uint8_t *agent, size_t agent_size)
{
        ShimStats stats = {
                .vmm = request->stats,
                .vmm_size = request->stats_size,
                .agent = agent,
                .agent_size = agent_size,
        };
        uint8_t payload[2 * CONTROL_MESSAGE_SIZE_MAX];
        size_t size = 0;
        int r = shim_stats_encode(&stats, payload, sizeof(payload), &size);

        request_end(request, r, NULL, payload, size);
}

static void request_on_agent_stats(AgentCall *call, int error, const uint8_t *payload, size_t size)
{
        bool usable = error == 0 && size <= CONTROL_MESSAGE_SIZE_MAX;

        request_end_stats(CONTAINER_OF(call, Request, agent), payload, usable ? size : 0);
}

static void request_on_vmm_stats(VmmCall *call, int error, const ControlMessage *answered,
                                 const uint8_t *raw, size_t raw_size)
{
        Request *request = CONTAINER_OF(call, Request, vmm);
        Sandbox *sandbox = request->sandbox;
        uint8_t payload[16];
        size_t size;

        request->stats = error == 0 ? malloc(raw_size) : NULL;
        if (request->stats) {
                memcpy(request->stats, raw, raw_size);
                request->stats_size = raw_size;
        }
        if (sandbox->status.state != SHIM_RUNNING || sandbox->agent.state != AGENT_LINK_UP ||
            agent_container_encode(&(AgentContainer){}, payload, sizeof(payload), &size) < 0 ||
            agent_link_call(&sandbox->agent, &request->agent, AGENT_REQUEST_STATS, payload, size,
                            request_on_agent_stats) < 0)
                request_end_stats(request, NULL, 0);
}

void request_on_get_stats(Sandbox *sandbox, const ShimMessage *message)
{
        Request *request = request_new(sandbox, message);
        ControlMessage control = {.type = CONTROL_GET_STATS};

        if (request)
                request_to_vmm(request, &control, NULL, 0, request_on_vmm_stats);
}
