/* The rules of the machine; see netrule.h. */
#include <linux/fib_rules.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/error.h"

#include "agent/netrule.h"

static bool is_equal(const AgentRule *a, const AgentRule *b)
{
        NetlinkRequest one, other;

        netrule_put(a, RTM_NEWRULE, 0, &one);
        netrule_put(b, RTM_NEWRULE, 0, &other);
        return one.size == other.size && memcmp(one.data, other.data, one.size) == 0;
}

static bool is_in(const AgentRule *rule, const AgentRouting *routing)
{
        for (uint32_t i = 0; i < routing->n_rules; i++)
                if (is_equal(rule, &routing->rules[i]))
                        return true;
        return false;
}

static bool has_family(const AgentRouting *routing, uint32_t family)
{
        for (uint32_t i = 0; i < routing->n_rules; i++)
                if ((routing->rules[i].flags & AGENT_RULE_IPV6) == family)
                        return true;
        return false;
}

static bool is_there(const RtnetlinkDump *dump, const AgentRule *wanted)
{
        NetlinkReader reader = netlink_reader(dump->data, dump->size);
        NetlinkMessage message;
        NetRule rule;

        while (netlink_next(&reader, &message))
                if (netrule_from_message(&message, &rule) && is_equal(&rule.rule, wanted))
                        return true;
        return false;
}

static int add_rules(Rtnetlink *rtnetlink, const RtnetlinkDump *dump, const AgentRouting *now,
                     Fault *fault)
{
        for (uint32_t i = 0; i < now->n_rules; i++) {
                const AgentRule *rule = &now->rules[i];
                NetlinkRequest request;
                int r;

                if (is_there(dump, rule))
                        continue;
                netrule_put(rule, RTM_NEWRULE, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, &request);
                netlink_put_u8(&request, FRA_PROTOCOL, RTPROT_STATIC);
                r = rtnetlink_request(rtnetlink, &request);
                if (r < 0 && r != -EEXIST)
                        return rtnetlink_fault(rtnetlink, fault, r, "cannot add the rule %u",
                                               rule->priority);
        }
        return 0;
}

static int remove_rules(Rtnetlink *rtnetlink, const RtnetlinkDump *dump, const AgentRouting *before,
                        const AgentRouting *now)
{
        NetlinkReader reader = netlink_reader(dump->data, dump->size);
        NetlinkRequest request;
        NetlinkMessage message;
        NetRule rule;
        int r = 0;

        while (r == 0 && netlink_next(&reader, &message)) {
                if (!netrule_from_message(&message, &rule) || is_in(&rule.rule, now))
                        continue;
                if (rule.kernels ? !has_family(now, rule.rule.flags & AGENT_RULE_IPV6)
                                 : !is_in(&rule.rule, before))
                        continue;
                netrule_put(&rule.rule, RTM_DELRULE, NLM_F_ACK, &request);
                r = rtnetlink_request(rtnetlink, &request);
                r = r == -ENOENT ? 0 : r;
        }
        return r;
}

/* First what is new: in between nothing is without a rule that had one before. */
int netrule_set(Rtnetlink *rtnetlink, const AgentRouting *before, const AgentRouting *now,
                Fault *fault)
{
        _cleanup_(rtnetlink_dump_done) RtnetlinkDump dump = {};
        int r;

        if (before->n_rules == 0 && now->n_rules == 0)
                return 0;
        r = rtnetlink_dump(rtnetlink, RTM_GETRULE, AF_UNSPEC, &dump);
        if (r < 0)
                return rtnetlink_fault(rtnetlink, fault, r, "cannot read the rules");
        r = add_rules(rtnetlink, &dump, now, fault);
        if (r < 0)
                return r;
        r = remove_rules(rtnetlink, &dump, before, now);
        return r < 0 ? rtnetlink_fault(rtnetlink, fault, r, "cannot remove rules") : 0;
}
