/*
 * Devices and vCPUs that come and go, with a running uvm-shim between a VMM that obeys and a guest that
 * doesn't always: whatever the guest does, the VMM has what uvmd was told. Needs root.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/fd.h"
#include "test/unit.h"
#include "test/unit/shim_fixture.h"

static Fixture fixture;
static FakeAgent agent;

static void start(void)
{
        fixture_run(&fixture, &agent);
}

static void finish(void)
{
        ShimMessage message = {.type = SHIM_KILL};

        unit_assert_int(fixture_ask(&fixture, &message, NULL, 0), 0);
        fake_agent_break(&agent);
        fixture_disconnect(&fixture);
        fixture_end(&fixture);
}

/* What the VMM has, as its statistics say it. */
static ControlStats vmm_stats(void)
{
        ShimMessage message = {.type = SHIM_GET_STATS};
        uint32_t serial = fixture_send(&fixture, &message, NULL, 0);
        ControlMessage control;
        ShimStats stats;
        Frame frame;

        fake_agent_next(&agent, &frame);
        unit_assert_int(frame.type, AGENT_REQUEST_STATS);
        fake_agent_reply(&agent, frame.id, 0, 0);
        unit_assert_int(fixture_reply(&fixture, serial), 0);
        unit_assert_int(shim_stats_decode(fixture.payload, fixture.reply.payload_size, &stats), 0);
        unit_assert_int(control_decode(stats.vmm, stats.vmm_size, &control), 0);
        return control.stats;
}

/* The kind of the device in @slot, 0: none. */
static unsigned kind_in(uint32_t slot)
{
        ControlStats stats = vmm_stats();

        for (uint32_t i = 0; i < stats.n_devices; i++)
                if (stats.devices[i].slot == slot)
                        return stats.devices[i].kind;
        return 0;
}

/* Waits for the agent to be asked about a slot. The request's id. */
static uint32_t asked(AgentType type, uint32_t slot)
{
        AgentSlot payload;
        Frame frame;

        fake_agent_next(&agent, &frame);
        unit_assert_int(frame.type, type);
        unit_assert_int(agent_slot_decode(frame.payload, frame.size, &payload), 0);
        unit_assert_int(payload.slot, slot);
        return frame.id;
}

static uint32_t asked_cpus(uint32_t cpus)
{
        AgentCpus payload;
        Frame frame;

        fake_agent_next(&agent, &frame);
        unit_assert_int(frame.type, AGENT_REQUEST_CPUS);
        unit_assert_int(agent_cpus_decode(frame.payload, frame.size, &payload), 0);
        unit_assert_int(payload.cpus, cpus);
        return frame.id;
}

static uint32_t send_add(ShimDeviceKind kind)
{
        ShimMessage message = {.type = SHIM_ADD_DEVICE, .add_device.kind = kind};

        return fixture_send(&fixture, &message, NULL, 0);
}

static uint32_t send_remove(uint32_t slot)
{
        ShimMessage message = {.type = SHIM_REMOVE_DEVICE, .remove_device.slot = slot};

        return fixture_send(&fixture, &message, NULL, 0);
}

static void add(ShimDeviceKind kind, uint32_t slot)
{
        uint32_t serial = send_add(kind);

        fake_agent_reply(&agent, asked(AGENT_REQUEST_PLUG, slot), 0, 0);
        unit_assert_int(fixture_reply(&fixture, serial), 0);
        unit_assert_int(fixture.reply.value, slot);
}

static uint32_t send_vcpus(uint32_t vcpus)
{
        ShimMessage message = {.type = SHIM_SET_VCPUS, .set_vcpus.vcpus = vcpus};

        return fixture_send(&fixture, &message, NULL, 0);
}

/* Once the shim is done with what it has answered: it closes the fds that came with a message behind
 * that. */
static unsigned count_fds(void)
{
        ShimMessage message = {.type = SHIM_GET_CONSOLE};

        unit_assert_int(fixture_ask(&fixture, &message, NULL, 0), 0);
        return fixture_count_fds(&fixture);
}

