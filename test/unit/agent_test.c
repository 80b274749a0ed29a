/* The agent protocol's messages: round trips, bounds, and every way of cutting them short. */
#include <errno.h>

#include "base/cleanup.h"
#include "proto/agent.h"
#include "proto/frame.h"
#include "test/unit.h"

static char *words[] = {(char *)"sh", (char *)"-c", (char *)"echo hi", NULL};
static char *variables[] = {(char *)"A=1", (char *)"", NULL};

static const AgentRlimit rlimits[] = {{7, 1024, UINT64_MAX}, {4, 0, 0}};

static const AgentMount mounts[] = {
        {.type = AGENT_MOUNT_PROC, .target = (char *)"/proc", .flags = AGENT_MOUNT_NOSUID},
        {.type = AGENT_MOUNT_9P,
         .source = (char *)"binds",
         .subpath = (char *)"hosts",
         .target = (char *)"/etc/hosts",
         .cache = AGENT_CACHE_MMAP,
         .msize = 65536},
};

/* A constant of its own would be no constant expression to clang. */
#define PROCESS                                                                               \
        {                                                                                     \
                .token = 0x1122334455667788, .attach = AGENT_ATTACH_TTY | AGENT_ATTACH_STDIN, \
                .rows = 24, .columns = 80, .argv = {words, 3}, .env = {variables, 2},         \
                .cwd = (char *)"/tmp", .user = (char *)"nobody:users", .groups = {words, 1},  \
                .capabilities = {AGENT_CAPABILITIES_DEFAULT, 1, 2, 3, 4},                     \
                .rlimits = (AgentRlimit *)rlimits, .n_rlimits = 2, .no_new_privileges = true, \
                .oom_score_adj = -500, .umask = AGENT_UMASK_DEFAULT,                          \
        }

static const AgentProcessSpec process = PROCESS;

static const AgentCreate create = {
        .container = (char *)"0123456789abcdef",
        .spec =
                {
                        .root = {.type = AGENT_MOUNT_9P,
                                 .source = (char *)"root",
                                 .cache = AGENT_CACHE_LOOSE,
                                 .upper = AGENT_UPPER_MEMORY,
                                 .upper_size = 1 << 20},
                        .mounts = (AgentMount *)mounts,
                        .n_mounts = 2,
                        .hostname = (char *)"web",
                        .namespaces = AGENT_NAMESPACE_PID | AGENT_NAMESPACE_UTS,
                        .masked_paths = {words, 2},
                        .limits = {.memory = 64 << 20, .pids = 100, .cpu_weight = 50},
                },
        .process = PROCESS,
};

static uint8_t space[FRAME_PAYLOAD_MAX];

static void test_create_round_trip(void)
{
        AgentCreate got;
        size_t size;

        unit_assert_int(agent_create_encode(&create, space, sizeof(space), &size), 0);
        unit_assert_int(agent_create_decode(space, size, &got), 0);
        unit_assert_string(got.container, "0123456789abcdef");
        unit_assert_int(got.spec.root.type, AGENT_MOUNT_9P);
        unit_assert_int(got.spec.root.cache, AGENT_CACHE_LOOSE);
        unit_assert_string(got.spec.root.subpath, "");
        unit_assert_int(got.spec.n_mounts, 2);
        unit_assert_string(got.spec.mounts[1].subpath, "hosts");
        unit_assert_int(got.spec.mounts[1].msize, 65536);
        unit_assert_string(got.spec.hostname, "web");
        unit_assert_int(got.spec.masked_paths.n, 2);
        unit_assert_int(got.spec.limits.cpu_weight, 50);
        unit_assert(got.process.token == process.token);
        unit_assert_int(got.process.argv.n, 3);
        unit_assert_string(got.process.argv.items[2], "echo hi");
        unit_assert(!got.process.argv.items[3]);
        unit_assert_string(got.process.env.items[1], "");
        unit_assert_int(got.process.oom_score_adj, -500);
        unit_assert(got.process.rlimits[0].hard == UINT64_MAX);
        unit_assert(got.process.no_new_privileges);
        unit_assert(got.process.capabilities.ambient == 4);
        agent_create_done(&got);
        unit_assert(!got.container && !got.process.argv.items);
}

