/* Names of Linux capabilities, and the sets that containers get. Bit n is capability n. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define CAPABILITIES_ALL ((UINT64_C(1) << 41) - 1) /* to CAP_CHECKPOINT_RESTORE, Linux 5.9 */

/* "CAP_NET_ADMIN", "net_admin": any case, the prefix may be left out. The number or -EINVAL. */
int capability_from_string(const char *name);

/*
 * Podman's rule: from @base, "ALL" in @drop removes all, "ALL" in @add adds all; then the named
 * ones are added and removed. Names must be legal. NULL lists are empty.
 */
uint64_t capability_set(uint64_t base, char *const *add, char *const *drop);
