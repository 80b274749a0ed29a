/*
 * Rules of policy routing ("ip rule", linux/fib_rules.h), as the host says them and as the kernel does. Two
 * are the same when the kernel would be asked for them by the same bytes. Pure but for the last.
 */
#pragma once

#include "agent/fault.h"
#include "agent/netlink.h"
#include "agent/rtnetlink.h"
#include "proto/agent_network.h"

/* RTM_NEWRULE or RTM_DELRULE with @flags of netlink. */
void netrule_put(const AgentRule *rule, uint16_t type, uint16_t flags, NetlinkRequest *request);

/* What the strings and addresses of a rule that was read are kept in. */
typedef struct NetRule {
        AgentRule rule;
        bool kernels; /* there from the start */
        uint8_t source[16], destination[16];
        char input[AGENT_NAME_MAX + 1], output[AGENT_NAME_MAX + 1];
} NetRule;

/* What a RTM_NEWRULE of a dump says; it points into itself. False: it is no such, or of no family of ours. */
bool netrule_from_message(const NetlinkMessage *message, NetRule *ret);

/*
 * Makes the rules those of @now: what @before said, or the kernel has had from the start, and @now doesn't
 * say goes, what others have made stays. The kernel's of a family of which @now says none are left
 * alone. 0 or -errno with @fault filled in.
 */
int netrule_set(Rtnetlink *rtnetlink, const AgentRouting *before, const AgentRouting *now,
                Fault *fault);
