/*
 * The words about a machine's end, made of the console's tail and the VMM's and agent's texts: always
 * printable ASCII within bounds, whatever those are. The first bytes pick the rest of the facts.
 */
#include <assert.h>
#include <string.h>

#include "shim/ending.h"
#include "test/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        char text[SHIM_TEXT_MAX + 1], words[CONTROL_TEXT_SIZE_MAX + 1] = "";
        EndingFacts facts = {};
        ShimReason reason;

        if (size < 6 || size > SHIM_CONSOLE_SIZE)
                return 0;
        memcpy(words, data + 6, size - 6 < sizeof(words) - 1 ? size - 6 : sizeof(words) - 1);
        facts = (EndingFacts){
                .asked = (ShimReason)(data[0] % SHIM_REASON_MAX_),
                .overdue = data[1] & 1,
                .agent_seen = data[1] & 2,
                .goodbye = data[1] & 4,
                .oom = data[1] & 8,
                .goodbye_reason = (AgentGoodbyeReason)(data[2] % AGENT_GOODBYE_MAX_),
                .goodbye_text = words,
                .refusal = data[1] & 16 ? words : "",
                .end = (ControlEnd)(data[3] % CONTROL_END_MAX),
                .end_text = words,
                .status = data[4] << 8 | data[5],
                .tail = (const char *)data + 6,
                .tail_size = size - 6,
        };
        ending_deduce(&facts, &reason, text);
        assert(reason > SHIM_REASON_NONE && reason < SHIM_REASON_MAX_);
        assert(strlen(text) <= SHIM_TEXT_MAX);
        for (const char *at = text; *at; at++)
                assert(*at == '\n' || (*at >= ' ' && *at <= '~'));
        return 0;
}
