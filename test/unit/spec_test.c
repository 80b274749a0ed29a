/* From configuration to the agent's requests: podman's rules. */
#include "proto/agent.h"
#include "test/unit.h"
#include "uvmd/bus/console.h"
#include "uvmd/capability.h"
#include "uvmd/spec.h"
#include "uvmd/strv.h"

#define LIST(...) ((char *[]){__VA_ARGS__, NULL})

static char image_entrypoint[] = "/entry", image_command[] = "serve", word_a[] = "a",
            word_b[] = "b", nothing[] = "";

static void commands_as(const char *what, char **entrypoint, char **command, const char *expected)
{
        ContainerConfig config = {.entrypoint = entrypoint, .task.command = command};
        ImageConfig image = {.entrypoint = LIST(image_entrypoint), .command = LIST(image_command)};
        char **got = spec_command(&config, &image), joined[64] = "";

        for (char **at = got; *at; at++) {
                strcat(joined, *at);
                strcat(joined, ";");
        }
        if (strcmp(joined, expected) != 0)
                unit_fail("%s: \"%s\", not \"%s\"", what, joined, expected);
        strv_free(got);
}

static void commands(void)
{
        char *empty[] = {NULL};

        commands_as("the image's", NULL, NULL, "/entry;serve;");
        commands_as("own command", NULL, LIST(word_a), "/entry;a;");
        commands_as("own entrypoint", LIST(word_a), NULL, "a;");
        commands_as("both", LIST(word_a), LIST(word_b), "a;b;");
        commands_as("no entrypoint", empty, LIST(word_b), "b;");
        commands_as("empty command", NULL, empty, "/entry;");
}

static void capabilities(void)
{
        char all[] = "ALL", admin[] = "CAP_NET_ADMIN", chown[] = "chown";

        unit_assert_int(capability_from_string("CAP_CHOWN"), 0);
        unit_assert_int(capability_from_string("net_admin"), 12);
        unit_assert_int(capability_from_string("CAP_CHECKPOINT_RESTORE"), 40);
        unit_assert(capability_from_string("CAP_NONE") < 0);
        unit_assert_int(capability_set(1, LIST(admin), NULL), 1 | 1 << 12);
        unit_assert_int(capability_set(3, NULL, LIST(chown)), 2);
        unit_assert_int(capability_set(3, LIST(admin), LIST(all)), 1 << 12);
        unit_assert_int(capability_set(0, LIST(all), LIST(chown)), CAPABILITIES_ALL - 1);
}

static void creates(void)
{
        char home[] = "HOME=/x", home2[] = "HOME=/y", broken[] = "NOVALUE", tmp[] = "/tmp",
             size[] = "size=1m", cwd[] = "/srv", user[] = "7:8";
        ContainerConfig config = {
                .task = {.command = LIST(word_a), .environment = LIST(home2), .open_stdin = true},
                .tmpfs = LIST(tmp, size),
                .limits = {.memory = 1 << 20, .cpu_quota = 500000},
        };
        ImageConfig image = {
                .environment = LIST(home, broken),
                .working_directory = cwd,
                .user = user,
        };
        char below[] = "/tmp/x", tag[] = "m1";
        const AgentMount mounts[] = {
                {.type = AGENT_MOUNT_9P, .source = tag, .target = below},
                {.type = AGENT_MOUNT_9P, .source = tag, .target = cwd},
        };
        SpecContainer spec = {
                .mounts = mounts,
                .n_mounts = ELEMENTSOF(mounts),
                .id = "0123456789abcdef",
                .tag = "c1",
                .hostname = "h",
                .token = 7,
                .config = &config,
                .image = &image,
        };
        static uint8_t buffer[65536];
        AgentCreate create;
        size_t n;

        unit_assert_int(spec_encode_create(&spec, buffer, sizeof(buffer), &n), 0);
        unit_assert_int(agent_create_decode(buffer, n, &create), 0);
        unit_assert_string(create.container, "0123456789abcdef");
        unit_assert_string(create.spec.root.source, "c1");
        unit_assert_int(create.spec.root.upper, AGENT_UPPER_MEMORY);
        /* Behind the default ones, what is below another behind that. */
        unit_assert_string(create.spec.mounts[create.spec.n_mounts - 3].target, "/srv");
        unit_assert_string(create.spec.mounts[create.spec.n_mounts - 2].target, "/tmp");
        unit_assert_string(create.spec.mounts[create.spec.n_mounts - 1].target, "/tmp/x");
        unit_assert_int(create.spec.limits.memory, 1 << 20);
        unit_assert_int(create.spec.limits.cpu_quota, 50000);
        unit_assert_int(create.process.token, 7);
        unit_assert_int(create.process.attach,
                        AGENT_ATTACH_STDIN | AGENT_ATTACH_STDOUT | AGENT_ATTACH_STDERR);
        unit_assert_int(create.process.env.n, 2);
        unit_assert_string(create.process.env.items[1], "HOME=/y");
        unit_assert_string(create.process.cwd, "/srv");
        unit_assert_string(create.process.user, "7:8");
        unit_assert_int(create.process.capabilities.effective, 0);
        unit_assert_int(create.process.capabilities.bounding, AGENT_CAPABILITIES_DEFAULT);
        agent_create_done(&create);
}

static void execs(void)
{
        ContainerConfig container = {.task = {.privileged = true}};
        TaskConfig task = {.command = LIST(word_a, nothing), .terminal = true, .rows = 24};
        ImageConfig image = {};
        SpecProcess spec = {
                .container = "c",
                .id = "9",
                .token = 9,
                .config = &task,
                .container_config = &container,
                .image = &image,
        };
        static uint8_t buffer[65536];
        AgentExec exec;
        size_t n;

        unit_assert_int(spec_encode_exec(&spec, buffer, sizeof(buffer), &n), 0);
        unit_assert_int(agent_exec_decode(buffer, n, &exec), 0);
        unit_assert_string(exec.process, "9");
        unit_assert_int(exec.spec.attach, AGENT_ATTACH_TTY);
        unit_assert_int(exec.spec.rows, 24);
        unit_assert_int(exec.spec.argv.n, 2);
        unit_assert_string(exec.spec.argv.items[1], "");
        unit_assert(exec.spec.capabilities.effective == CAPABILITIES_ALL);
        agent_exec_done(&exec);
}

static void text_is(const char *from, size_t size, const char *expected)
{
        char *text = console_to_text(from, size);

        unit_assert_string(text, expected);
        free(text);
}

#define REPLACED "\xef\xbf\xbd"

static void console_text(void)
{
        text_is("a\nb\xc3\xa9\xf0\x9f\x98\x80", 9, "a\nb\xc3\xa9\xf0\x9f\x98\x80");
        text_is("\0x", 2, REPLACED "x");
        text_is("\xff", 1, REPLACED);
        text_is("\xc3", 1, REPLACED);                           /* cut short */
        text_is("\xc0\x80", 2, REPLACED REPLACED);              /* not the shortest form */
        text_is("\xed\xa0\x80", 3, REPLACED REPLACED REPLACED); /* a surrogate */
        text_is("\xf4\x90\x80\x80", 4, REPLACED REPLACED REPLACED REPLACED);
        text_is("", 0, "");
}

UNIT_MAIN(UNIT_TEST(commands), UNIT_TEST(capabilities), UNIT_TEST(creates), UNIT_TEST(execs),
          UNIT_TEST(console_text))
