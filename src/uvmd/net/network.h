/*
 * The network of a sandbox: a namespace on the host, what was attached to it, and the guest's network
 * devices, one for each interface that is found there (nic.h).
 *
 *      absent → making → attaching → joining → joined → detaching → releasing → absent
 *
 * Making holds a namespace (netns.h), attaching has each attachment's kind make its interface there,
 * joining is the first look at what is there, and from then on every change in the namespace is
 * looked at (monitor.h). The way back begins when the guest has gone. A sandbox whose network is
 * "none" and to which nothing is attached stays absent.
 *
 * One that is joined knows at any time what to do from the namespace alone: what is found there and
 * has no device gets one, what has a device and isn't there loses it. So interfaces that
 * appear or go later, whoever makes them, are plugged and unplugged by themselves.
 */
#pragma once

#include <json-c/json.h>
#include <systemd/sd-bus.h>

#include "base/enum.h"
#include "base/list.h"
#include "proto/throttle.h"
#include "uvmd/net/network_config.h"
#include "uvmd/net/report.h"
#include "uvmd/worker.h"

#define NETWORK_ATTACHMENTS_MAX 16

typedef struct Monitor Monitor;
typedef struct NetworkAttachment NetworkAttachment;
typedef struct Sandbox Sandbox;

typedef enum NetworkState {
        NETWORK_ABSENT,
        NETWORK_MAKING,    /* a worker makes the namespace, or holds the given one */
        NETWORK_ATTACHING, /* the kinds are at work, before the guest boots */
        NETWORK_JOINING,   /* a worker looks for the first time */
        NETWORK_JOINED,
        NETWORK_DETACHING, /* the guest has gone; the kinds take back what they made */
        NETWORK_RELEASING, /* a worker takes our filters away in a namespace that stays */
        NETWORK_STATE_MAX_,
} NetworkState;
ENUM_DECLARE(network_state, NetworkState);

/* Whether a worker looks, or what it told is being taken in. */
typedef enum NetworkLook {
        NETWORK_LOOK_NONE,
        NETWORK_LOOK_BUSY,
        NETWORK_LOOK_AGAIN, /* … and something has changed since it began */
        NETWORK_LOOK_STALE, /* … and what it tells may be there no more, by our own doing */
} NetworkLook;

/* What belongs to no device alone; network_routing.c. */
typedef struct NetworkRouting {
        enum {
                ROUTING_SETTLED,
                ROUTING_DUE,    /* the guest is to be told as soon as it has all devices */
                ROUTING_ASKING, /* it was told */
                ROUTING_AGAIN,  /* … and something has changed since */
        } state;
        bool told;         /* the guest has heard of it before, from whichever uvmd */
        bool moved;        /* devices are to be told again once this is settled */
        AgentRouting last; /* as it was found */
} NetworkRouting;

/* Embedded in Sandbox. */
typedef struct Network {
        NetworkState state;
        bool given; /* the namespace is a caller's: held until the sandbox is removed */
        int netns;  /* while it is not absent, but for making */
        List nics;  /* of Nic */
        List attachments;
        List throttles; /* of NetworkThrottle: by name, whether such a device is there or not */
        Worker *worker; /* one at a time */
        Monitor *monitor;
        NetworkLook look;
        bool named;     /* the guest was told of its name servers */
        uint64_t names; /* what the guest was told of names, hashed; 0: nothing */
        NetworkRouting routing;
        NetLeft *left; /* interfaces that the guest doesn't get */
        uint32_t n_left;
        sd_event_source *ending, *retry;
} Network;

typedef struct NetworkThrottle {
        List link;
        char name[16];
        ThrottleLimits transmit, receive;
} NetworkThrottle;

/* ------------------------------------------------------------------ attachments */

typedef enum AttachmentState {
        ATTACHMENT_ABSENT,    /* nothing of it is in the namespace */
        ATTACHMENT_ATTACHING, /* its kind is at work */
        ATTACHMENT_ATTACHED,  /* its interface is there */
        ATTACHMENT_DETACHING, /* its kind is at work */
        ATTACHMENT_STATE_MAX_,
} AttachmentState;
ENUM_DECLARE(attachment_state, AttachmentState);

typedef enum AttachmentGoal {
        ATTACHMENT_NEW,  /* to be kept once it is there */
        ATTACHMENT_KEPT, /* part of the sandbox */
        ATTACHMENT_GONE, /* to be forgotten */
        ATTACHMENT_GOAL_MAX_,
} AttachmentGoal;
ENUM_DECLARE(attachment_goal, AttachmentGoal);

