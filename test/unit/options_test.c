/* The option tables: reading from a message, ranges, types, unknown keys, and the way through JSON. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "test/unit.h"
#include "uvmd/configuration.h"
#include "uvmd/errors.h"
#include "uvmd/strv.h"

/* A bus to make messages with; nobody is at its other end. */
static sd_bus *bus_open(void)
{
        sd_bus *bus = NULL;
        int pair[2];

        unit_assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
        unit_assert(sd_bus_new(&bus) >= 0);
        unit_assert(sd_bus_set_fd(bus, pair[0], pair[0]) >= 0);
        unit_assert(sd_bus_negotiate_fds(bus, true) >= 0);
        unit_assert(sd_bus_start(bus) >= 0);
        fd_close(pair[1]);
        return bus;
}

/* A sealed message with an a{sv} of the appended values. */
static sd_bus_message *message_new(sd_bus *bus, const char *types, ...)
{
        sd_bus_message *message = NULL;
        va_list values;

        unit_assert(sd_bus_message_new_signal(bus, &message, "/a", "a.b", "C") >= 0);
        va_start(values, types);
        unit_assert(sd_bus_message_appendv(message, types, values) >= 0);
        va_end(values);
        unit_assert(sd_bus_message_seal(message, 1, 0) >= 0);
        unit_assert(sd_bus_message_rewind(message, true) >= 0);
        return message;
}

typedef struct Outcome {
        int r;
        char name[64];
        char text[256];
} Outcome;

static Outcome read_sandbox(sd_bus_message *message, SandboxConfig *config)
{
        sd_bus_error error = SD_BUS_ERROR_NULL;
        Outcome outcome = {};

        sandbox_config_init(config);
        outcome.r = options_read(message, sandbox_options, sandbox_options_n, config, &error);
        snprintf(outcome.name, sizeof(outcome.name), "%s", error.name ?: "");
        snprintf(outcome.text, sizeof(outcome.text), "%s", error.message ?: "");
        sd_bus_error_free(&error);
        sd_bus_message_unref(message);
        return outcome;
}

static void reads_every_type(void)
{
        sd_bus *bus = bus_open();
        SandboxConfig config;
        Outcome outcome = read_sandbox(
                message_new(bus, "a{sv}", 6, "Memory", "t", 256ULL << 20, "VCPUs", "u", 2,
                            "AutoRemove", "b", 1, "Hostname", "s", "web-1", "Labels", "a{ss}", 2,
                            "a", "1", "b", "2", "IOReadIOPSMax", "a(st)", 1, "/dev/sda", 100ULL),
                &config);

        unit_assert_int(outcome.r, 0);
        unit_assert_int(config.memory, 256ULL << 20);
        unit_assert_int(config.vcpus, 2);
        unit_assert(config.auto_remove);
        unit_assert_string(config.hostname, "web-1");
        unit_assert_string(strv_map_get(config.labels, "b"), "2");
        unit_assert_int(config.limits.io_read_iops.n, 1);
        unit_assert_string(config.limits.io_read_iops.items[0].name, "/dev/sda");
        unit_assert_int(config.limits.io_read_iops.items[0].values[0], 100);
        sandbox_config_done(&config);
        sd_bus_close_unref(bus);
}

static void keeps_defaults(void)
{
        sd_bus *bus = bus_open();
        SandboxConfig config;
        Outcome outcome = read_sandbox(message_new(bus, "a{sv}", 0), &config);

        unit_assert_int(outcome.r, 0);
        unit_assert_int(config.memory, SANDBOX_MEMORY_DEFAULT);
        unit_assert_int(config.vcpus, 1);
        unit_assert_int(config.firmware, FD_NONE);
        sandbox_config_done(&config);
        sd_bus_close_unref(bus);
}

static void refuses(sd_bus *bus, sd_bus_message *message, const char *name, const char *word)
{
        SandboxConfig config;
        Outcome outcome = read_sandbox(message, &config);

        unit_assert(outcome.r < 0);
        unit_assert_string(outcome.name, name);
        if (!strstr(outcome.text, word))
                unit_fail("\"%s\" does not name %s", outcome.text, word);
        sandbox_config_done(&config);
}

static void refuses_by_name(void)
{
        sd_bus *bus = bus_open();

        refuses(bus, message_new(bus, "a{sv}", 1, "Color", "s", "red"), ERROR_UNKNOWN_OPTION,
                "Color");
        refuses(bus, message_new(bus, "a{sv}", 1, "Memory", "u", 1), ERROR_INVALID_ARGUMENT,
                "Memory must be of type \"t\"");
        refuses(bus, message_new(bus, "a{sv}", 1, "Memory", "t", 1ULL), ERROR_INVALID_ARGUMENT,
                "Memory");
        refuses(bus, message_new(bus, "a{sv}", 1, "VCPUs", "u", 33), ERROR_INVALID_ARGUMENT,
                "VCPUs");
        refuses(bus, message_new(bus, "a{sv}", 1, "Hostname", "s", "-x"), ERROR_INVALID_ARGUMENT,
                "Hostname");
        refuses(bus, message_new(bus, "a{sv}", 2, "VCPUs", "u", 1, "VCPUs", "u", 2),
                ERROR_INVALID_ARGUMENT, "twice");
        refuses(bus, message_new(bus, "a{sv}", 1, "Labels", "a{ss}", 2, "a", "1", "a", "2"),
                ERROR_INVALID_ARGUMENT, "Labels");
        refuses(bus, message_new(bus, "a{sv}", 1, "KernelArguments", "s", "a\nb"),
                ERROR_INVALID_ARGUMENT, "KernelArguments");
        refuses(bus, message_new(bus, "a{sv}", 1, "Slice", "s", "../x.slice"),
                ERROR_INVALID_ARGUMENT, "Slice");
        sd_bus_close_unref(bus);
}

