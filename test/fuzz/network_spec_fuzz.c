/* Texts about networks: what is taken as a port can be written again and means the same. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test/fuzz/fuzz.h"
#include "uvmd/net/network_spec.h"
#include "uvmd/net/port_spec.h"

static void check_port(const char *text)
{
        PortSpec spec, again;
        char copy[PORT_SPEC_TEXT_MAX];

        if (port_spec_parse(&spec, text) < 0)
                return;
        if (spec.n == 0 || spec.guest + spec.n - 1 > UINT16_MAX ||
            (spec.host && spec.host + spec.n - 1 > UINT16_MAX))
                abort();
        port_spec_format(&spec, copy);
        if (port_spec_parse(&again, copy) < 0 || memcmp(&spec, &again, sizeof(spec)) != 0)
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        char *text = strndup((const char *)data, size);
        char line[512];
        NetworkSpec spec;
        uint8_t mac[6];

        if (!text)
                return 0;
        check_port(text);
        if (network_spec_parse(&spec, text) >= 0 && strchr(spec.name, '/'))
                abort();
        if (network_host_to_line(text, line, sizeof(line)) >= 0 && strchr(line, '\n'))
                abort();
        network_mac_parse(text, mac);
        network_any_address_is_valid(text);
        network_word_is_valid(text);
        free(text);
        return 0;
}
