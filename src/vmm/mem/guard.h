/*
 * What happens when a thread of this process touches guest memory that was unplugged under it: only a
 * hostile guest can bring that about (mem/hot.h). The page becomes accessible, so that the thread goes on,
 * and the machine is told, which then ends. Faults elsewhere are what they always were.
 *
 * A signal handler finds its way by file-scope state alone: there is one guarded range in a process.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Guards a range. @event_fd, an eventfd, is written to after each such access. 0 or -errno. */
int guard_init(void *start, size_t size, int event_fd);
void guard_done(void);

/* Whether there was such an access since guard_init(). Any thread. */
bool guard_was_hit(void);