static void test_create_cut_short(void)
{
        AgentCreate got;
        size_t size;

        unit_assert_int(agent_create_encode(&create, space, sizeof(space), &size), 0);
        for (size_t cut = 0; cut < size; cut++) {
                unit_assert_int(agent_create_decode(space, cut, &got), -EBADMSG);
                unit_assert(!got.container && !got.spec.mounts);
        }
        unit_assert_int(agent_create_decode(space, size + 1, &got), -EBADMSG);
        unit_assert_int(agent_create_encode(&create, space, size - 1, &size), -ENOBUFS);
}

/* What may not be received can't be sent. */
static void test_bounds(void)
{
        AgentProcessSpec spec = process;
        AgentSignal signal = {.container = (char *)"c", .process = (char *)"", .signal = 65};
        AgentContainer container = {.container = (char *)"../etc"};
        AgentContainerSpec machine = create.spec;
        size_t size;

        unit_assert_int(agent_signal_encode(&signal, space, sizeof(space), &size), -EINVAL);
        unit_assert_int(agent_container_encode(&container, space, sizeof(space), &size), -EINVAL);
        spec.argv.n = 0;
        unit_assert_int(agent_process_spec_encode(&spec, space, sizeof(space), &size), -EINVAL);
        spec = process;
        spec.attach = 1u << 4;
        unit_assert_int(agent_process_spec_encode(&spec, space, sizeof(space), &size), -EINVAL);
        spec = process;
        spec.oom_score_adj = 1001;
        unit_assert_int(agent_process_spec_encode(&spec, space, sizeof(space), &size), -EINVAL);
        spec = process;
        spec.umask = 01000;
        unit_assert_int(agent_process_spec_encode(&spec, space, sizeof(space), &size), -EINVAL);
        machine.root.type = AGENT_MOUNT_PROC;
        unit_assert_int(agent_container_spec_encode(&machine, space, sizeof(space), &size),
                        -EINVAL);
        machine = create.spec;
        machine.limits.cpu_period = 2000000;
        unit_assert_int(agent_container_spec_encode(&machine, space, sizeof(space), &size),
                        -EINVAL);
}

/* A huge count costs no memory: items are made as their bytes come. */
static void test_count_without_items(void)
{
        static const uint8_t input[] = {0xff, 0x3f, 0, 0, 1, 0, 0, 0};
        AgentProcesses processes;

        unit_assert_int(agent_processes_decode(input, sizeof(input), &processes), -EBADMSG);
        unit_assert(!processes.processes);
}

static void test_hello_welcome(void)
{
        static const AgentHello hello = {
                .version = AGENT_VERSION,
                .agent = (char *)"0.1.0",
                .kernel = (char *)"6.1.192-uvm",
                .boot_id = (char *)"b",
                .mem_total = 1,
                .uptime_usec = 2,
                .last_request = 3,
                .last_sequence = 4,
        };
        uint8_t seed[] = {1, 2, 3};
        AgentWelcome welcome = {.version = AGENT_VERSION, .seed = seed, .seed_size = 3};
        AgentWelcome got_welcome;
        AgentHello got;
        size_t size;

        unit_assert_int(agent_hello_encode(&hello, space, sizeof(space), &size), 0);
        unit_assert_int(agent_hello_decode(space, size, &got), 0);
        unit_assert_string(got.kernel, "6.1.192-uvm");
        unit_assert_int(got.last_request, 3);
        unit_assert_int(got.last_sequence, 4);
        agent_hello_done(&got);

        unit_assert_int(agent_welcome_encode(&welcome, space, sizeof(space), &size), 0);
        unit_assert_int(agent_welcome_decode(space, size, &got_welcome), 0);
        unit_assert_int(got_welcome.seed_size, 3);
        unit_assert_bytes(got_welcome.seed, seed, 3);
        agent_welcome_done(&got_welcome);
}

