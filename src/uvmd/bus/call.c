/*
 * From a message to a body; see call.h. A unique name of the bus belongs to one connection for ever,
 * so who it is is asked once and remembered for the last few callers.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "uvmd/bus/call.h"
#include "uvmd/errors.h"

#define CALLERS_MAX     32
#define CALLER_NAME_MAX 64

typedef struct BusCaller {
        char name[CALLER_NAME_MAX];
        uint32_t uid;
        pid_t pid;
} BusCaller;

/* A ring: the oldest is overwritten. */
struct BusCallers {
        BusCaller callers[CALLERS_MAX];
        unsigned next;
};

typedef struct PendingCall {
        BusCall call;
        BusAction action;
        BusFinder finder;
        BusMethod method;
} PendingCall;

static PendingCall *pending_free(PendingCall *pending)
{
        sd_bus_message_unref(pending->call.message);
        free(pending);
        return NULL;
}

static bool callers_find(const Manager *manager, const char *name, BusCall *call)
{
        const struct BusCallers *ring = manager->callers;

        for (unsigned i = 0; ring && i < CALLERS_MAX; i++) {
                if (strcmp(ring->callers[i].name, name) != 0)
                        continue;
                call->uid = ring->callers[i].uid;
                call->pid = ring->callers[i].pid;
                return true;
        }
        return false;
}

static void callers_add(Manager *manager, const char *name, const BusCall *call)
{
        struct BusCallers *ring = manager->callers;

        if (strlen(name) >= CALLER_NAME_MAX)
                return;
        if (!ring)
                ring = manager->callers = calloc(1, sizeof(*ring));
        if (!ring)
                return;
        strcpy(ring->callers[ring->next].name, name);
        ring->callers[ring->next].uid = call->uid;
        ring->callers[ring->next].pid = call->pid;
        ring->next = (ring->next + 1) % CALLERS_MAX;
}

void bus_callers_free(Manager *manager)
{
        free(manager->callers);
        manager->callers = NULL;
}

/*
 * May the caller do this? The bus's policy lets in root and the group uvm, and these may do all.
 * This is where polkit is asked one day; its answer comes late, as the caller's uid does.
 */
static int bus_authorize(const BusCall *call, BusAction action, sd_bus_error *error)
{
        return 0;
}

static void bus_call_run(PendingCall *pending)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        BusCall *call = &pending->call;
        void *object = pending->finder(call->manager, sd_bus_message_get_path(call->message));
        int r;

        manager_touch(call->manager);
        if (!object)
                r = sd_bus_error_setf(&error, SD_BUS_ERROR_UNKNOWN_OBJECT, "There is no %s.",
                                      sd_bus_message_get_path(call->message));
        else
                r = bus_authorize(call, pending->action, &error);
        if (r >= 0)
                r = pending->method(call, object, &error);
        if (r < 0) {
                log_debug("%s fails: %s", sd_bus_message_get_member(call->message),
                          error.message ?: strerror(-r));
                error_reply(call->message, r, &error);
        }
}

/* The a{sv} of GetConnectionCredentials; what is of no interest is skipped. 0, or -ENODATA: the bus
 * doesn't say who it is. */
static int bus_read_credentials(sd_bus_message *reply, BusCall *call)
{
        bool has_uid = false;
        const char *key;
        int r = sd_bus_message_enter_container(reply, 'a', "{sv}");

        while (r >= 0 && (r = sd_bus_message_enter_container(reply, 'e', "sv")) > 0) {
                uint32_t pid = 0;

                r = sd_bus_message_read(reply, "s", &key);
                if (r < 0)
                        return r;
                if (strcmp(key, "UnixUserID") == 0) {
                        r = sd_bus_message_read(reply, "v", "u", &call->uid);
                        has_uid = r >= 0;
                } else if (strcmp(key, "ProcessID") == 0) {
                        r = sd_bus_message_read(reply, "v", "u", &pid);
                        call->pid = (pid_t)pid;
                } else {
                        r = sd_bus_message_skip(reply, "v");
                }
                if (r >= 0)
                        r = sd_bus_message_exit_container(reply);
        }
        return r < 0 ? r : has_uid ? 0 : -ENODATA;
}

static int bus_on_credentials(sd_bus_message *reply, void *userdata, sd_bus_error *ret)
{
        PendingCall *pending = userdata;
        int r;

        if (sd_bus_message_is_method_error(reply, NULL))
                return 0; /* the caller has left */
        r = bus_read_credentials(reply, &pending->call);
        if (r < 0)
                return log_error_errno(r, "The bus's word on a caller makes no sense");
        callers_add(pending->call.manager, sd_bus_message_get_sender(pending->call.message),
                    &pending->call);
        bus_call_run(pending);
        return 0;
}

static void pending_destroy(void *userdata)
{
        pending_free(userdata);
}

static int bus_ask_credentials(PendingCall *pending, const char *sender)
{
        sd_bus_slot *slot;
        int r = sd_bus_call_method_async(pending->call.manager->bus, &slot, "org.freedesktop.DBus",
                                         "/org/freedesktop/DBus", "org.freedesktop.DBus",
                                         "GetConnectionCredentials", bus_on_credentials, pending,
                                         "s", sender);

        if (r < 0)
                return r;
        /* The slot owns it from here, and the bus the slot. */
        sd_bus_slot_set_destroy_callback(slot, pending_destroy);
        sd_bus_slot_set_floating(slot, true);
        sd_bus_slot_unref(slot);
        return 0;
}

int bus_call_dispatch(Manager *manager, sd_bus_message *message, BusAction action, BusFinder finder,
                      BusMethod method)
{
        const char *sender = sd_bus_message_get_sender(message);
        PendingCall *pending;
        int r = 0;

        if (!sender)
                return -EBADMSG;
        pending = calloc(1, sizeof(*pending));
        if (!pending)
                return -ENOMEM;
        *pending = (PendingCall){
                .call = {.manager = manager, .message = sd_bus_message_ref(message)},
                .action = action,
                .finder = finder,
                .method = method,
        };
        if (callers_find(manager, sender, &pending->call)) {
                bus_call_run(pending);
                pending_free(pending);
                return 1;
        }
        r = bus_ask_credentials(pending, sender);
        if (r < 0) {
                pending_free(pending);
                return r;
        }
        return 1;
}
