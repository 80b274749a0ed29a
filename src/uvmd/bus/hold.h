/* Calls that are answered late: the messages wait on a list of the object that will know. */
#pragma once

#include <systemd/sd-bus.h>

#include "base/list.h"

/* Keeps a reference of @call. Without memory the call is answered with that. */
void bus_hold_call(List *calls, sd_bus_message *call);

/* Answers and forgets all: an empty return for 0, else the error. */
void bus_answer_all(List *calls, int r, const sd_bus_error *error);

/* The same with one int32 as the result. */
void bus_answer_all_i32(List *calls, int32_t value);

/* Moves all to the end of @to, an initialised list. */
void bus_move_calls(List *to, List *from);
