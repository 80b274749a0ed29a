/* ListNetworks of org.uvm1.Manager; see network_list.h. Files are read by a worker, so the answer is late. */
#include <errno.h>

#include "base/list.h"
#include "uvmd/bus/bus.h"
#include "uvmd/bus/network_list.h"
#include "uvmd/errors.h"
#include "uvmd/json.h"
#include "uvmd/jsonfile.h"
#include "uvmd/net/network_worker.h"

typedef struct NetworkListing {
        List link; /* in the manager's */
        sd_bus_message *call;
        Worker *worker;
} NetworkListing;

static NetworkListing *listing_free(NetworkListing *listing)
{
        list_remove(&listing->link);
        worker_free(listing->worker);
        sd_bus_message_unref(listing->call);
        free(listing);
        return NULL;
}

void bus_network_lists_free(Manager *manager)
{
        list_for_each (item, &manager->network_listings)
                listing_free(LIST_ENTRY(item, NetworkListing, link));
}

static int append_strings(sd_bus_message *reply, const char *key, json_object *array)
{
        int r = sd_bus_message_open_container(reply, 'e', "sv");

        if (r >= 0)
                r = sd_bus_message_append(reply, "s", key);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'v', "as");
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "s");
        for (size_t i = 0; r >= 0 && i < json_object_array_length(array); i++)
                r = sd_bus_message_append(
                        reply, "s", json_object_get_string(json_object_array_get_idx(array, i)));
        for (unsigned depth = 0; r >= 0 && depth < 3; depth++)
                r = sd_bus_message_close_container(reply);
        return r;
}

/* Texts and lists of texts: what the worker writes. */
static int append_network(sd_bus_message *reply, json_object *network)
{
        int r = json_object_is_type(network, json_type_object) ? 0 : -EBADMSG;

        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "{sv}");
        if (r < 0)
                return r;
        json_object_object_foreach (network, key, value) {
                if (r >= 0 && json_object_is_type(value, json_type_string))
                        r = sd_bus_message_append(reply, "{sv}", key, "s",
                                                  json_object_get_string(value));
                else if (r >= 0 && json_object_is_type(value, json_type_array))
                        r = append_strings(reply, key, value);
        }
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int answer(sd_bus_message *call, json_object *networks)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int r = sd_bus_message_new_method_return(call, &reply);

        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "a{sv}");
        for (size_t i = 0; r >= 0 && i < json_object_array_length(networks); i++)
                r = append_network(reply, json_object_array_get_idx(networks, i));
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}

static void listing_done(void *userdata, int r, const sd_bus_error *error, const uint8_t *payload,
                         size_t size, IoMessage *message)
{
        NetworkListing *listing = userdata;
        _cleanup_(json_putp) json_object *networks = NULL;

        listing->worker = NULL;
        if (r >= 0)
                r = jsonfile_parse((const char *)payload, size, &networks);
        if (r >= 0 && !json_object_is_type(networks, json_type_array))
                r = -EBADMSG;
        if (r >= 0)
                r = answer(listing->call, networks);
        if (r < 0)
                error_reply(listing->call, r, error);
        listing_free(listing);
}

int bus_list_networks(BusCall *call, void *object, sd_bus_error *error)
{
        Manager *manager = object;
        NetworkListing *listing = calloc(1, sizeof(*listing));
        int r;

        if (!listing)
                return -ENOMEM;
        listing->call = sd_bus_message_ref(call->message);
        list_append(&manager->network_listings, &listing->link);
        r = network_list_start(&listing->worker, manager, listing_done, listing);
        if (r < 0)
                listing_free(listing);
        return r;
}
