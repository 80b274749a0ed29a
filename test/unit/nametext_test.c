/* What stands in resolv.conf and hosts. */
#include <stdlib.h>

#include "agent/nametext.h"
#include "base/cleanup.h"
#include "test/unit.h"

#define LOCAL "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"

#define STRINGS(...)                                              \
        {                                                         \
                .items = (char **)(const char *[]){__VA_ARGS__},  \
                .n = ELEMENTSOF(((const char *[]){__VA_ARGS__})), \
        }

static void check_hosts(const AgentResolver *resolver, const char *name, const char *wanted)
{
        char *text = nametext_hosts(resolver, name);

        unit_assert_string(text, wanted);
        free(text);
}

static void test_hosts(void)
{
        AgentResolver resolver = {.hosts = STRINGS("192.0.2.1 web web.example # not box", "box")};

        check_hosts(NULL, "", LOCAL);
        check_hosts(NULL, "box", LOCAL "127.0.1.1\tbox\n");
        check_hosts(NULL, "two words", LOCAL);
        check_hosts(NULL, "x\n192.0.2.1 evil", LOCAL);
        check_hosts(&resolver, "web.example", LOCAL "192.0.2.1 web web.example # not box\nbox\n");
        /* Neither an address nor what is in a remark nor half a word is a name. */
        check_hosts(&resolver, "box",
                    LOCAL "192.0.2.1 web web.example # not box\nbox\n127.0.1.1\tbox\n");
        check_hosts(&resolver, "web.exam",
                    LOCAL "192.0.2.1 web web.example # not box\nbox\n127.0.1.1\tweb.exam\n");
}

static void test_resolver(void)
{
        AgentResolver none = {}, all = {
                                         .nameservers = STRINGS("192.0.2.1", "::1"),
                                         .search = STRINGS("a", "b"),
                                         .options = STRINGS("ndots:1"),
                                 };
        char *text = nametext_resolver(&none);

        unit_assert_string(text, "");
        free(text);
        unit_assert(!nametext_has_resolver(&none) && nametext_has_resolver(&all));
        text = nametext_resolver(&all);
        unit_assert_string(text, "search a b\nnameserver 192.0.2.1\nnameserver ::1\n"
                                 "options ndots:1\n");
        free(text);
}

static void test_control_characters(void)
{
        AgentResolver tab = {.hosts = STRINGS("192.0.2.1\tname")};
        AgentResolver line = {.search = STRINGS("fine", "a\nb")};
        AgentResolver escape = {.options = STRINGS("\x1b[2J")};

        unit_assert(nametext_is_valid(&tab));
        unit_assert(!nametext_is_valid(&line));
        unit_assert(!nametext_is_valid(&escape));
}

UNIT_MAIN(UNIT_TEST(test_hosts), UNIT_TEST(test_resolver), UNIT_TEST(test_control_characters))
