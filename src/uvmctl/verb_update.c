/* uvmctl update: what a container and its virtual machine may use, changed while they run. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/parse.h"
#include "client/json.h"
#include "client/late.h"
#include "client/objects.h"
#include "client/table.h"
#include "uvmctl/each.h"
#include "uvmctl/limit_args.h"
#include "uvmctl/mount.h"
#include "uvmctl/network.h"
#include "uvmctl/verbs.h"

#define UPDATE_THROTTLES_MAX 16

/* What a machine needs of the host besides its guest's memory: monitor, shim, page tables. */
#define UPDATE_OVERHEAD (4ULL << 20)

typedef struct Update {
        uint64_t memory, milli_cpus;
        LimitArgs limits;
        MountSpec throttles[UPDATE_THROTTLES_MAX];
        size_t n_throttles;
        NetworkOptions network; /* its throttles */
        bool is_sandbox;
} Update;

static void update_done(Update *update)
{
        limit_args_done(&update->limits);
        for (size_t i = 0; i < update->n_throttles; i++)
                mount_spec_done(&update->throttles[i]);
        network_options_done(&update->network);
}

/* ------------------------------------------------------------------ the command line */

static int update_take_throttle(Update *update)
{
        _cleanup_(freep) char *error = NULL;

        if (update->n_throttles == UPDATE_THROTTLES_MAX)
                return verb_usage_error(&verb_update, "--throttle: that is too many at once");
        if (mount_spec_parse_throttle(&update->throttles[update->n_throttles++], optarg, &error) <
            0)
                return verb_usage_error(&verb_update, "--throttle: %s",
                                        error ? error : "out of memory");
        return 0;
}

static int update_take(Update *update, int option)
{
        int r = limit_args_take(&update->limits, &verb_update, option, optarg);

        if (r >= 0)
                return r;
        switch (option) {
        case 'm':
                if (parse_bytes(optarg, &update->memory) >= 0 && update->memory)
                        return 0;
                return verb_usage_error(&verb_update, "--memory: \"%s\" is no size such as 256m",
                                        optarg);
        case 'c':
                if (parse_milli(optarg, 32000, &update->milli_cpus) >= 0 && update->milli_cpus)
                        return 0;
                return verb_usage_error(&verb_update, "--cpus: \"%s\" is no number up to 32",
                                        optarg);
        case 't':
                return update_take_throttle(update);
        case NETWORK_OPT_THROTTLE:
                return network_take_option(&update->network, &verb_update, option);
        case 's':
                update->is_sandbox = true;
                return 0;
        default:
                return verb_usage_error(&verb_update, "these options are not understood");
        }
}

static int update_parse(Update *update, int argc, char **argv)
{
        static const struct option own[] = {
                {"memory", required_argument, NULL, 'm'},
                {"cpus", required_argument, NULL, 'c'},
                {"throttle", required_argument, NULL, 't'},
                {"network-throttle", required_argument, NULL, NETWORK_OPT_THROTTLE},
                {"sandbox", no_argument, NULL, 's'},
                {0},
        };
        _cleanup_(freep) struct option *options = limit_args_join(own);
        int option;

        while ((option = getopt_long(argc, argv, "m:", options, NULL)) >= 0) {
                int r = update_take(update, option);

                if (r)
                        return r;
        }
        if (optind + 1 != argc)
                return verb_usage_error(&verb_update, "which container?");
        if (!update->memory && !update->milli_cpus && !update->n_throttles &&
            !update->network.n_throttles && !update->limits.n_values)
                return verb_usage_error(&verb_update, "what is to change?");
        if (update->is_sandbox &&
            (update->n_throttles || limit_args_have(&update->limits, LIMIT_OF_CONTAINER)))
                return verb_usage_error(&verb_update,
                                        "with --sandbox only the virtual machine can change");
        return 0;
}

/* ------------------------------------------------------------------ the calls */

/* The scope's part; --cpus 1.5 also gives two vCPUs one and a half CPU's time. */
static int update_append_scope(const Update *update, sd_bus_message *message)
{
        int r = sd_bus_message_open_container(message, 'a', "{sv}");

        if (r >= 0)
                r = limit_args_append(&update->limits, LIMIT_OF_SCOPE, message);
        if (r >= 0 && update->milli_cpus &&
            !limit_args_have_key(&update->limits, LIMIT_OF_SCOPE, "CPUQuotaPerSecUSec"))
                r = sd_bus_message_append(message, "{sv}", "CPUQuotaPerSecUSec", "t",
                                          update->milli_cpus % 1000
                                                  ? update->milli_cpus * (USEC_PER_SEC / 1000)
                                                  : UINT64_MAX);
        return r < 0 ? r : sd_bus_message_close_container(message);
}

static int update_scope(const Update *update, sd_bus *bus, const char *sandbox)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL;
        int r;

        if (!update->milli_cpus && !limit_args_have(&update->limits, LIMIT_OF_SCOPE))
                return 0;
        r = client_message_new(bus, sandbox, CLIENT_SANDBOX, "SetLimits", &message);
        if (r)
                return r;
        if (update_append_scope(update, message) < 0)
                return client_fail("the call can't be made");
        return client_send(bus, message, NULL);
}

