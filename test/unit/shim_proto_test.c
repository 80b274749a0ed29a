/* The messages between uvmd and uvm-shim: there and back, and what must be refused. */
#include <errno.h>

#include "proto/shim.h"
#include "test/unit.h"

static uint8_t buffer[SHIM_MESSAGE_MAX];

static ShimMessage there_and_back(const ShimMessage *message)
{
        static uint8_t again[SHIM_MESSAGE_MAX];
        ShimMessage result;
        size_t size, size_again;

        unit_assert_int(shim_encode(message, buffer, sizeof(buffer), &size), 0);
        unit_assert_int(shim_decode(buffer, size, &result), 0);
        unit_assert_int(result.type, message->type);
        unit_assert_int(result.serial, message->serial);
        unit_assert_int(shim_encode(&result, again, sizeof(again), &size_again), 0);
        unit_assert_int(size_again, size);
        unit_assert_bytes(again, buffer, size);

        /* No prefix of a message and nothing longer is one. */
        for (size_t cut = 0; cut < size && cut < 4096; cut++) {
                ShimMessage none;

                unit_assert_int(shim_decode(buffer, cut, &none), -EBADMSG);
        }
        buffer[size] = 0;
        ShimMessage longer;
        unit_assert_int(shim_decode(buffer, size + 1, &longer), -EBADMSG);
        return result;
}

static void test_launch(void)
{
        ShimMessage message = {
                .type = SHIM_LAUNCH,
                .serial = 7,
                .launch =
                        {
                                .flags = SHIM_LAUNCH_IDENTITY,
                                .range_base = 0x10000,
                                .range_size = 0x10000,
                                .vcpus = 1,
                                .max_vcpus = 4,
                                .slots = 8,
                                .memory = 128ULL << 20,
                                .boot_usec = 10000000,
                                .stop_usec = 5000000,
                                .vmm = "/usr/libexec/uvm/uvm-vmm",
                                .cmdline = "quiet",
                                .hostname = "web",
                                .name = "web",
                                .owner = "0",
                        },
        };
        ShimMessage result = there_and_back(&message);

        unit_assert_int(result.launch.memory, 128 << 20);
        unit_assert_string(result.launch.vmm, "/usr/libexec/uvm/uvm-vmm");
        unit_assert_string(result.launch.owner, "0");
}

static void test_every_request(void)
{
        const ShimMessage messages[] = {
                {.type = SHIM_ADD_DEVICE,
                 .serial = 1,
                 .add_device =
                         {.kind = SHIM_DEVICE_P9, .flags = 1, .tag = "root", .throttle.ops = 5}},
                {.type = SHIM_ADD_BIND, .serial = 1, .add_bind = {1, SHIM_BIND_READ_ONLY, "hosts"}},
                {.type = SHIM_REMOVE_BIND, .serial = 1, .remove_bind = {1, 0, "hosts"}},
                {.type = SHIM_SET_THROTTLE,
                 .serial = 1,
                 .set_throttle = {1, THROTTLE_RECEIVE, {.bytes = 1 << 20}}},
                {.type = SHIM_ADD_DEVICE,
                 .serial = 1,
                 .add_device = {.kind = SHIM_DEVICE_NET,
                                .flags = SHIM_DEVICE_VHOST,
                                .mac = {2, 1, 2, 3, 4, 5},
                                .mtu = 1500,
                                .queues = CONTROL_NET_QUEUES_MAX,
                                .receive.bytes = 5}},
                {.type = SHIM_SET_VCPUS, .serial = 1, .set_vcpus = {4}},
                {.type = SHIM_RESIZE, .serial = 1, .resize = {3, 1ULL << 40}},
                {.type = SHIM_SET_LINK, .serial = 1, .set_link = {3, true}},
                {.type = SHIM_REMOVE_DEVICE, .serial = 2, .remove_device = {5}},
                {.type = SHIM_BOOT, .serial = 3},
                {.type = SHIM_PAUSE, .serial = 4},
                {.type = SHIM_RESUME, .serial = 5},
                {.type = SHIM_AGENT_REQUEST,
                 .serial = 6,
                 .agent_request = {9, 18, (const uint8_t *)"payload", 7}},
                {.type = SHIM_ADD_PROCESS,
                 .serial = 7,
                 .add_process = {9, SHIM_PROCESS_JOURNAL, "c", "p", "name", "top"}},
                {.type = SHIM_ATTACH, .serial = 8, .attach = {9, SHIM_ATTACH_PRIMARY, 7}},
                {.type = SHIM_ACK_EXIT, .serial = 9, .ack_exit = {9}},
                {.type = SHIM_STOP, .serial = 10, .stop = {UINT64_MAX}},
                {.type = SHIM_KILL, .serial = 11},
                {.type = SHIM_GET_STATS, .serial = 12},
                {.type = SHIM_GET_CONSOLE, .serial = 13},
        };

        for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++)
                there_and_back(&messages[i]);
}