/*
 * How interfaces of one kind of network come into a namespace and go. Both begin their work, which must
 * not block, and return 0 or -errno with @error; when it is done, also with failures, they call
 * network_on_attached() or network_on_detached(). Attaching leaves nothing behind when it fails.
 * Detaching takes away what is there, whole or half made, and succeeds where nothing is: it is
 * called again after a restart of uvmd, with an attachment that has only its configuration.
 */
typedef struct NetworkKind {
        int (*attach)(NetworkAttachment *attachment, sd_bus_error *error);
        int (*detach)(NetworkAttachment *attachment, sd_bus_error *error);
} NetworkKind;

/* One network of a sandbox: the options of CreateSandbox and of each AttachNetwork. */
struct NetworkAttachment {
        List link;
        Sandbox *sandbox;
        NetworkConfig config; /* with an interface's name, always */
        const NetworkKind *kind;
        AttachmentState state;
        AttachmentGoal goal;
        Worker *worker;       /* the kind's; freed with the attachment */
        json_object *result;  /* the kind's: what it wants to know again; recorded. NULL: nothing */
        sd_bus_message *call; /* AttachNetwork or DetachNetwork, waiting */
        sd_event_source *limit; /* of the call, once it waits for the guest */
        int failure;            /* why a new one goes: 0 or -errno, with @error */
        sd_bus_error error;
};

/* The kind that makes interfaces for such a network, or NULL: there is none, it needs none. */
const NetworkKind *network_kind_find(NetworkSpecKind kind);

/* The answers of a kind's work. */
void network_on_attached(NetworkAttachment *attachment, int r, const sd_bus_error *error);
void network_on_detached(NetworkAttachment *attachment, int r, const sd_bus_error *error);

/* ------------------------------------------------------------------ for the sandbox */

void network_init(Network *network);
void network_done(Network *network);

/* Whether the sandbox is to have one when it starts. */
bool network_is_wanted(const Sandbox *sandbox);

/* The namespace's path for people and tools; free() it. NULL: out of memory. */
char *network_path(const Sandbox *sandbox);

/* For CreateSandbox, once the sandbox is there: the first attachment from its options. 0 or -errno with
 * @error. */
int network_configure(Sandbox *sandbox, sd_bus_error *error);

/* Has a worker hold the caller's namespace, then @done answers @call. When that fails the sandbox is
 * removed and @call answered. 0 or -errno. */
typedef void (*NetworkHeld)(Sandbox *sandbox, sd_bus_message *call);
int network_hold_given(Sandbox *sandbox, sd_bus_message *call, NetworkHeld done);

/* At the start of the sandbox: on its way. 0 or -errno with @error. */
int network_set_up(Sandbox *sandbox, sd_bus_error *error);

/* The guest's monitor is there, the guest boots, its agent is there: devices go on. */
void network_continue(Sandbox *sandbox);

/* Whether the guest has all that is there, so that containers may start. */
bool network_is_ready(const Sandbox *sandbox);

/* How many devices there will be isn't known yet: LAUNCH has to wait. */
bool network_is_counting(const Sandbox *sandbox);

/* An uvmd that ended has left a start in the middle, of which a part may be nowhere. */
bool network_was_interrupted(const Sandbox *sandbox);

/* Slots of the board that devices have or are to have; how many to plan for at a start. */
unsigned network_count_slots(const Sandbox *sandbox);
unsigned network_plan_slots(const Sandbox *sandbox);

/* The guest has gone: the way back. network_is_ending() until sandbox_on_network_gone(). */
void network_on_guest_gone(Sandbox *sandbox);
bool network_is_ending(const Sandbox *sandbox);

/* Whether it has a namespace that is held; the sandbox is removed: it is let go. */
bool network_has_namespace(const Sandbox *sandbox);
void network_forget(Sandbox *sandbox);

/* A guest goes on under a new uvmd: what was half done is found out and put right. */
void network_adopt(Sandbox *sandbox);

/* How it is written to a record and read. NULL: nothing to record. 0, -EBADMSG or -ENOMEM. */
json_object *network_to_json(const Sandbox *sandbox);
int network_from_json(Sandbox *sandbox, json_object *json);

/* ------------------------------------------------------------------ for the bus */

/* @config is consumed on success; @call is answered with the interface's name when the guest has it
 * (or at once where it doesn't run). 0 or -errno with @error. */
int network_attach(Sandbox *sandbox, NetworkConfig *config, sd_bus_message *call,
                   sd_bus_error *error);
int network_detach(Sandbox *sandbox, const char *name, sd_bus_message *call, sd_bus_error *error);

/* Limits one direction of a device, now and whenever one of that name is there. */
int network_set_throttle(Sandbox *sandbox, const char *name, const char *direction,
                         const ThrottleLimits *limits, sd_bus_message *call, sd_bus_error *error);
