/*
 * What of a network outlives uvmd: what is attached, which devices a guest has in which slots, limits.
 * All else is found anew by looking at the namespace; see network.h.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "uvmd/jsonfile.h"
#include "uvmd/net/netns.h"
#include "uvmd/net/network.h"
#include "uvmd/net/network_guest.h"
#include "uvmd/sandbox.h"
#include "uvmd/strv.h"
#include "uvmd/throttle.h"

/* A device as its record has it. */
typedef struct NicRecord {
        uint32_t ifindex, slot;
        char *interface, *mac;
} NicRecord;

#define NIC(key_, type_, member_, ...)                                                  \
        {                                                                               \
                .key = (key_), .type = (type_), .offset = offsetof(NicRecord, member_), \
                __VA_ARGS__                                                             \
        }

static const Option nic_options[] = {
        NIC("Ifindex", OPTION_U32, ifindex, .max = INT32_MAX),
        NIC("Slot", OPTION_U32, slot, .max = 255),
        NIC("Interface", OPTION_STRING, interface, .is_valid = agent_interface_name_is_valid),
        NIC("MACAddress", OPTION_STRING, mac, .is_valid = network_mac_is_valid),
};

static void nic_record_done(NicRecord *record)
{
        options_done(nic_options, ELEMENTSOF(nic_options), record);
}

void network_format_mac(const uint8_t mac[AGENT_MAC_SIZE], char ret[NETWORK_MAC_SIZE])
{
        snprintf(ret, NETWORK_MAC_SIZE, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2],
                 mac[3], mac[4], mac[5]);
}

/* ------------------------------------------------------------------ writing */

static json_object *attachment_to_json(const NetworkAttachment *attachment)
{
        json_object *json = json_object_new_object();

        json_object_object_add(
                json, "State",
                json_object_new_string(attachment_state_to_string(attachment->state)));
        json_object_object_add(json, "Goal",
                               json_object_new_string(attachment_goal_to_string(attachment->goal)));
        json_object_object_add(
                json, "Config",
                options_to_json(network_options, network_options_n, &attachment->config));
        if (attachment->result)
                json_object_object_add(json, "Result", json_object_get(attachment->result));
        return json;
}

static json_object *nic_to_json(const Nic *nic)
{
        char mac[NETWORK_MAC_SIZE];
        NicRecord record = {
                .ifindex = nic->ifindex,
                .slot = nic->slot,
                .interface = nic->network.name,
                .mac = mac,
        };

        network_format_mac(nic->network.mac, mac);
        return options_to_json(nic_options, ELEMENTSOF(nic_options), &record);
}

static json_object *throttle_to_json(const NetworkThrottle *throttle)
{
        json_object *json = json_object_new_object();

        json_object_object_add(json, "Interface", json_object_new_string(throttle->name));
        json_object_object_add(
                json, "Transmit",
                options_to_json(throttle_options, throttle_options_n, &throttle->transmit));
        json_object_object_add(
                json, "Receive",
                options_to_json(throttle_options, throttle_options_n, &throttle->receive));
        return json;
}

json_object *network_to_json(const Sandbox *sandbox)
{
        const Network *network = &sandbox->network;
        json_object *json = json_object_new_object(), *attachments = json_object_new_array();
        json_object *nics = json_object_new_array(), *throttles = json_object_new_array();

        json_object_object_add(json, "Given", json_object_new_boolean(network->given));
        json_object_object_add(json, "Held",
                               json_object_new_boolean(network->state != NETWORK_ABSENT));
        for_each_attachment (attachment, network)
                json_object_array_add(attachments, attachment_to_json(attachment));
        for_each_nic (nic, network)
                if (nic_is_plugged(nic))
                        json_object_array_add(nics, nic_to_json(nic));
        list_for_each (item, (List *)&network->throttles)
                json_object_array_add(throttles,
                                      throttle_to_json(LIST_ENTRY(item, NetworkThrottle, link)));
        json_object_object_add(json, "Attachments", attachments);
        json_object_object_add(json, "Devices", nics);
        json_object_object_add(json, "Throttles", throttles);
        return json;
}

