/* What a guest is told of names: options first, then its networks, then the host. */
#include "base/cleanup.h"
#include "test/unit.h"
#include "uvmd/json.h"
#include "uvmd/jsonfile.h"
#include "uvmd/net/resolver.h"
#include "uvmd/strv.h"

static void expect(char *const *array, const char *expected)
{
        char text[256] = "";

        for (; array && *array; array++)
                strcat(strcat(text, *array), " ");
        unit_assert_string(text, expected);
}

static void files(void)
{
        static const char text[] = "# a comment\n"
                                   "; another\n"
                                   "\n"
                                   "nameserver 192.0.2.1 behind\n"
                                   "nameserver\t2001:db8::1\r\n"
                                   "nameserver 127.0.0.53\n"
                                   "nameserver ::1\n"
                                   "nameserver fe80::1%eth0\n"
                                   "nameserver 0.0.0.0\n"
                                   "nameserver example\n"
                                   "domain old.example\n"
                                   "search a.example b.example\n"
                                   "options ndots:2\n"
                                   "  options edns0 \x01\n"
                                   "sortlist 10.0.0.0\n"
                                   "nameserver 192.0.2.9";
        _cleanup_(resolver_done) Resolver resolver = {};

        unit_assert_int(resolver_parse(&resolver, text, sizeof(text) - 1), 0);
        expect(resolver.nameservers, "192.0.2.1 2001:db8::1 192.0.2.9 ");
        expect(resolver.search, "a.example b.example ");
        expect(resolver.options, "ndots:2 edns0 ");
        unit_assert_int(resolver.n_loopback, 4);
}

static void many(void)
{
        _cleanup_(resolver_done) Resolver resolver = {};
        char text[4096] = "";

        for (int i = 0; i < 100; i++)
                sprintf(text + strlen(text), "nameserver 192.0.2.%d\n", i + 1);
        unit_assert_int(resolver_parse(&resolver, text, strlen(text)), 0);
        unit_assert_int(strv_length(resolver.nameservers), CONFIG_DNS_MAX);
}

static char dns[] = "192.0.2.53", line[] = "10.0.0.6 web", search[] = "given.example",
            host[] = "db:10.0.0.5";

static void options_come_first(void)
{
        static const char result[] = "{\"dns\": {\"nameservers\": [\"10.0.0.1\"], \"search\": "
                                     "[\"net.example\"], \"options\": [\"ndots:3\"]}}";
        char *given[] = {dns, NULL}, *domains[] = {search, NULL}, *hosts[] = {host, NULL};
        char *names[] = {line, NULL};
        SandboxConfig none = {}, some = {.dns = given, .dns_search = domains, .hosts = hosts};
        json_object *results[] = {NULL, NULL};
        AgentResolver message;

        unit_assert_int(jsonfile_parse(result, sizeof(result) - 1, &results[1]), 0);
        unit_assert_int(resolver_make(&message, &none, results, 2, NULL), 0);
        unit_assert_int(message.nameservers.n, 1);
        unit_assert_string(message.nameservers.items[0], "10.0.0.1");
        unit_assert_string(message.search.items[0], "net.example");
        unit_assert_string(message.options.items[0], "ndots:3");
        unit_assert_int(message.hosts.n, 0);
        agent_resolver_done(&message);

        unit_assert_int(resolver_make(&message, &some, results, 2, names), 0);
        unit_assert_int(message.nameservers.n, 1);
        unit_assert_string(message.nameservers.items[0], "192.0.2.53");
        unit_assert_int(message.search.n, 1);
        unit_assert_string(message.search.items[0], "given.example");
        unit_assert_string(message.options.items[0], "ndots:3");
        unit_assert_int(message.hosts.n, 2);
        unit_assert_string(message.hosts.items[0], "10.0.0.5 db");
        unit_assert_string(message.hosts.items[1], "10.0.0.6 web");
        agent_resolver_done(&message);
        json_object_put(results[1]);
}

static void no_network_no_names(void)
{
        SandboxConfig none = {};
        AgentResolver message;

        unit_assert_int(resolver_make(&message, &none, NULL, 0, NULL), 0);
        unit_assert_int(message.nameservers.n + message.search.n + message.hosts.n, 0);
        agent_resolver_done(&message);
}

UNIT_MAIN(UNIT_TEST(files), UNIT_TEST(many), UNIT_TEST(options_come_first),
          UNIT_TEST(no_network_no_names))