static void test_exited(void)
{
        static const AgentExited exited = {
                .sequence = 9,
                .container = (char *)"c",
                .process = (char *)"",
                .exit_code = 137,
                .signal = 9,
                .oom = true,
                .stdout_bytes = UINT64_MAX,
        };
        AgentExited got;
        size_t size;

        unit_assert_int(agent_exited_encode(&exited, space, sizeof(space), &size), 0);
        unit_assert_int(agent_exited_decode(space, size, &got), 0);
        unit_assert_int(got.exit_code, 137);
        unit_assert(got.oom && got.stdout_bytes == UINT64_MAX);
        unit_assert_string(got.process, "");
        agent_exited_done(&got);
}

static void test_mounts_of_a_running_container(void)
{
        AgentAddMount add = {.container = (char *)"c", .mount = mounts[1]}, got_add;
        AgentRemoveMount remove = {.container = (char *)"c", .target = (char *)"/data"}, got_remove;
        size_t size;

        add.mount.fs = (char *)"ext4";
        unit_assert_int(agent_add_mount_encode(&add, space, sizeof(space), &size), 0);
        unit_assert_int(agent_add_mount_decode(space, size, &got_add), 0);
        unit_assert_string(got_add.mount.target, "/etc/hosts");
        unit_assert_string(got_add.mount.fs, "ext4");
        agent_add_mount_done(&got_add);
        unit_assert_int(agent_remove_mount_encode(&remove, space, sizeof(space), &size), 0);
        unit_assert_int(agent_remove_mount_decode(space, size, &got_remove), 0);
        unit_assert_string(got_remove.target, "/data");
        agent_remove_mount_done(&got_remove);
}

static uint8_t address4[] = {192, 0, 2, 1}, address6[16] = {0x20, 1, 0xd, 0xb8};

static AgentNetwork network(void)
{
        static AgentAddress addresses[] = {{address4, 4, 24}, {address6, 16, 64}};
        static AgentRoute routes[] = {{.destination = {address4, 4, 0},
                                       .gateway = {address6, 16, 0},
                                       .onlink = true,
                                       .table = 254,
                                       .type = 1}};
        static AgentNeighbour neighbours[] = {{{address4, 4, 32}, {2, 0, 0, 0, 0, 9}}};

        return (AgentNetwork){
                .mac = {2, 0, 0, 0, 0, 1},
                .name = (char *)"eth0",
                .mtu = 9000,
                .noarp = true,
                .queue_length = 500,
                .alias = (char *)"uplink",
                .addresses = addresses,
                .n_addresses = 2,
                .routes = routes,
                .n_routes = 1,
                .neighbours = neighbours,
                .n_neighbours = 1,
        };
}

static void test_network(void)
{
        AgentNetwork message = network(), got;
        size_t size;

        unit_assert_int(agent_network_encode(&message, space, sizeof(space), &size), 0);
        unit_assert_int(agent_network_decode(space, size, &got), 0);
        unit_assert_string(got.name, "eth0");
        unit_assert_int(got.addresses[1].prefix, 64);
        unit_assert_bytes(got.addresses[1].bytes, address6, 16);
        unit_assert(got.routes[0].onlink);
        unit_assert(got.noarp && got.queue_length == 500);
        unit_assert_string(got.alias, "uplink");
        unit_assert_int(got.neighbours[0].mac[5], 9);
        agent_network_done(&got);
        for (size_t cut = 0; cut < size; cut++)
                unit_assert_int(agent_network_decode(space, cut, &got), -EBADMSG);
}

static void check_network_refused(const AgentNetwork *message)
{
        size_t size;

        unit_assert_int(agent_network_encode(message, space, sizeof(space), &size), -EINVAL);
}

