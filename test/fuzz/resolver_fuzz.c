/* resolv.conf(5) texts: whatever is in one, only addresses and words come out. */
#include <stdlib.h>

#include "test/fuzz/fuzz.h"
#include "uvmd/net/network_spec.h"
#include "uvmd/net/resolver.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        Resolver resolver = {};

        if (resolver_parse(&resolver, (const char *)data, size) < 0)
                return 0;
        for (char **at = resolver.nameservers; at && *at; at++)
                if (!network_address_is_valid(*at))
                        abort();
        for (char **at = resolver.search; at && *at; at++)
                if (!network_word_is_valid(*at))
                        abort();
        for (char **at = resolver.options; at && *at; at++)
                if (!network_word_is_valid(*at))
                        abort();
        resolver_done(&resolver);
        return 0;
}