static void test_every_event(void)
{
        const ShimMessage messages[] = {
                {.type = SHIM_REPLY,
                 .serial = 1,
                 .reply = {-ENOENT, 3, "no such process", NULL, 0}},
                {.type = SHIM_HELLO,
                 .hello = {{SHIM_RUNNING, SHIM_REASON_NONE, ""}, 10, 11, {1, 2, 3}}},
                {.type = SHIM_SYNCED},
                {.type = SHIM_STATE, .state = {SHIM_STOPPED, SHIM_REASON_PANIC, "it panicked"}},
                {.type = SHIM_PHASE, .phase = {SHIM_PHASE_AGENT, 123456789}},
                {.type = SHIM_PROCESS,
                 .process = {9, SHIM_PROCESS_EXITED, 137, true, false, true, 1, 2}},
                {.type = SHIM_MEMORY, .memory = {3, 1ULL << 30, 1ULL << 29}},
                {.type = SHIM_VCPUS, .vcpus = {3}},
                {.type = SHIM_AGENT_EVENT, .agent_event = {65, (const uint8_t *)"x", 1}},
        };

        for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++)
                there_and_back(&messages[i]);
}

static void test_largest_payload(void)
{
        static const uint8_t payload[SHIM_PAYLOAD_MAX + 1];
        ShimMessage message = {
                .type = SHIM_REPLY,
                .serial = 1,
                .reply = {.payload = payload, .payload_size = SHIM_PAYLOAD_MAX},
        };
        size_t size;

        memset(message.reply.text, 'x', SHIM_TEXT_MAX);
        unit_assert_int(shim_encode(&message, buffer, sizeof(buffer), &size), 0);
        message.reply.payload_size++;
        unit_assert_int(shim_encode(&message, buffer, sizeof(buffer), &size), -EINVAL);
}

static void test_refused(void)
{
        ShimMessage message = {.type = SHIM_PROCESS, .process = {.state = SHIM_PROCESS_EXITED}};
        ShimMessage result;
        size_t size;

        unit_assert_int(shim_encode(&message, buffer, sizeof(buffer), &size), 0);
        buffer[SHIM_HEADER_SIZE + 8] = SHIM_PROCESS_STATE_MAX_;
        unit_assert_int(shim_decode(buffer, size, &result), -EBADMSG);

        message = (ShimMessage){.type = (ShimType)200};
        unit_assert_int(shim_encode(&message, buffer, sizeof(buffer), &size), -EINVAL);

        /* A flag nobody knows, and a NUL inside a text. */
        message = (ShimMessage){.type = SHIM_STATE, .state = {.text = "abc"}};
        unit_assert_int(shim_encode(&message, buffer, sizeof(buffer), &size), 0);
        buffer[2] = 1;
        unit_assert_int(shim_decode(buffer, size, &result), -EBADMSG);
        buffer[2] = 0;
        buffer[size - 2] = 0;
        unit_assert_int(shim_decode(buffer, size, &result), -EBADMSG);
}

static void test_end_record(void)
{
        ShimEndRecord record = {
                .reason = SHIM_REASON_OOM,
                .vmm_status = 9,
                .usec = 42,
                .text = "out of memory",
        };
        ShimEndRecord result;
        size_t size;

        unit_assert_int(shim_end_encode(&record, buffer, sizeof(buffer), &size), 0);
        unit_assert_int(shim_end_decode(buffer, size, &result), 0);
        unit_assert_int(result.reason, SHIM_REASON_OOM);
        unit_assert_string(result.text, "out of memory");
        for (size_t i = 0; i < size; i++) {
                buffer[i] ^= 1;
                unit_assert_int(shim_end_decode(buffer, size, &result), -EBADMSG);
                buffer[i] ^= 1;
                unit_assert_int(shim_end_decode(buffer, i, &result), -EBADMSG);
        }
}

static void test_stats(void)
{
        ShimStats stats = {.vmm = (const uint8_t *)"vmm", .vmm_size = 3}, result;
        size_t size;

        unit_assert_int(shim_stats_encode(&stats, buffer, sizeof(buffer), &size), 0);
        unit_assert_int(shim_stats_decode(buffer, size, &result), 0);
        unit_assert_int(result.vmm_size, 3);
        unit_assert_int(result.agent_size, 0);
}

UNIT_MAIN(UNIT_TEST(test_launch), UNIT_TEST(test_every_request), UNIT_TEST(test_every_event),
          UNIT_TEST(test_largest_payload), UNIT_TEST(test_refused), UNIT_TEST(test_end_record),
          UNIT_TEST(test_stats))
