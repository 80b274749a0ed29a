/* ListNetworks, CreateNetwork and RemoveNetwork of org.uvm1.Manager, and CheckNetwork of org.uvm1.Sandbox; see manager_networks.h. Files are read and
 * written by workers, so answers are late. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "uvmd/bus/bus.h"
#include "uvmd/bus/manager_networks.h"
#include "uvmd/errors.h"
#include "uvmd/json.h"
#include "uvmd/jsonfile.h"
#include "uvmd/net/network_guest.h"
#include "uvmd/net/network_worker.h"
#include "uvmd/sandbox.h"

typedef struct NetworkCall NetworkCall;

struct NetworkCall {
        List link; /* in the manager's */
        Manager *manager;
        sd_bus_message *message;
        char *name; /* of the network; NULL: all of them */
        Worker *worker;
        int (*answer)(const NetworkCall *call, const uint8_t *payload, size_t size);
};

static NetworkCall *network_call_free(NetworkCall *call)
{
        list_remove(&call->link);
        worker_free(call->worker);
        sd_bus_message_unref(call->message);
        free(call->name);
        free(call);
        return NULL;
}

void bus_network_calls_free(Manager *manager)
{
        list_for_each (item, &manager->network_calls)
                network_call_free(LIST_ENTRY(item, NetworkCall, link));
}

static int network_call_new(NetworkCall **ret, const BusCall *from, const char *name,
                            int (*answer)(const NetworkCall *, const uint8_t *, size_t))
{
        NetworkCall *call = calloc(1, sizeof(*call));
        char *copy = name ? strdup(name) : NULL;

        if (!call || (name && !copy)) {
                free(call);
                free(copy);
                return -ENOMEM;
        }
        *call = (NetworkCall){
                .manager = from->manager,
                .message = sd_bus_message_ref(from->message),
                .name = copy,
                .answer = answer,
        };
        list_append(&from->manager->network_calls, &call->link);
        *ret = call;
        return 0;
}

static void network_call_done(void *userdata, int r, const sd_bus_error *error,
                              const uint8_t *payload, size_t size, IoMessage *message)
{
        NetworkCall *call = userdata;

        call->worker = NULL;
        if (r >= 0)
                r = call->answer(call, payload, size);
        if (r < 0)
                error_reply(call->message, r, error);
        network_call_free(call);
}

/* ------------------------------------------------------------------ lists */

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

/* The sandboxes that have a place in it, by name. */
static json_object *users_of(const Manager *manager, json_object *network)
{
        const char *name = jsonfile_get_string(network, "Name");
        json_object *users = json_object_new_array();
        Sandbox *sandbox, *next;

        HASH_ITER (hh, manager->sandboxes, sandbox, next)
                for_each_attachment (attachment, &sandbox->network)
                        if (name && strcmp(attachment->config.network, name) == 0)
                                json_object_array_add(users, json_object_new_string(sandbox->name));
        return users;
}

/* What the worker writes: texts, numbers, flags, and lists of texts. */
static int append_member(sd_bus_message *reply, const char *key, json_object *value)
{
        switch (json_object_get_type(value)) {
        case json_type_string:
                return sd_bus_message_append(reply, "{sv}", key, "s",
                                             json_object_get_string(value));
        case json_type_boolean:
                return sd_bus_message_append(reply, "{sv}", key, "b",
                                             json_object_get_boolean(value));
        case json_type_int:
                return sd_bus_message_append(reply, "{sv}", key, "u",
                                             (uint32_t)json_object_get_int64(value));
        case json_type_array:
                return append_strings(reply, key, value);
        case json_type_null:
        case json_type_double:
        case json_type_object:
                break;
        }
        return 0;
}

