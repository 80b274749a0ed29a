/* Ingress hooks and their filters; see redirect.h. */
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/tc_act/tc_mirred.h>
#include <netlink/route/act/mirred.h>
#include <netlink/route/action.h>
#include <netlink/route/classifier.h>
#include <netlink/route/cls/matchall.h>
#include <netlink/route/cls/u32.h>
#include <netlink/route/qdisc.h>
#include <netlink/route/tc.h>
#include <string.h>

#include "uvmd/net/redirect.h"

DEFINE_CLEANUP(struct rtnl_cls *, rtnl_cls_put)
DEFINE_CLEANUP(struct rtnl_act *, rtnl_act_put)
DEFINE_CLEANUP(struct rtnl_qdisc *, rtnl_qdisc_put)

/* Ours are known by it, and go before what has none given. */
#define FILTER_PRIORITY 117

/* What takes every packet. Some kernels have only one of them. */
static const char *const filter_kinds[] = {"matchall", "u32"};

/* The incoming hook of "ingress" and of "clsact", whichever is there. */
#define HOOK TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS)

/* ------------------------------------------------------------------ the hook */

static struct rtnl_qdisc *hook_new(int ifindex)
{
        struct rtnl_qdisc *qdisc = rtnl_qdisc_alloc();

        if (!qdisc)
                return NULL;
        rtnl_tc_set_ifindex(TC_CAST(qdisc), ifindex);
        rtnl_tc_set_parent(TC_CAST(qdisc), TC_H_INGRESS);
        rtnl_tc_set_handle(TC_CAST(qdisc), TC_H_MAKE(TC_H_INGRESS, 0));
        if (rtnl_tc_set_kind(TC_CAST(qdisc), "ingress") < 0) {
                rtnl_qdisc_put(qdisc);
                return NULL;
        }
        return qdisc;
}

/* One that is there, of either kind, will do. */
static int hook_add(struct nl_sock *socket, int ifindex)
{
        _cleanup_(rtnl_qdisc_putp) struct rtnl_qdisc *qdisc = hook_new(ifindex);
        int r;

        if (!qdisc)
                return -ENOMEM;
        r = netlink_error(rtnl_qdisc_add(socket, qdisc, NLM_F_CREATE | NLM_F_EXCL));
        return r == -EEXIST || r == -EBUSY ? 0 : r;
}

static int hook_remove(struct nl_sock *socket, int ifindex)
{
        _cleanup_(rtnl_qdisc_putp) struct rtnl_qdisc *qdisc = hook_new(ifindex);
        int r;

        if (!qdisc)
                return -ENOMEM;
        r = netlink_error(rtnl_qdisc_delete(socket, qdisc));
        /* A "clsact" is not ours. */
        return r == -ENOENT || r == -EINVAL ? 0 : r;
}

/* ------------------------------------------------------------------ the filter */

static bool kind_is(struct rtnl_tc *tc, const char *kind)
{
        const char *own = rtnl_tc_get_kind(tc);

        return own && strcmp(own, kind) == 0;
}

static struct rtnl_cls *filter_new(int ifindex, const char *kind)
{
        struct rtnl_cls *filter = rtnl_cls_alloc();

        if (!filter)
                return NULL;
        rtnl_tc_set_ifindex(TC_CAST(filter), ifindex);
        rtnl_tc_set_parent(TC_CAST(filter), HOOK);
        rtnl_cls_set_prio(filter, FILTER_PRIORITY);
        rtnl_cls_set_protocol(filter, ETH_P_ALL);
        if (rtnl_tc_set_kind(TC_CAST(filter), kind) < 0) {
                rtnl_cls_put(filter);
                return NULL;
        }
        return filter;
}

/* u32 dumps tables as well: they have no action. Of the two libnl counts a reference for matchall. */
static struct rtnl_act *filter_get_action(struct rtnl_cls *filter)
{
        struct rtnl_act *action;

        if (!kind_is(TC_CAST(filter), "u32"))
                return rtnl_mall_get_first_action(filter);
        action = rtnl_u32_get_action(filter);
        if (action)
                rtnl_act_get(action);
        return action;
}

static int filter_target(struct rtnl_cls *filter)
{
        _cleanup_(rtnl_act_putp) struct rtnl_act *action = filter_get_action(filter);

        return action && kind_is(TC_CAST(action), "mirred") ? (int)rtnl_mirred_get_ifindex(action)
                                                            : 0;
}