/* The VMM's answer may come when the guest boots already: its driver has found the device all the same. */
static void test_boot_right_behind(void)
{
        ShimMessage boot = {.type = SHIM_BOOT};
        uint32_t added, booted;

        agent = (FakeAgent){.fd = FD_NONE};
        fixture_start(&fixture);
        unit_assert_int(fixture_launch(&fixture, "", 60000000), 0);
        added = send_add(SHIM_DEVICE_RNG);
        booted = fixture_send(&fixture, &boot, NULL, 0);
        unit_assert_int(fixture_reply(&fixture, added), 0);
        unit_assert_int(fixture.reply.value, 1);
        fake_agent_connect(&agent, &fixture);
        unit_assert_int(fixture_reply(&fixture, booted), 0);
        /* The agent is asked for statistics next, not for the device. */
        unit_assert_int(kind_in(1), CONTROL_DEVICE_RNG);
        finish();
}

static void test_network_device(void)
{
        ShimMessage message = {
                .type = SHIM_ADD_DEVICE,
                .add_device =
                        {
                                .kind = SHIM_DEVICE_NET,
                                .flags = SHIM_DEVICE_VHOST,
                                .mac = {2, 0, 0, 0, 0, 1},
                                .mtu = 1500,
                                .queues = 4,
                        },
        };
        ShimAddDevice *device = &message.add_device;
        unsigned before;
        uint32_t serial;
        int fds[8];

        for (unsigned i = 0; i < 8; i++)
                fds[i] = open("/dev/null", O_RDWR | O_CLOEXEC);
        start();
        before = count_fds();
        serial = fixture_send(&fixture, &message, fds, 8);
        fake_agent_reply(&agent, asked(AGENT_REQUEST_PLUG, 1), 0, 0);
        unit_assert_int(fixture_reply(&fixture, serial), 0);
        unit_assert_int(kind_in(1), CONTROL_DEVICE_NET);
        unit_assert_int(count_fds(), before);
        unit_assert_int(fixture_ask(&fixture, &message, fds, 7), -EINVAL);
        device->flags = 0;
        unit_assert_int(fixture_ask(&fixture, &message, fds, 8), -EINVAL);
        device->flags = SHIM_DEVICE_READ_ONLY;
        unit_assert_int(fixture_ask(&fixture, &message, fds, 4), -EINVAL);
        device->flags = 0;
        device->mac[0] = 1;
        unit_assert_int(fixture_ask(&fixture, &message, fds, 4), -EINVAL);
        unit_assert_int(count_fds(), before);
        for (unsigned i = 0; i < 8; i++)
                close(fds[i]);
        finish();
}

static void test_memory_and_link(void)
{
        ShimMessage resize = {.type = SHIM_RESIZE, .resize = {.slot = 1, .bytes = 1 << 20}};
        ShimMessage set_link = {.type = SHIM_SET_LINK, .set_link = {.slot = 1, .up = true}};
        ShimMessage throttle = {.type = SHIM_SET_THROTTLE,
                                .set_throttle = {.slot = 1, .direction = THROTTLE_RECEIVE}};

        start();
        unit_assert_int(fixture_ask(&fixture, &resize, NULL, 0), -ENODEV);
        add(SHIM_DEVICE_BALLOON, 1);
        add(SHIM_DEVICE_MEM, 2);
        unit_assert_int(kind_in(2), CONTROL_DEVICE_MEM);
        unit_assert_int(fixture_ask(&fixture, &resize, NULL, 0), 0);
        unit_assert_int(fixture.memory.slot, 1);
        unit_assert_int(fixture.memory.requested, 1 << 20);
        unit_assert_int(fixture.memory.actual, 1 << 19);
        unit_assert_int(fixture_ask(&fixture, &set_link, NULL, 0), 0);
        unit_assert_int(fixture_ask(&fixture, &throttle, NULL, 0), 0);
        finish();
}

