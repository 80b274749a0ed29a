/* Held calls; see hold.h. */
#include <errno.h>
#include <stdlib.h>

#include "uvmd/bus/hold.h"
#include "uvmd/errors.h"

typedef struct HeldCall {
        List link;
        sd_bus_message *message;
} HeldCall;

void bus_hold_call(List *calls, sd_bus_message *call)
{
        HeldCall *held;

        if (!call)
                return;
        held = calloc(1, sizeof(*held));
        if (!held) {
                error_reply(call, -ENOMEM, NULL);
                return;
        }
        held->message = sd_bus_message_ref(call);
        list_append(calls, &held->link);
}

static void held_free(HeldCall *held)
{
        list_remove(&held->link);
        sd_bus_message_unref(held->message);
        free(held);
}

void bus_answer_all(List *calls, int r, const sd_bus_error *error)
{
        list_for_each (item, calls) {
                HeldCall *held = LIST_ENTRY(item, HeldCall, link);

                if (r < 0)
                        error_reply(held->message, r, error);
                else
                        sd_bus_reply_method_return(held->message, NULL);
                held_free(held);
        }
}

void bus_answer_all_i32(List *calls, int32_t value)
{
        list_for_each (item, calls) {
                HeldCall *held = LIST_ENTRY(item, HeldCall, link);

                sd_bus_reply_method_return(held->message, "i", value);
                held_free(held);
        }
}

void bus_move_calls(List *to, List *from)
{
        list_for_each (item, from) {
                list_remove(item);
                list_append(to, item);
        }
}
