/*
 * SET_VCPUS; see request.h. The VMM never has fewer vCPUs than the guest uses: up, it makes them first;
 * down, it ends them when the guest says that it has let go of all. When the guest does less than that,
 * the VMM keeps what it has, and the next request goes on from there: a vCPU that the guest has not
 * brought up, or has taken off, costs a thread that waits.
 */
#include <errno.h>
#include <string.h>

#include "shim/request.h"

static void request_on_fewer(VmmCall *call, int error, const ControlMessage *answered,
                             const uint8_t *raw, size_t raw_size)
{
        Request *request = CONTAINER_OF(call, Request, vmm);

        if (error == 0)
                request->sandbox->vcpus = request->vcpus;
        request_end(request, error, request_vmm_refusal(answered), NULL, 0);
}

static void request_vcpus_to_vmm(Request *request, VmmCallDone done)
{
        ControlMessage control = {.type = CONTROL_SET_VCPUS, .set_vcpus.vcpus = request->vcpus};

        request_to_vmm(request, &control, NULL, 0, done);
}

/* How many the guest says there are, with or without an error; it can't have more than there are. */
static void request_take_online(Request *request, const AgentReply *reply)
{
        AgentCpus cpus;

        if (!reply->payload || reply->payload_size == 0 ||
            agent_cpus_decode(reply->payload, reply->payload_size, &cpus) < 0)
                return;
        request->value = request->sandbox->online = MIN(cpus.cpus, request->sandbox->vcpus);
        agent_cpus_done(&cpus);
}

/* Who asked was told that there is no answer; what came of it after all has to be known. */
static void request_tell_late(const Request *request)
{
        ShimMessage message = {.type = SHIM_VCPUS, .vcpus.online = request->value};

        if (request->overdue)
                link_send(&request->sandbox->link, &message);
}

static void request_on_cpus(AgentCall *call, int error, const uint8_t *payload, size_t size)
{
        Request *request = CONTAINER_OF(call, Request, agent);
        char text[SHIM_TEXT_MAX + 1];
        AgentReply reply;

        error = request_read_reply(error, payload, size, text, &reply);
        loop_timer_cancel(&request->limit);
        request_take_online(request, &reply);
        agent_reply_done(&reply);
        request_tell_late(request);
        /* Late or not: both sides are to have the same. */
        if (error == 0 && request->vcpus < request->sandbox->vcpus &&
            request->value <= request->vcpus)
                request_vcpus_to_vmm(request, request_on_fewer);
        else
                request_end(request, error, text, NULL, 0);
}

static void request_cpus_to_guest(Request *request)
{
        uint8_t payload[16];
        size_t size;
        int r = agent_cpus_encode(&(AgentCpus){.cpus = request->vcpus}, payload, sizeof(payload),
                                  &size);

        request_limit(request, request->vcpus >= request->sandbox->vcpus
                                       ? "the guest did not bring its CPUs up in time"
                                       : "the guest did not take its CPUs offline in time");
        if (r >= 0)
                r = agent_link_call(&request->sandbox->agent, &request->agent, AGENT_REQUEST_CPUS,
                                    payload, size, request_on_cpus);
        if (r < 0)
                request_end(request, r, NULL, NULL, 0);
}

static void request_on_more(VmmCall *call, int error, const ControlMessage *answered,
                            const uint8_t *raw, size_t raw_size)
{
        Request *request = CONTAINER_OF(call, Request, vmm);

        if (error < 0) {
                request_end(request, error, request_vmm_refusal(answered), NULL, 0);
                return;
        }
        request->sandbox->vcpus = request->vcpus;
        request_cpus_to_guest(request);
}

void request_on_set_vcpus(Sandbox *sandbox, const ShimMessage *message)
{
        uint32_t vcpus = message->set_vcpus.vcpus;
        Request *request;

        if (vcpus < 1 || vcpus > sandbox->launch.max_vcpus) {
                request_answer(sandbox, message->serial, -EINVAL, NULL, sandbox->online, NULL, 0);
                return;
        }
        if (request_is_under_way(sandbox, SHIM_SET_VCPUS, SHIM_SET_VCPUS, UINT32_MAX)) {
                request_answer(sandbox, message->serial, -EBUSY,
                               "the guest has not answered an earlier request about its CPUs",
                               sandbox->online, NULL, 0);
                return;
        }
        request = request_new(sandbox, message);
        if (!request)
                return;
        request->vcpus = vcpus;
        request->value = sandbox->online;
        if (vcpus > sandbox->vcpus)
                request_vcpus_to_vmm(request, request_on_more);
        else
                request_cpus_to_guest(request);
}
