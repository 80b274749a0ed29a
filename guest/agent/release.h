/* Unmounting of shares that nobody uses any more, by a worker. */
#pragma once

#include "agent/guest.h"

/* Takes @names, from shares_give_back(); none is fine. Who wants a share waits (requests.h). */
void release_start(Guest *guest, CodecStrings *names);

/* In a worker: unmounts them all. 0 or the first -errno. */
int release_names(const char *state, const CodecStrings *names);
