/* Limits of scopes: the way to systemd's properties and back, merging, and taking limits away. */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "test/unit.h"
#include "uvmd/configuration.h"
#include "uvmd/limits.h"

static sd_bus *bus_open(void)
{
        sd_bus *bus = NULL;
        int pair[2];

        unit_assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
        unit_assert(sd_bus_new(&bus) >= 0);
        unit_assert(sd_bus_set_fd(bus, pair[0], pair[0]) >= 0);
        unit_assert(sd_bus_start(bus) >= 0);
        fd_close(pair[1]);
        return bus;
}

static sd_bus_message *message_begin(sd_bus *bus)
{
        sd_bus_message *message = NULL;

        unit_assert(sd_bus_message_new_signal(bus, &message, "/a", "a.b", "C") >= 0);
        return message;
}

static void message_end(sd_bus_message *message)
{
        unit_assert(sd_bus_message_seal(message, 1, 0) >= 0);
        unit_assert(sd_bus_message_rewind(message, true) >= 0);
}

/* What systemd would get for @limits, read as what it would say. */
static void through_unit(sd_bus *bus, const UnitLimits *limits, UnitLimits *ret)
{
        sd_bus_message *message = message_begin(bus);
        int r;

        *ret = (UnitLimits){};
        unit_assert(sd_bus_message_open_container(message, 'a', "(sv)") >= 0);
        unit_assert(limits_append_unit(message, limits) >= 0);
        unit_assert(sd_bus_message_close_container(message) >= 0);
        message_end(message);
        unit_assert(sd_bus_message_enter_container(message, 'a', "(sv)") > 0);
        while ((r = sd_bus_message_enter_container(message, 'r', "sv")) > 0) {
                const char *name;

                unit_assert(sd_bus_message_read(message, "s", &name) > 0);
                unit_assert_int(limits_read_unit(message, name, ret), 1);
                unit_assert(sd_bus_message_exit_container(message) >= 0);
        }
        unit_assert_int(r, 0);
        sd_bus_message_unref(message);
}

static void goes_to_the_unit_and_back(void)
{
        sd_bus *bus = bus_open();
        char cpus[] = "0-2,9";
        UnitLimits limits = {.memory_max = 1 << 30,
                             .cpu_weight = UINT64_MAX,
                             .allowed_cpus = cpus,
                             .memory_low = UINT64_MAX},
                   read;

        unit_assert_int(option_list_set(&limits.io_read_iops, "/dev/vda", 300), 0);
        through_unit(bus, &limits, &read);
        unit_assert_int(read.memory_max, 1 << 30);
        unit_assert(read.cpu_weight == UINT64_MAX);
        /* Protection is taken away by protecting nothing. */
        unit_assert(read.memory_low == 0);
        unit_assert_string(read.allowed_cpus, "0-2,9");
        unit_assert_int(read.io_read_iops.n, 1);
        unit_assert_string(read.io_read_iops.items[0].name, "/dev/vda");
        unit_assert_int(read.io_read_iops.items[0].values[0], 300);
        options_tidy(limits_options, limits_options_n, &read);
        unit_assert(read.cpu_weight == 0);
        limits_done(&read);
        limits.allowed_cpus = NULL;
        limits_done(&limits);
        sd_bus_unref(bus);
}

static void merges_what_is_given(void)
{
        UnitLimits kept = {.memory_max = 1 << 30, .cpu_weight = 50};
        UnitLimits given = {.cpu_weight = 70, .tasks_max = UINT64_MAX, .allowed_cpus = strdup("1")};

        unit_assert_int(option_list_set(&kept.io_read_iops, "/a", 1), 0);
        unit_assert_int(option_list_set(&kept.io_read_iops, "/b", 2), 0);
        unit_assert_int(option_list_set(&given.io_read_iops, "/b", UINT64_MAX), 0);
        unit_assert_int(option_list_set(&given.io_read_iops, "/c", 3), 0);
        unit_assert_int(options_merge(limits_options, limits_options_n, &kept, &given), 0);
        unit_assert(!given.allowed_cpus && !given.io_read_iops.items);
        unit_assert_int(kept.memory_max, 1 << 30);
        unit_assert_int(kept.cpu_weight, 70);
        unit_assert(kept.tasks_max == UINT64_MAX);
        unit_assert_string(kept.allowed_cpus, "1");
        unit_assert_int(kept.io_read_iops.n, 3);
        options_tidy(limits_options, limits_options_n, &kept);
        unit_assert(kept.tasks_max == 0);
        unit_assert_int(kept.io_read_iops.n, 2);
        unit_assert_string(kept.io_read_iops.items[1].name, "/c");
        limits_done(&kept);
}

/* a{sv} of one value as SetLimits reads it. */
static int read_one(sd_bus *bus, const char *key, uint64_t value, UnitLimits *ret)
{
        sd_bus_message *message = message_begin(bus);
        int r;

        *ret = (UnitLimits){};
        unit_assert(sd_bus_message_append(message, "a{sv}", 1, key, "t", value) >= 0);
        message_end(message);
        r = options_read(message, limits_options, limits_options_n, ret, NULL);
        sd_bus_message_unref(message);
        return r;
}

static void takes_no_limit_for_a_value(void)
{
        sd_bus *bus = bus_open();
        UnitLimits limits;

        unit_assert_int(read_one(bus, "CPUWeight", UINT64_MAX, &limits), 0);
        unit_assert(limits.cpu_weight == UINT64_MAX);
        unit_assert_int(read_one(bus, "CPUWeight", 10001, &limits), -ERANGE);
        unit_assert_int(read_one(bus, "MemoryMax", 0, &limits), -ERANGE);
        limits = (UnitLimits){.memory_max = 1 << 20, .memory_high = 1 << 21};
        unit_assert_int(limits_check(&limits, NULL), -EINVAL);
        limits.memory_high = UINT64_MAX;
        unit_assert_int(limits_check(&limits, NULL), 0);
        sd_bus_unref(bus);
}

static void says_what_is_given(void)
{
        sd_bus *bus = bus_open();
        sd_bus_message *message = message_begin(bus);
        UnitLimits limits = {.tasks_max = 9, .allowed_cpus = strdup("3")}, again = {};

        unit_assert_int(option_list_set(&limits.io_write_bandwidth, "/", 5), 0);
        unit_assert(sd_bus_message_open_container(message, 'a', "{sv}") >= 0);
        unit_assert(options_append(message, limits_options, limits_options_n, &limits) >= 0);
        unit_assert(sd_bus_message_close_container(message) >= 0);
        message_end(message);
        unit_assert_int(options_read(message, limits_options, limits_options_n, &again, NULL), 0);
        unit_assert_int(again.tasks_max, 9);
        unit_assert_string(again.allowed_cpus, "3");
        unit_assert_int(again.io_write_bandwidth.n, 1);
        unit_assert(again.memory_max == 0);
        limits_done(&again);
        limits_done(&limits);
        sd_bus_message_unref(message);
        sd_bus_unref(bus);
}

UNIT_MAIN(UNIT_TEST(goes_to_the_unit_and_back), UNIT_TEST(merges_what_is_given),
          UNIT_TEST(takes_no_limit_for_a_value), UNIT_TEST(says_what_is_given))