static int action_new(int target, struct rtnl_act **ret)
{
        _cleanup_(rtnl_act_putp) struct rtnl_act *action = rtnl_act_alloc();
        int r;

        if (!action)
                return -ENOMEM;
        r = rtnl_tc_set_kind(TC_CAST(action), "mirred");
        if (r >= 0)
                r = rtnl_mirred_set_action(action, TCA_EGRESS_REDIR);
        if (r >= 0)
                r = rtnl_mirred_set_policy(action, TC_ACT_STOLEN);
        if (r >= 0)
                r = rtnl_mirred_set_ifindex(action, (uint32_t)target);
        if (r < 0)
                return netlink_error(r);
        *ret = TAKE_PTR(action);
        return 0;
}

/* Any 32 bits match a mask of none. */
static int filter_fill(struct rtnl_cls *filter, const char *kind, struct rtnl_act *action)
{
        int r;

        if (strcmp(kind, "u32") != 0)
                return netlink_error(rtnl_mall_append_action(filter, action));
        r = rtnl_u32_add_key_uint32(filter, 0, 0, 0, 0);
        if (r >= 0)
                r = rtnl_u32_set_cls_terminal(filter);
        if (r >= 0)
                r = rtnl_u32_add_action(filter, action);
        return netlink_error(r);
}

static int filter_add_kind(struct nl_sock *socket, int ifindex, const char *kind, int target)
{
        _cleanup_(rtnl_cls_putp) struct rtnl_cls *filter = filter_new(ifindex, kind);
        _cleanup_(rtnl_act_putp) struct rtnl_act *action = NULL;
        int r = filter ? action_new(target, &action) : -ENOMEM;

        if (r >= 0)
                r = filter_fill(filter, kind, action);
        return r < 0 ? r : netlink_error(rtnl_cls_add(socket, filter, NLM_F_CREATE | NLM_F_EXCL));
}

static int filter_add(struct nl_sock *socket, int ifindex, int target)
{
        int r = -ENOENT;

        for (size_t i = 0; r == -ENOENT && i < ELEMENTSOF(filter_kinds); i++)
                r = filter_add_kind(socket, ifindex, filter_kinds[i], target);
        return r;
}

/* Without a handle: all of that priority. */
static int filter_remove(struct nl_sock *socket, int ifindex, const char *kind)
{
        _cleanup_(rtnl_cls_putp) struct rtnl_cls *filter = filter_new(ifindex, kind);

        return filter ? netlink_error(rtnl_cls_delete(socket, filter, 0)) : -ENOMEM;
}

typedef struct Hook {
        const char *ours; /* of which kind; NULL: there is none */
        bool has_others;
        int target; /* of ours */
} Hook;

static const char *filter_find_kind(struct rtnl_cls *filter)
{
        for (size_t i = 0; i < ELEMENTSOF(filter_kinds); i++)
                if (rtnl_cls_get_prio(filter) == FILTER_PRIORITY &&
                    kind_is(TC_CAST(filter), filter_kinds[i]))
                        return filter_kinds[i];
        return NULL;
}

/* What stands on the hook; nothing where there is no hook. */
static int hook_look(struct nl_sock *socket, int ifindex, Hook *ret)
{
        _cleanup_(nl_cache_freep) struct nl_cache *filters = NULL;
        int r = netlink_error(rtnl_cls_alloc_cache(socket, ifindex, HOOK, &filters));

        *ret = (Hook){};
        if (r < 0)
                return r == -EINVAL || r == -ENOENT ? 0 : r;
        netlink_for_each (struct rtnl_cls, filter, filters) {
                const char *kind = filter_find_kind(filter);

                ret->ours = kind ?: ret->ours;
                ret->has_others = ret->has_others || !kind;
                if (kind && ret->target == 0)
                        ret->target = filter_target(filter);
        }
        return 0;
}

/* ------------------------------------------------------------------ the whole */

/* What leads elsewhere, to a tap that has gone, is taken away first. */
static int redirect_one(struct nl_sock *socket, int from, int to)
{
        Hook hook;
        int r = hook_look(socket, from, &hook);

        if (r >= 0 && hook.ours && hook.target == to)
                return 0;
        if (r >= 0 && hook.ours)
                r = filter_remove(socket, from, hook.ours);
        if (r >= 0)
                r = hook_add(socket, from);
        return r < 0 ? r : filter_add(socket, from, to);
}

int redirect_join(struct nl_sock *socket, int interface, int tap)
{
        int r = redirect_one(socket, tap, interface);

        return r < 0 ? r : redirect_one(socket, interface, tap);
}

int redirect_remove(struct nl_sock *socket, int interface)
{
        Hook hook;
        int r = hook_look(socket, interface, &hook);

        if (r < 0 || !hook.ours)
                return r;
        r = filter_remove(socket, interface, hook.ours);
        return r < 0 || hook.has_others ? r : hook_remove(socket, interface);
}

int redirect_target(struct nl_sock *socket, int interface)
{
        Hook hook;

        return hook_look(socket, interface, &hook) < 0 ? 0 : hook.target;
}