static void refuses_too_much(void)
{
        sd_bus *bus = bus_open();
        sd_bus_message *message = NULL;
        char key[16];

        unit_assert(sd_bus_message_new_signal(bus, &message, "/a", "a.b", "C") >= 0);
        unit_assert(sd_bus_message_open_container(message, 'a', "{sv}") >= 0);
        unit_assert(sd_bus_message_open_container(message, 'e', "sv") >= 0);
        unit_assert(sd_bus_message_append(message, "s", "Labels") >= 0);
        unit_assert(sd_bus_message_open_container(message, 'v', "a{ss}") >= 0);
        unit_assert(sd_bus_message_open_container(message, 'a', "{ss}") >= 0);
        for (int i = 0; i <= CONFIG_LABELS_MAX; i++) {
                snprintf(key, sizeof(key), "k%d", i);
                unit_assert(sd_bus_message_append(message, "{ss}", key, "v") >= 0);
        }
        for (int i = 0; i < 4; i++)
                unit_assert(sd_bus_message_close_container(message) >= 0);
        unit_assert(sd_bus_message_seal(message, 1, 0) >= 0);
        unit_assert(sd_bus_message_rewind(message, true) >= 0);
        refuses(bus, message, ERROR_INVALID_ARGUMENT, "Labels");
        sd_bus_close_unref(bus);
}

static void goes_through_json(void)
{
        ContainerConfig from = {.image = strdup("busybox"), .read_only = true, .stop_signal = 15};
        ContainerConfig to = {};
        OptionListItem *items = calloc(1, sizeof(*items));
        json_object *json;

        strv_append(&from.task.command, "sh");
        strv_append(&from.task.command, "");
        from.entrypoint = strv_new();
        strv_append(&from.tmpfs, "/tmp");
        strv_append(&from.tmpfs, "size=1m");
        *items = (OptionListItem){.name = strdup("nofile"), .values = {1, UINT64_MAX}};
        from.rlimits = (OptionList){.items = items, .n = 1};

        json = options_to_json(container_options, container_options_n, &from);
        unit_assert(json);
        unit_assert_int(options_from_json(container_options, container_options_n, &to, json), 0);
        unit_assert_string(to.image, "busybox");
        unit_assert(to.read_only);
        unit_assert_int(to.stop_signal, 15);
        unit_assert_int(strv_length(to.task.command), 2);
        unit_assert_string(to.task.command[1], "");
        unit_assert(to.entrypoint && !to.entrypoint[0]);
        unit_assert(!to.capabilities_add);
        unit_assert_string(strv_map_get(to.tmpfs, "/tmp"), "size=1m");
        unit_assert_int(to.rlimits.n, 1);
        unit_assert(to.rlimits.items[0].values[1] == UINT64_MAX);
        json_object_put(json);
        container_config_done(&from);
        container_config_done(&to);
}

static void refuses_bad_json(void)
{
        static const char *const texts[] = {
                "[]",
                "{\"Image\": 3}",
                "{\"Command\": \"sh\"}",
                "{\"Command\": [1]}",
                "{\"Memory\": \"x\"}",
                "{\"Memory\": 3}",
                "{\"Tmpfs\": []}",
                "{\"Rlimits\": [[\"nofile\", 1]]}",
                "{\"Rlimits\": [3]}",
        };

        for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
                json_object *json = json_tokener_parse(texts[i]);
                ContainerConfig config = {};

                unit_assert_int(
                        options_from_json(container_options, container_options_n, &config, json),
                        -EBADMSG);
                container_config_done(&config);
                json_object_put(json);
        }
}

/* What is on unless it is turned off stays off. */
static void keeps_what_is_off(void)
{
        sd_bus *bus = bus_open();
        SandboxConfig config, again;
        json_object *json;

        unit_assert_int(read_sandbox(message_new(bus, "a{sv}", 0), &config).r, 0);
        unit_assert(config.balloon);
        sandbox_config_done(&config);
        unit_assert_int(read_sandbox(message_new(bus, "a{sv}", 1, "Balloon", "b", 0), &config).r,
                        0);
        unit_assert(!config.balloon);
        json = options_to_json(sandbox_options, sandbox_options_n, &config);
        sandbox_config_init(&again);
        unit_assert_int(options_from_json(sandbox_options, sandbox_options_n, &again, json), 0);
        unit_assert(!again.balloon);
        json_object_put(json);
        sandbox_config_done(&again);
        sandbox_config_done(&config);
        sd_bus_unref(bus);
}

UNIT_MAIN(UNIT_TEST(reads_every_type), UNIT_TEST(keeps_defaults), UNIT_TEST(refuses_by_name),
          UNIT_TEST(refuses_too_much), UNIT_TEST(goes_through_json), UNIT_TEST(refuses_bad_json),
          UNIT_TEST(keeps_what_is_off))
