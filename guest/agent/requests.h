/* The host's requests: each is decoded here, handed to its object, and answered exactly once. */
#pragma once

#include "agent/guest.h"

/* Link.request: @frame is borrowed. */
void requests_handle(Link *link, const Frame *frame);
