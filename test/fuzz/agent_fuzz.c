/*
 * Every message of the agent protocol: the first byte picks one. What decodes must encode to the
 * same bytes again.
 */
#include <assert.h>
#include <string.h>

#include "proto/agent.h"
#include "proto/frame.h"
#include "test/fuzz/fuzz.h"

#define TRY(name, type)                                                                       \
        static void try_##name(const uint8_t *data, size_t size)                              \
        {                                                                                     \
                static uint8_t again[FRAME_PAYLOAD_MAX];                                      \
                size_t encoded;                                                               \
                type message;                                                                 \
                                                                                              \
                if (agent_##name##_decode(data, size, &message) < 0)                          \
                        return;                                                               \
                assert(agent_##name##_encode(&message, again, sizeof(again), &encoded) == 0); \
                assert(encoded == size && memcmp(again, data, size) == 0);                    \
                agent_##name##_done(&message);                                                \
        }

TRY(hello, AgentHello)
TRY(welcome, AgentWelcome)
TRY(ack, AgentAck)
TRY(reply, AgentReply)
TRY(create, AgentCreate)
TRY(container, AgentContainer)
TRY(exec, AgentExec)
TRY(signal, AgentSignal)
TRY(resize, AgentResize)
TRY(slot, AgentSlot)
TRY(shutdown, AgentShutdown)
TRY(stats, AgentStats)
TRY(processes, AgentProcesses)
TRY(exited, AgentExited)
TRY(oom, AgentOom)
TRY(goodbye, AgentGoodbye)
TRY(add_mount, AgentAddMount)
TRY(remove_mount, AgentRemoveMount)
TRY(copy, AgentCopy)
TRY(copied, AgentCopied)
TRY(diff, AgentDiff)
TRY(changes, AgentChanges)
TRY(network, AgentNetwork)
TRY(resolver, AgentResolver)
TRY(routing, AgentRouting)
TRY(cpus, AgentCpus)
TRY(update, AgentUpdate)
TRY(time, AgentTime)

static void try_preamble(const uint8_t *data, size_t size)
{
        uint8_t again[AGENT_PREAMBLE_SIZE];
        AgentPreamble preamble;

        if (size != sizeof(again) || agent_preamble_decode(data, &preamble) < 0)
                return;
        agent_preamble_encode(&preamble, again);
        assert(memcmp(again, data, size) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static void (*const tries[])(const uint8_t *, size_t) = {
                try_hello,        try_welcome, try_ack,    try_reply,   try_create,   try_container,
                try_exec,         try_signal,  try_resize, try_slot,    try_shutdown, try_stats,
                try_processes,    try_exited,  try_oom,    try_goodbye, try_preamble, try_add_mount,
                try_remove_mount, try_copy,    try_copied, try_diff,    try_changes,  try_network,
                try_resolver,     try_cpus,    try_update, try_time,    try_routing,
        };

        if (size > 0 && size <= FRAME_PAYLOAD_MAX)
                tries[data[0] % (sizeof(tries) / sizeof(tries[0]))](data + 1, size - 1);
        return 0;
}