/* A guest that says no: what was added is gone, what was to be removed stays. */
static void test_refused(void)
{
        uint32_t serial;

        start();
        serial = send_add(SHIM_DEVICE_RNG);
        fake_agent_reply(&agent, asked(AGENT_REQUEST_PLUG, 1), ENODEV, 0);
        unit_assert_int(fixture_reply(&fixture, serial), -ENODEV);
        unit_assert_int(kind_in(1), 0);
        add(SHIM_DEVICE_RNG, 1);
        serial = send_remove(1);
        fake_agent_reply(&agent, asked(AGENT_REQUEST_UNPLUG, 1), EBUSY, 0);
        unit_assert_int(fixture_reply(&fixture, serial), -EBUSY);
        unit_assert_int(kind_in(1), CONTROL_DEVICE_RNG);
        serial = send_remove(1);
        fake_agent_reply(&agent, asked(AGENT_REQUEST_UNPLUG, 1), 0, 0);
        unit_assert_int(fixture_reply(&fixture, serial), 0);
        unit_assert_int(kind_in(1), 0);
        finish();
}

/* A guest that says nothing, and then something after all. */
static void test_too_late(void)
{
        uint32_t remove, plug, vcpus, remove_id, plug_id, cpus_id;

        start();
        add(SHIM_DEVICE_RNG, 1);
        remove = send_remove(1);
        remove_id = asked(AGENT_REQUEST_UNPLUG, 1);
        plug = send_add(SHIM_DEVICE_BALLOON);
        plug_id = asked(AGENT_REQUEST_PLUG, 2);
        vcpus = send_vcpus(3);
        cpus_id = asked_cpus(3);
        unit_assert_int(fixture_reply(&fixture, send_remove(1)), -EBUSY);
        unit_assert_int(fixture_reply(&fixture, send_vcpus(2)), -EBUSY);
        unit_assert_int(fixture_reply(&fixture, remove), -ETIMEDOUT);
        unit_assert_string(fixture.reply.text, "the guest did not let go of the device in time");
        unit_assert_int(fixture_reply(&fixture, plug), -ETIMEDOUT);
        unit_assert_int(fixture_reply(&fixture, vcpus), -ETIMEDOUT);
        unit_assert_int(fixture.reply.value, 1);
        /* Still nobody knows what it will do. */
        unit_assert_int(fixture_reply(&fixture, send_remove(1)), -EBUSY);
        unit_assert_int(fixture_reply(&fixture, send_remove(2)), -EBUSY);
        unit_assert_int(fixture_reply(&fixture, send_vcpus(2)), -EBUSY);
        unit_assert_int(vmm_stats().vcpus, 3);
        unit_assert_int(kind_in(2), CONTROL_DEVICE_BALLOON);
        /* Unplugged late: it stays, and may be removed. */
        fake_agent_reply(&agent, remove_id, 0, 0);
        fake_agent_wait_ack(&agent);
        unit_assert_int(kind_in(1), CONTROL_DEVICE_RNG);
        remove = send_remove(1);
        fake_agent_reply(&agent, asked(AGENT_REQUEST_UNPLUG, 1), 0, 0);
        unit_assert_int(fixture_reply(&fixture, remove), 0);
        /* Plugged late: it is taken back. */
        fake_agent_reply(&agent, plug_id, 0, 0);
        fake_agent_reply(&agent, asked(AGENT_REQUEST_UNPLUG, 2), 0, 0);
        fake_agent_wait_ack(&agent);
        unit_assert_int(kind_in(2), 0);
        fake_agent_reply_cpus(&agent, cpus_id, 0, 3);
        fake_agent_wait_ack(&agent);
        unit_assert_int(vmm_stats().vcpus, 3);
        unit_assert_int(fixture.vcpus, 3);
        fixture.vcpus = 0;
        vcpus = send_vcpus(1);
        fake_agent_reply_cpus(&agent, asked_cpus(1), 0, 1);
        unit_assert_int(fixture_reply(&fixture, vcpus), 0);
        unit_assert_int(fixture.reply.value, 1);
        unit_assert_int(vmm_stats().vcpus, 1);
        unit_assert_int(fixture.vcpus, 0); /* an answer in time is all that is told of it */
        finish();
}