static void test_network_bounds(void)
{
        static const char *const names[] = {"", "lo", "..", "a/b", "a b", "eth0:1"};
        AgentAddress address = {address4, 4, 33};
        AgentRoute route = {.destination = {address6, 16, 0}, .gateway = {address4, 4, 0}};
        AgentNetwork message = network();

        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                message.name = (char *)names[i];
                check_network_refused(&message);
        }
        message = network();
        message.addresses = &address;
        message.n_addresses = 1;
        check_network_refused(&message);
        address = (AgentAddress){address6, 5, 0};
        check_network_refused(&message);
        message = network();
        route.table = 254;
        route.type = 1;
        message.routes = &route;
        check_network_refused(&message);
        route = (AgentRoute){.destination = {address6, 16, 0}, .type = 1};
        check_network_refused(&message);
        route = (AgentRoute){.destination = {address6, 16, 0}, .table = 254, .type = 10};
        check_network_refused(&message);
}

static AgentRouting routing(void)
{
        static char *settings[] = {(char *)"net/ipv4/ip_forward=1", NULL};
        static AgentAddress loopback[] = {{address4, 4, 32}};
        static AgentMetric metrics[] = {{1, 4}, {2, 1400}};
        static AgentHop hops[] = {
                {.device = (char *)"eth0", .gateway = {address4, 4, 0}, .weight = 2},
                {.device = (char *)"lo", .onlink = true},
        };
        static AgentRoute routes[] = {
                {.destination = {address4, 4, 8},
                 .table = 100,
                 .type = 1,
                 .metrics = metrics,
                 .n_metrics = 2,
                 .hops = hops,
                 .n_hops = 2},
                {.destination = {address6, 16, 64}, .table = 254, .type = 6},
        };
        static AgentRule rules[] = {
                {.flags = AGENT_RULE_INVERT | AGENT_RULE_PORTS,
                 .priority = 100,
                 .action = 1,
                 .table = 100,
                 .source = {address4, 4, 24},
                 .input = (char *)"lo",
                 .mark = 1,
                 .ports = {53, 53}},
        };

        return (AgentRouting){
                .settings = {settings, 1},
                .loopback = loopback,
                .n_loopback = 1,
                .routes = routes,
                .n_routes = 2,
                .rules = rules,
                .n_rules = 1,
        };
}

static void test_routing(void)
{
        AgentRouting message = routing(), got;
        size_t size;

        unit_assert_int(agent_routing_encode(&message, space, sizeof(space), &size), 0);
        unit_assert_int(agent_routing_decode(space, size, &got), 0);
        unit_assert_string(got.settings.items[0], "net/ipv4/ip_forward=1");
        unit_assert_int(got.routes[0].n_hops, 2);
        unit_assert_string(got.routes[0].hops[1].device, "lo");
        unit_assert_int(got.routes[0].metrics[1].value, 1400);
        unit_assert_int(got.rules[0].ports.last, 53);
        unit_assert_string(got.rules[0].input, "lo");
        agent_routing_done(&got);
        for (size_t cut = 0; cut < size; cut++)
                unit_assert_int(agent_routing_decode(space, cut, &got), -EBADMSG);
}

static void check_routing_refused(const AgentRouting *message)
{
        size_t size;

        unit_assert_int(agent_routing_encode(message, space, sizeof(space), &size), -EINVAL);
}

static void test_routing_bounds(void)
{
        static const char *const settings[] = {"kernel/panic=1", "net/../kernel/panic=1",
                                               "net/ipv4/ip_forward", "net/x=a\nb"};
        AgentRouting message = routing();
        AgentRule rule = {.action = 9};
        char *items[2] = {};

        for (size_t i = 0; i < ELEMENTSOF(settings); i++) {
                items[0] = (char *)settings[i];
                message.settings.items = items;
                check_routing_refused(&message);
        }
        message = routing();
        message.rules = &rule;
        check_routing_refused(&message);
        rule = (AgentRule){.action = 1, .flags = AGENT_RULE_IPV6, .source = {address4, 4, 0}};
        check_routing_refused(&message);
        rule = (AgentRule){.action = 1, .input = (char *)"a/b"};
        check_routing_refused(&message);
        rule = (AgentRule){.action = 1, .ports = {1, 65536}};
        check_routing_refused(&message);
        message = routing();
        message.routes[0].hops[0].device = (char *)"";
        check_routing_refused(&message);
        message.routes[0].hops[0].device = (char *)"eth0";
        message.routes[0].metrics[0].type = 16;
        check_routing_refused(&message);
        message.routes[0].metrics[0].type = 1;
}