static int update_vcpus(const Update *update, sd_bus *bus, const char *sandbox)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL;
        int r;

        if (!update->milli_cpus)
                return 0;
        r = client_message_new(bus, sandbox, CLIENT_SANDBOX, "SetVCPUs", &message);
        if (r)
                return r;
        if (sd_bus_message_append(message, "u", (uint32_t)((update->milli_cpus + 999) / 1000)) < 0)
                return client_fail("the call can't be made");
        return client_send_late(bus, message, "Changing the number of CPUs …", NULL);
}

/* The limit of the unit stays: whoever set it, by whatever means, may have meant it. */
static void update_warn_of_limit(sd_bus *bus, const char *sandbox, uint64_t memory)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_(json_object_putp) json_object *limits = NULL;
        char has[TABLE_TEXT_MAX], may[TABLE_TEXT_MAX];
        uint64_t max;

        if (client_call(bus, sandbox, CLIENT_SANDBOX, "GetLimits", &reply, NULL))
                return;
        limits = client_json_read(reply);
        max = limits ? (uint64_t)client_json_int(limits, "MemoryMax") : 0;
        if (max && max < memory + UPDATE_OVERHEAD)
                client_warn("its unit may have %s, and the guest alone has %s: the host ends the "
                            "virtual machine when it uses that; see --memory-max",
                            table_format_bytes(max, may), table_format_bytes(memory, has));
}

static int update_memory(const Update *update, sd_bus *bus, const char *sandbox)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL, *reply = NULL;
        char text[TABLE_TEXT_MAX];
        uint64_t actual;
        int r;

        if (!update->memory)
                return 0;
        r = client_message_new(bus, sandbox, CLIENT_SANDBOX, "SetMemory", &message);
        if (r)
                return r;
        if (sd_bus_message_append(message, "t", update->memory) < 0)
                return client_fail("the call can't be made");
        r = client_send_late(bus, message, "Changing the guest's memory …", &reply);
        if (r)
                return r;
        if (sd_bus_message_read(reply, "t", &actual) < 0)
                return client_fail("uvmd's answer can't be read");
        fprintf(stderr, "The virtual machine has %s of memory now.\n",
                table_format_bytes(actual, text));
        update_warn_of_limit(bus, sandbox, actual);
        return 0;
}

static int update_container(const Update *update, sd_bus *bus, const char *container)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL;
        int r;

        if (!limit_args_have(&update->limits, LIMIT_OF_CONTAINER))
                return 0;
        r = client_message_new(bus, container, CLIENT_CONTAINER, "SetLimits", &message);
        if (r)
                return r;
        if (sd_bus_message_open_container(message, 'a', "{sv}") < 0 ||
            limit_args_append(&update->limits, LIMIT_OF_CONTAINER, message) < 0 ||
            sd_bus_message_close_container(message) < 0)
                return client_fail("the call can't be made");
        return client_send(bus, message, NULL);
}

static int update_find(const Update *update, Objects *objects, const char *name, Object *container,
                       Object *sandbox)
{
        int r;

        if (update->is_sandbox)
                return objects_find_sandbox(objects, name, sandbox);
        r = objects_find_container(objects, name, container);
        return r ? r : each_sandbox_of(objects, container, sandbox);
}

static int update(int argc, char **argv)
{
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        _cleanup_(objects_freep) Objects *objects = NULL;
        _cleanup_(update_done) Update update = {0};
        Object container = {0}, sandbox = {0};
        int r = update_parse(&update, argc, argv);

        if (!r)
                r = client_bus_open(&bus);
        if (!r)
                r = objects_load(bus, &objects);
        if (!r)
                r = update_find(&update, objects, argv[optind], &container, &sandbox);
        if (!r)
                r = update_scope(&update, bus, sandbox.path);
        if (!r)
                r = update_vcpus(&update, bus, sandbox.path);
        if (!r)
                r = update_memory(&update, bus, sandbox.path);
        if (!r)
                r = network_throttle_all(&update.network, bus, sandbox.path);
        if (!r)
                r = update_container(&update, bus, container.path);
        for (size_t i = 0; !r && i < update.n_throttles; i++)
                r = mount_throttle(bus, container.path, &update.throttles[i]);
        if (!r)
                puts(argv[optind]);
        return r;
}

const Verb verb_update = {
        .name = "update",
        .arguments = "OPTION… CONTAINER",
        .summary = "change what a container and its virtual machine may use",
        .help = "  -m, --memory SIZE         the guest's memory, by hotplug\n"
                "      --cpus N              its CPUs, by hotplug; a fraction limits their "
                "time\n" LIMIT_ARGS_HELP_SCOPE LIMIT_ARGS_HELP_CONTAINER
                "      --throttle TARGET:bps=SIZE,iops=N[,bps-burst=SIZE][,iops-burst=N]\n"
                "                            of a mount or disk, / for the root file system;\n"
                "                            TARGET:none takes the limits away\n"
                "      --network-throttle INTERFACE:bps=SIZE,pps=N[,bps-burst=SIZE][,pps-burst=N]\n"
                "                            of a network interface, eth0 or another; tx- or rx- "
                "in\n"
                "                            front of a limit: of one direction\n"
                "      --sandbox             the name is a sandbox's\n"
                "\n"
                "The value none takes a limit away.\n",
        .run = update,
};
