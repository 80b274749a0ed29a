/* What the files that make up a sandbox's network tell each other: network.c, network_look.c,
 * attachment.c, nic.c, network_record.c. */
#pragma once

#include "uvmd/manager.h"
#include "uvmd/net/network.h"
#include "uvmd/net/nic.h"

#define for_each_nic(nic, network)                          \
        list_for_each (nic_item_, (List *)&(network)->nics) \
                for (Nic *nic = LIST_ENTRY(nic_item_, Nic, link); nic; nic = NULL)

#define for_each_attachment(attachment, network)                                    \
        list_for_each (attachment_item_, (List *)&(network)->attachments)           \
                for (NetworkAttachment *attachment =                                \
                             LIST_ENTRY(attachment_item_, NetworkAttachment, link); \
                     attachment; attachment = NULL)

/* The setter of the state machine. */
void network_set_state(Sandbox *sandbox, NetworkState state);

/* The next step of the way back: goes on until no kind and no worker is at work any more. */
void network_finish(Sandbox *sandbox);

/* Nothing can be known of the namespace: logs it, and ends a start. */
void network_fail(Sandbox *sandbox, int r, const sd_bus_error *error);

/* Has a worker look at the namespace, now or as soon as it can. */
void network_look(Sandbox *sandbox);

/* An interface was taken away: what a look that is under way tells isn't believed. */
void network_look_anew(Sandbox *sandbox);

/* A device has another state. */
void network_on_nic(const Nic *nic);

/* Nothing of a device is in the guest any more: it is freed when nobody walks the list. */
void network_on_nic_gone(Nic *nic);

/* The device @name can't be had: a start that waits for it fails, and so does who attached it. */
void network_on_failure(Sandbox *sandbox, const char *name, int r, const sd_bus_error *error);

/* What a look has found; what is left out is logged once. */
void network_take_routing(Sandbox *sandbox, NetReport *report);
void network_take_left(Sandbox *sandbox, NetReport *report);
const NetLeft *network_find_left(const Sandbox *sandbox, const char *name);

/* The guest has a device that it hadn't: routes over it come next. */
void network_on_configured(Sandbox *sandbox);

/* Tells the guest, if it is time. */
void network_route(Sandbox *sandbox);

/* The guest has gone. */
void network_forget_routing(Network *network);

/* The guest hears of its name servers and of others by name, if that is not what it knows. 0 or -errno. */
int network_send_resolver(Sandbox *sandbox);

/* What an answer means for the boot and for who waits; the last step of each handler. */
void network_pass_on(Sandbox *sandbox);

/* The same after a kind's answer: maybe the last one of the way back. */
void network_on_attachment(Sandbox *sandbox);

/* NULL: it has no limits. The second makes what is missing: 0, -EMFILE or -ENOMEM. */
const NetworkThrottle *network_find_throttle(const Sandbox *sandbox, const char *name);
int network_make_throttle(NetworkThrottle **ret, Sandbox *sandbox, const char *name);

#define NETWORK_MAC_SIZE 18 /* of the text, with its NUL */
void network_format_mac(const uint8_t mac[AGENT_MAC_SIZE], char ret[NETWORK_MAC_SIZE]);

/* Lines of hosts(5) for the sandbox and the others in its networks, appended. 0 or -ENOMEM. */
int network_names_add(const Sandbox *sandbox, char ***lines);

/* Somebody is in a network, or isn't any more: guests that run hear of it soon. */
void network_names_changed(Manager *manager);

/* By the interface's name; NULL: there is none. */
Nic *network_find_nic(const Sandbox *sandbox, const char *name);
NetworkAttachment *network_find_attachment(const Sandbox *sandbox, const char *name);

/* ------------------------------------------------------------------ attachments, attachment.c */

/* With an interface's name that is free, where @config has none. @config is consumed on success. */
int attachment_new(NetworkAttachment **ret, Sandbox *sandbox, NetworkConfig *config,
                   sd_bus_error *error);
NetworkAttachment *attachment_free(NetworkAttachment *attachment);
void attachment_set_state(NetworkAttachment *attachment, AttachmentState state);

/* Takes the next step towards its goal, if one is due. The attachment may be freed. */
void attachment_continue(NetworkAttachment *attachment);

/* Answers who waits, by the failure if there is one. */
void attachment_answer(NetworkAttachment *attachment);

/* The namespace is there, the guest doesn't boot yet: all begin. */
void attachments_set_up(Sandbox *sandbox);
bool attachments_are_moving(const Sandbox *sandbox);

/* The guest has gone: all are taken back; true: one is at work. */
bool attachments_take_down(Sandbox *sandbox);