static void test_copy(void)
{
        AgentCopy copy = {
                .container = (char *)"c",
                .tag = (char *)"transfer",
                .name = (char *)"etc",
                .path = (char *)"/etc",
                .flags = AGENT_COPY_OUT | AGENT_COPY_FOLLOW,
        };
        static const char *const names[] = {".", "..", "a/b"};
        AgentCopy got;
        size_t size;

        unit_assert_int(agent_copy_encode(&copy, space, sizeof(space), &size), 0);
        unit_assert_int(agent_copy_decode(space, size, &got), 0);
        unit_assert_string(got.name, "etc");
        unit_assert_int(got.flags, AGENT_COPY_OUT | AGENT_COPY_FOLLOW);
        agent_copy_done(&got);
        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                copy.name = (char *)names[i];
                unit_assert_int(agent_copy_encode(&copy, space, sizeof(space), &size), -EINVAL);
        }
        copy.name = (char *)"";
        copy.flags = AGENT_COPY_FLAGS + 1;
        unit_assert_int(agent_copy_encode(&copy, space, sizeof(space), &size), -EINVAL);
}

static void test_changes(void)
{
        AgentChange change = {.kind = AGENT_CHANGE_DELETED, .path = (char *)"/etc/motd"};
        AgentChanges changes = {.changes = &change, .n_changes = 1, .more = true}, got;
        size_t size;

        unit_assert_int(agent_changes_encode(&changes, space, sizeof(space), &size), 0);
        unit_assert_int(agent_changes_decode(space, size, &got), 0);
        unit_assert_int(got.n_changes, 1);
        unit_assert_int(got.changes[0].kind, AGENT_CHANGE_DELETED);
        unit_assert_string(got.changes[0].path, "/etc/motd");
        unit_assert(got.more);
        agent_changes_done(&got);
        change.kind = AGENT_CHANGE_MAX_;
        unit_assert_int(agent_changes_encode(&changes, space, sizeof(space), &size), -EINVAL);
}

static void test_preamble(void)
{
        AgentPreamble preamble = {AGENT_STREAM_TTY, 0x8877665544332211}, got;
        uint8_t data[AGENT_PREAMBLE_SIZE];

        agent_preamble_encode(&preamble, data);
        unit_assert_bytes(data, "uVMs\3\0\0\0\x11", 9);
        unit_assert_int(agent_preamble_decode(data, &got), 0);
        unit_assert(got.which == AGENT_STREAM_TTY && got.token == preamble.token);
        data[4] = 4;
        unit_assert_int(agent_preamble_decode(data, &got), -EBADMSG);
        data[4] = 0;
        data[5] = 1;
        unit_assert_int(agent_preamble_decode(data, &got), -EBADMSG);
}

static void test_names(void)
{
        unit_assert_string(agent_type_to_string(AGENT_REQUEST_CREATE), "create");
        unit_assert_string(agent_type_to_string(5), "unknown");
        unit_assert_string(agent_type_to_string(65535), "unknown");
        unit_assert_int(agent_mount_type_from_string("9p"), AGENT_MOUNT_9P);
}

UNIT_MAIN(UNIT_TEST(test_create_round_trip), UNIT_TEST(test_create_cut_short),
          UNIT_TEST(test_bounds), UNIT_TEST(test_count_without_items),
          UNIT_TEST(test_hello_welcome), UNIT_TEST(test_exited),
          UNIT_TEST(test_mounts_of_a_running_container), UNIT_TEST(test_network),
          UNIT_TEST(test_network_bounds), UNIT_TEST(test_routing), UNIT_TEST(test_routing_bounds),
          UNIT_TEST(test_copy), UNIT_TEST(test_changes), UNIT_TEST(test_preamble),
          UNIT_TEST(test_names))