/* The VMM never has fewer than the guest uses. */
static void test_vcpus(void)
{
        uint32_t serial;

        start();
        unit_assert_int(fixture_reply(&fixture, send_vcpus(0)), -EINVAL);
        unit_assert_int(fixture_reply(&fixture, send_vcpus(5)), -EINVAL);
        serial = send_vcpus(4);
        fake_agent_reply_cpus(&agent, asked_cpus(4), 0, 4);
        unit_assert_int(fixture_reply(&fixture, serial), 0);
        unit_assert_int(fixture.reply.value, 4);
        /* Half of it. */
        serial = send_vcpus(2);
        fake_agent_reply_cpus(&agent, asked_cpus(2), EBUSY, 3);
        unit_assert_int(fixture_reply(&fixture, serial), -EBUSY);
        unit_assert_string(fixture.reply.text, "the guest: a CPU is in use");
        unit_assert_int(fixture.reply.value, 3);
        unit_assert_int(vmm_stats().vcpus, 4);
        /* A guest that says it did what it didn't. */
        serial = send_vcpus(2);
        fake_agent_reply_cpus(&agent, asked_cpus(2), 0, 3);
        unit_assert_int(fixture_reply(&fixture, serial), 0);
        unit_assert_int(fixture.reply.value, 3);
        unit_assert_int(vmm_stats().vcpus, 4);
        serial = send_vcpus(2);
        fake_agent_reply_cpus(&agent, asked_cpus(2), 0, 2);
        unit_assert_int(fixture_reply(&fixture, serial), 0);
        unit_assert_int(vmm_stats().vcpus, 2);
        serial = send_vcpus(4);
        fake_agent_reply_cpus(&agent, asked_cpus(4), EIO, 200);
        unit_assert_int(fixture_reply(&fixture, serial), -EIO);
        unit_assert_int(fixture.reply.value, 4);
        finish();
}

/* A guest that ends takes with it what it was asked. */
static void test_guest_ends(void)
{
        uint32_t serial, vcpus;

        start();
        serial = send_add(SHIM_DEVICE_RNG);
        asked(AGENT_REQUEST_PLUG, 1);
        vcpus = send_vcpus(2);
        asked_cpus(2);
        fixture_reset(&fixture);
        unit_assert_int(fixture_reply(&fixture, serial), -ECANCELED);
        unit_assert_int(fixture_reply(&fixture, vcpus), -ECANCELED);
        fake_agent_break(&agent);
        fixture_disconnect(&fixture);
        fixture_end(&fixture);
}

/* The guest hears what time it is after a pause. */
static void test_clock_after_pause(void)
{
        ShimMessage pause_it = {.type = SHIM_PAUSE}, resume = {.type = SHIM_RESUME};
        AgentTime time;
        Frame frame;

        start();
        unit_assert_int(fixture_ask(&fixture, &pause_it, NULL, 0), 0);
        unit_assert_int(fixture_reply(&fixture, send_vcpus(2)), -EBADFD);
        unit_assert_int(fixture_ask(&fixture, &resume, NULL, 0), 0);
        fake_agent_next(&agent, &frame);
        unit_assert_int(frame.type, AGENT_REQUEST_SET_TIME);
        unit_assert_int(agent_time_decode(frame.payload, frame.size, &time), 0);
        unit_assert(time.realtime_usec > UINT64_C(1577836800000000)); /* 2020 */
        fake_agent_reply(&agent, frame.id, 0, 0);
        finish();
}

int main(void)
{
        static const UnitTest tests[] = {
                UNIT_TEST(test_network_device),    UNIT_TEST(test_memory_and_link),
                UNIT_TEST(test_refused),           UNIT_TEST(test_too_late),
                UNIT_TEST(test_boot_right_behind), UNIT_TEST(test_vcpus),
                UNIT_TEST(test_guest_ends),        UNIT_TEST(test_clock_after_pause),
        };

        if (geteuid() != 0) {
                puts("1..0 # SKIP needs root, as uvmd does");
                return 0;
        }
        signal(SIGPIPE, SIG_IGN);
        return unit_run(tests, sizeof(tests) / sizeof(tests[0]));
}
