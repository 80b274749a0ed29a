/* Which kind of network makes interfaces how; see network.h. */
#include "uvmd/net/network.h"

const NetworkKind *network_kind_find(NetworkSpecKind kind)
{
        static const NetworkKind *const kinds[NETWORK_SPEC_KIND_MAX_] = {
                [NETWORK_SPEC_NAMED] = NULL,
        };

        return kinds[kind];
}