static int append_network(sd_bus_message *reply, json_object *network)
{
        int r = sd_bus_message_open_container(reply, 'a', "{sv}");

        json_object_object_foreach (network, key, value)
                if (r >= 0)
                        r = append_member(reply, key, value);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int append_networks(sd_bus_message *reply, const Manager *manager, json_object *networks)
{
        int r = sd_bus_message_open_container(reply, 'a', "a{sv}");

        for (size_t i = 0; r >= 0 && i < json_object_array_length(networks); i++) {
                json_object *network = json_object_array_get_idx(networks, i);

                if (!json_object_is_type(network, json_type_object))
                        return -EBADMSG;
                json_object_object_add(network, "Sandboxes", users_of(manager, network));
                r = append_network(reply, network);
        }
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int answer_list(const NetworkCall *call, const uint8_t *payload, size_t size)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_(json_putp) json_object *networks = NULL;
        int r = jsonfile_parse((const char *)payload, size, &networks);

        if (r >= 0 && !json_object_is_type(networks, json_type_array))
                r = -EBADMSG;
        if (r >= 0)
                r = sd_bus_message_new_method_return(call->message, &reply);
        if (r >= 0)
                r = append_networks(reply, call->manager, networks);
        return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}

int bus_list_networks(BusCall *call, void *object, sd_bus_error *error)
{
        NetworkCall *waiting;
        int r = network_call_new(&waiting, call, NULL, answer_list);

        if (r < 0)
                return r;
        r = network_list_start(&waiting->worker, call->manager, network_call_done, waiting);
        if (r < 0)
                network_call_free(waiting);
        return r;
}

/* ------------------------------------------------------------------ making and removing */

/* A network shapes what this host can reach. */
static int check_root(const BusCall *call, sd_bus_error *error)
{
        return call->uid == 0 ? 0
                              : error_set(error, -EACCES, SD_BUS_ERROR_ACCESS_DENIED,
                                          "Only root can make and remove networks of this host.");
}

static int answer_name(const NetworkCall *call, const uint8_t *payload, size_t size)
{
        return sd_bus_reply_method_return(call->message, "s", call->name);
}

static int answer_nothing(const NetworkCall *call, const uint8_t *payload, size_t size)
{
        return sd_bus_reply_method_return(call->message, NULL);
}

int bus_create_network(BusCall *call, void *object, sd_bus_error *error)
{
        _cleanup_(network_definition_done) NetworkDefinition definition = {};
        NetworkCall *waiting;
        const char *name;
        int r = check_root(call, error);

        if (r >= 0)
                r = sd_bus_message_read(call->message, "s", &name);
        if (r >= 0)
                r = options_read(call->message, network_definition_options,
                                 network_definition_options_n, &definition, error);
        if (r >= 0)
                r = network_definition_check(&definition, name, error);
        if (r >= 0)
                r = network_call_new(&waiting, call, name, answer_name);
        if (r < 0)
                return r;
        r = network_make_start(&waiting->worker, call->manager, name, &definition,
                               network_call_done, waiting);
        if (r < 0)
                network_call_free(waiting);
        return r;
}

/* One that runs has it, whatever @force says: plugins are to take back what they made there. */
static int check_use(const Manager *manager, const char *name, bool force, sd_bus_error *error)
{
        Sandbox *sandbox, *next;

        HASH_ITER (hh, manager->sandboxes, sandbox, next)
                for_each_attachment (attachment, &sandbox->network) {
                        bool is_there = attachment->state != ATTACHMENT_ABSENT;

                        if (strcmp(attachment->config.network, name) != 0 || (force && !is_there))
                                continue;
                        return error_set(error, -EBUSY, ERROR_NETWORK_IN_USE,
                                         is_there ? "The sandbox \"%s\", which runs, is in the "
                                                    "network \"%s\"; stop it or detach it first."
                                                  : "The sandbox \"%s\" is to be in the network "
                                                    "\"%s\"; remove it, or force the removal.",
                                         sandbox->name, name);
                }
        return 0;
}

int bus_remove_network(BusCall *call, void *object, sd_bus_error *error)
{
        NetworkCall *waiting;
        const char *name;
        int force, r = check_root(call, error);

        if (r >= 0)
                r = sd_bus_message_read(call->message, "sb", &name, &force);
        if (r >= 0)
                r = check_use(call->manager, name, force, error);
        if (r >= 0)
                r = network_call_new(&waiting, call, name, answer_nothing);
        if (r < 0)
                return r;
        r = network_unmake_start(&waiting->worker, call->manager, name, network_call_done, waiting);
        if (r < 0)
                network_call_free(waiting);
        return r;
}

/* ------------------------------------------------------------------ how one is */

int bus_check_network(BusCall *call, void *object, sd_bus_error *error)
{
        const NetworkAttachment *attachment;
        const Sandbox *sandbox = object;
        NetworkCall *waiting;
        NetworkSpec spec;
        const char *name;
        int r = sd_bus_message_read(call->message, "s", &name);

        if (r < 0)
                return r;
        attachment = network_find_attachment(sandbox, name);
        if (!attachment || network_spec_parse(&spec, attachment->config.network) < 0 ||
            spec.kind == NETWORK_SPEC_HOST)
                return error_set(error, -ENOENT, ERROR_NO_SUCH_NETWORK,
                                 "No network with plugins was attached to this sandbox as \"%s\".",
                                 name);
        if (attachment->state != ATTACHMENT_ATTACHED)
                return error_set(error, -EBUSY, ERROR_WRONG_STATE, "The network \"%s\" is %s.",
                                 name, attachment_state_to_string(attachment->state));
        r = network_call_new(&waiting, call, name, answer_nothing);
        if (r < 0)
                return r;
        r = network_check_start(&waiting->worker, call->manager, sandbox->id, name,
                                network_call_done, waiting);
        if (r < 0)
                network_call_free(waiting);
        return r;
}