/* ------------------------------------------------------------------ reading */

/* What its kind was doing when uvmd was killed it is asked to take back: it may be half there. Whoever
 * waited for a new one has got no answer. */
static int attachment_from_json(Sandbox *sandbox, json_object *json)
{
        _cleanup_(network_config_done) NetworkConfig config = {};
        const char *state = jsonfile_get_string(json, "State"),
                   *goal = jsonfile_get_string(json, "Goal");
        int state_number = state ? attachment_state_from_string(state) : -EBADMSG;
        int goal_number = goal ? attachment_goal_from_string(goal) : -EBADMSG;
        json_object *options, *result;
        NetworkAttachment *attachment;
        int r;

        if (state_number < 0 || goal_number < 0 ||
            !json_object_object_get_ex(json, "Config", &options))
                return -EBADMSG;
        r = options_from_json(network_options, network_options_n, &config, options);
        if (r >= 0)
                r = network_config_check(&config, NULL) < 0 || !config.interface ? -EBADMSG : 0;
        if (r >= 0)
                r = attachment_new(&attachment, sandbox, &config, NULL);
        if (r < 0)
                return r == -ENOMEM ? r : -EBADMSG;
        attachment->state = state_number == ATTACHMENT_ABSENT ? ATTACHMENT_ABSENT
                                                              : ATTACHMENT_ATTACHED;
        attachment->goal = goal_number == ATTACHMENT_KEPT ? ATTACHMENT_KEPT : ATTACHMENT_GONE;
        if (json_object_object_get_ex(json, "Result", &result))
                attachment->result = json_object_get(result);
        return 0;
}

static int nic_from_json(Sandbox *sandbox, json_object *json)
{
        _cleanup_(nic_record_done) NicRecord record = {};
        int r = options_from_json(nic_options, ELEMENTSOF(nic_options), &record, json);
        Nic *nic;

        if (r < 0)
                return r;
        if (!record.interface || !record.mac || record.ifindex == 0)
                return -EBADMSG;
        r = nic_new_plugged(&nic, sandbox, record.slot);
        if (r < 0)
                return r;
        nic->ifindex = record.ifindex;
        nic->network.name = TAKE_PTR(record.interface);
        return network_mac_parse(record.mac, nic->network.mac) < 0 ? -EBADMSG : 0;
}

static int throttle_from_json(Sandbox *sandbox, json_object *json)
{
        const char *name = jsonfile_get_string(json, "Interface");
        NetworkThrottle *throttle;
        json_object *transmit, *receive;
        int r;

        if (!name || !agent_interface_name_is_valid(name) ||
            !json_object_object_get_ex(json, "Transmit", &transmit) ||
            !json_object_object_get_ex(json, "Receive", &receive))
                return -EBADMSG;
        r = network_make_throttle(&throttle, sandbox, name);
        if (r >= 0)
                r = options_from_json(throttle_options, throttle_options_n, &throttle->transmit,
                                      transmit);
        if (r >= 0)
                r = options_from_json(throttle_options, throttle_options_n, &throttle->receive,
                                      receive);
        return r;
}

int network_from_json(Sandbox *sandbox, json_object *json)
{
        Network *network = &sandbox->network;
        json_object *item;
        int r = 0;

        network->given = jsonfile_get_bool(json, "Given");
        for (size_t i = 0; r >= 0 && (item = jsonfile_get_item(json, "Attachments", i)); i++)
                r = attachment_from_json(sandbox, item);
        for (size_t i = 0; r >= 0 && (item = jsonfile_get_item(json, "Throttles", i)); i++)
                r = throttle_from_json(sandbox, item);
        if (!jsonfile_get_bool(json, "Held"))
                return r;
        for (size_t i = 0; r >= 0 && (item = jsonfile_get_item(json, "Devices", i)); i++)
                r = nic_from_json(sandbox, item);
        /* Without it the look that follows says so, and the end takes back what there is. */
        netns_open(sandbox->manager->paths.run_dir, sandbox->id, &network->netns);
        network->state = NETWORK_JOINED;
        return r;
}
