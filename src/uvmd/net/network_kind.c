/* Which kind of network makes interfaces how; see network.h. */
#include "uvmd/net/host_interface.h"
#include "uvmd/net/kind_worker.h"
#include "uvmd/net/network.h"

const NetworkKind *network_kind_find(NetworkSpecKind kind)
{
        static const NetworkKind *const kinds[NETWORK_SPEC_KIND_MAX_] = {
                [NETWORK_SPEC_HOST] = &network_kind_host,
                [NETWORK_SPEC_NAMED] = &network_kind_worker,
                [NETWORK_SPEC_CNI] = &network_kind_worker,
                [NETWORK_SPEC_OVS] = &network_kind_worker,
        };

        return kinds[kind];
}
