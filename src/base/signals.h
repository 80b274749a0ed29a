/* Signals by name. */
#pragma once

/* "TERM", "SIGTERM", "15", "RTMIN+3" (any case) to its number, or -EINVAL. */
int signal_parse(const char *text);
