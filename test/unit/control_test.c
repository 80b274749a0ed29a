/* Every control message survives the way; what isn't one is refused. */
#include <errno.h>

#include "proto/control.h"
#include "test/unit.h"

static uint8_t buffer[CONTROL_MESSAGE_SIZE_MAX];

static size_t encode(const ControlMessage *message)
{
        size_t size;

        unit_assert_int(control_encode(message, buffer, sizeof(buffer), &size), 0);
        return size;
}

static ControlMessage round_trip(const ControlMessage *message)
{
        ControlMessage got;
        size_t size = encode(message);

        unit_assert_int(control_decode(buffer, size, &got), 0);
        unit_assert_int(got.type, message->type);
        unit_assert_int(got.serial, message->serial);
        /* Any shorter or longer is malformed. */
        for (size_t cut = 0; cut < size; cut++)
                unit_assert_int(control_decode(buffer, cut, &got), -EBADMSG);
        buffer[size] = 0;
        unit_assert_int(control_decode(buffer, size + 1, &got), -EBADMSG);
        unit_assert_int(control_decode(buffer, size, &got), 0);
        return got;
}

static void test_configure(void)
{
        ControlMessage message = {
                .type = CONTROL_CONFIGURE,
                .serial = 7,
                .configure = {.memory_bytes = 5ULL << 30,
                              .vcpus = 2,
                              .max_vcpus = 4,
                              .slots = 8,
                              .cmdline = "quiet"},
        };
        ControlMessage got = round_trip(&message);

        unit_assert_int(got.configure.memory_bytes, 5ULL << 30);
        unit_assert_int(got.configure.vcpus, 2);
        unit_assert_int(got.configure.max_vcpus, 4);
        unit_assert_int(got.configure.slots, 8);
        unit_assert_string(got.configure.cmdline, "quiet");
        unit_assert_int(control_fd_count(&got), 3);
}

static void check_configure_refused(uint32_t vcpus, uint32_t max_vcpus, uint32_t slots)
{
        ControlMessage message = {
                .type = CONTROL_CONFIGURE,
                .configure = {.vcpus = vcpus, .max_vcpus = max_vcpus, .slots = slots},
        };
        ControlMessage got;

        unit_assert_int(control_decode(buffer, encode(&message), &got), -EBADMSG);
}

static void test_configure_limits(void)
{
        check_configure_refused(0, 1, 1);
        check_configure_refused(2, 1, 1);
        check_configure_refused(1, CONTROL_VCPUS_MAX + 1, 1);
        check_configure_refused(1, 1, CONTROL_SLOTS_MAX + 1);
}

static void test_add_device(void)
{
        ControlMessage message = {
                .type = CONTROL_ADD_DEVICE,
                .serial = 1,
                .add_device = {.slot = CONTROL_SLOT_ANY, .kind = CONTROL_DEVICE_RNG},
        };
        ControlMessage got = round_trip(&message);

        unit_assert_int(got.add_device.kind, CONTROL_DEVICE_RNG);
        unit_assert_int(control_fd_count(&got), 0);

        message.add_device = (ControlAddDevice){
                .slot = 3, .kind = CONTROL_DEVICE_VSOCK, .vsock.guest_cid = 3};
        got = round_trip(&message);
        unit_assert_int(got.add_device.slot, 3);
        unit_assert_int(got.add_device.vsock.guest_cid, 3);

        message.add_device = (ControlAddDevice){
                .kind = CONTROL_DEVICE_P9, .p9 = {.tag = "root", .flags = CONTROL_P9_READ_ONLY}};
        got = round_trip(&message);
        unit_assert_string(got.add_device.p9.tag, "root");
        unit_assert_int(got.add_device.p9.flags, CONTROL_P9_READ_ONLY);
        unit_assert_int(control_fd_count(&got), 1);

        message.add_device.p9.flags = CONTROL_P9_BINDS;
        got = round_trip(&message);
        unit_assert_int(control_fd_count(&got), 0);

        message.add_device = (ControlAddDevice){
                .kind = CONTROL_DEVICE_BLOCK,
                .throttle = {.bytes = THROTTLE_MAX, .bytes_burst = 1, .ops = 2, .ops_burst = 3},
                .block = {.serial = "disk0", .flags = CONTROL_BLOCK_READ_ONLY},
        };
        got = round_trip(&message);
        unit_assert_string(got.add_device.block.serial, "disk0");
        unit_assert_int(got.add_device.block.flags, CONTROL_BLOCK_READ_ONLY);
        unit_assert(got.add_device.throttle.bytes == THROTTLE_MAX);
        unit_assert_int(got.add_device.throttle.ops_burst, 3);
        unit_assert_int(control_fd_count(&got), 1);
}

static void test_binds_and_throttles(void)
{
        ControlMessage message = {
                .type = CONTROL_ADD_BIND,
                .serial = 9,
                .add_bind = {.slot = 2, .flags = CONTROL_BIND_READ_ONLY, .name = "hosts"},
        };
        ControlMessage got = round_trip(&message);

        unit_assert_int(got.add_bind.slot, 2);
        unit_assert_int(got.add_bind.flags, CONTROL_BIND_READ_ONLY);
        unit_assert_string(got.add_bind.name, "hosts");
        unit_assert_int(control_fd_count(&got), 1);

        message = (ControlMessage){.type = CONTROL_REMOVE_BIND, .remove_bind.name = "hosts"};
        got = round_trip(&message);
        unit_assert_string(got.remove_bind.name, "hosts");
        unit_assert_int(control_fd_count(&got), 0);

        message = (ControlMessage){.type = CONTROL_SET_THROTTLE,
                                   .set_throttle = {.slot = 4, .limits = {.ops = 1000}}};
        got = round_trip(&message);
        unit_assert_int(got.set_throttle.slot, 4);
        unit_assert_int(got.set_throttle.limits.ops, 1000);
}

static void check_refused(const ControlMessage *message)
{
        ControlMessage got;

        unit_assert_int(control_decode(buffer, encode(message), &got), -EBADMSG);
}

static void test_binds_and_throttles_limits(void)
{
        static const char *const names[] = {"", ".", "..", "a/b", "/"};

        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
                ControlMessage message = {.type = CONTROL_ADD_BIND};

                strcpy(message.add_bind.name, names[i]);
                check_refused(&message);
        }
        check_refused(&(ControlMessage){.type = CONTROL_REMOVE_BIND,
                                        .remove_bind = {.name = "a", .flags = 1}});
        check_refused(&(ControlMessage){.type = CONTROL_SET_THROTTLE,
                                        .set_throttle.limits.bytes = THROTTLE_MAX + 1});
}

static void check_device_refused(const ControlAddDevice *add)
{
        ControlMessage message = {.type = CONTROL_ADD_DEVICE, .add_device = *add}, got;

        unit_assert_int(control_decode(buffer, encode(&message), &got), -EBADMSG);
}

static void test_add_device_limits(void)
{
        ControlMessage message = {.type = CONTROL_ADD_DEVICE,
                                  .add_device.kind = CONTROL_DEVICE_MAX};
        size_t size;

        check_device_refused(
                &(ControlAddDevice){.slot = CONTROL_SLOTS_MAX, .kind = CONTROL_DEVICE_RNG});
        check_device_refused(
                &(ControlAddDevice){.kind = CONTROL_DEVICE_VSOCK, .vsock.guest_cid = 2});
        check_device_refused(
                &(ControlAddDevice){.kind = CONTROL_DEVICE_VSOCK, .vsock.guest_cid = UINT32_MAX});
        check_device_refused(&(ControlAddDevice){.kind = CONTROL_DEVICE_P9});
        check_device_refused(
                &(ControlAddDevice){.kind = CONTROL_DEVICE_P9, .p9 = {.tag = "a", .flags = 4}});
        check_device_refused(&(ControlAddDevice){.kind = CONTROL_DEVICE_BLOCK});
        check_device_refused(&(ControlAddDevice){
                .kind = CONTROL_DEVICE_P9, .p9.tag = "a", .throttle.ops_burst = THROTTLE_MAX + 1});
        unit_assert_int(control_encode(&message, buffer, sizeof(buffer), &size), -ENOBUFS);
}

static ControlMessage net_message(void)
{
        return (ControlMessage){
                .type = CONTROL_ADD_DEVICE,
                .add_device = {.slot = 1,
                               .kind = CONTROL_DEVICE_NET,
                               .throttle.bytes = 1,
                               .net = {.mac = {2, 0, 0, 0, 0, 1},
                                       .mtu = 9000,
                                       .queues = 3,
                                       .receive.ops = 2}},
        };
}

static void test_net(void)
{
        ControlMessage message = net_message(), got = round_trip(&message);

        unit_assert_bytes(got.add_device.net.mac, message.add_device.net.mac, CONTROL_MAC_SIZE);
        unit_assert_int(got.add_device.net.mtu, 9000);
        unit_assert_int(got.add_device.net.receive.ops, 2);
        unit_assert_int(control_fd_count(&got), 3);
        message.add_device.net.flags = CONTROL_NET_VHOST;
        unit_assert_int(control_fd_count(&message), 6);
}

static void test_net_limits(void)
{
        ControlMessage message = net_message();

        message.add_device.net.mac[0] = 3; /* a group's */
        check_refused(&message);
        message = net_message();
        memset(message.add_device.net.mac, 0, CONTROL_MAC_SIZE);
        check_refused(&message);
        message = net_message();
        message.add_device.net.mtu = CONTROL_NET_MTU_MIN - 1;
        check_refused(&message);
        message = net_message();
        message.add_device.net.queues = CONTROL_NET_QUEUES_MAX + 1;
        check_refused(&message);
        message.add_device.net.queues = 0;
        check_refused(&message);
        message = net_message();
        message.add_device.net.flags = 2;
        check_refused(&message);
        message = net_message();
        message.add_device.net.receive.bytes = THROTTLE_MAX + 1;
        check_refused(&message);
}

static void test_sizes(void)
{
        ControlMessage message = {.type = CONTROL_SET_VCPUS, .set_vcpus.vcpus = CONTROL_VCPUS_MAX};

        unit_assert_int(round_trip(&message).set_vcpus.vcpus, CONTROL_VCPUS_MAX);
        message.set_vcpus.vcpus = 0;
        check_refused(&message);
        message = (ControlMessage){.type = CONTROL_RESIZE, .resize = {2, 1ULL << 40}};
        unit_assert(round_trip(&message).resize.bytes == 1ULL << 40);
        message = (ControlMessage){.type = CONTROL_MEMORY, .memory = {2, 5, 6}};
        unit_assert_int(round_trip(&message).memory.actual_bytes, 6);
        message = (ControlMessage){.type = CONTROL_SET_LINK, .set_link = {2, true}};
        unit_assert(round_trip(&message).set_link.up);
}

static void test_plain(void)
{
        static const ControlType types[] = {
                CONTROL_START, CONTROL_PAUSE,     CONTROL_RESUME,
                CONTROL_STOP,  CONTROL_GET_STATS, CONTROL_READY,
        };

        for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
                ControlMessage message = {.type = types[i], .serial = UINT32_MAX};
                ControlMessage got = round_trip(&message);

                unit_assert_int(control_fd_count(&got), 0);
                unit_assert_int(control_type_from_string(control_type_to_string(got.type)),
                                got.type);
        }
}

static void test_ports_and_slots(void)
{
        ControlMessage message = {.type = CONTROL_VSOCK_LISTEN, .vsock_listen.port = 1024};

        unit_assert_int(round_trip(&message).vsock_listen.port, 1024);
        message.type = CONTROL_VSOCK_UNLISTEN;
        unit_assert_int(round_trip(&message).vsock_unlisten.port, 1024);
        message = (ControlMessage){.type = CONTROL_VSOCK_CONNECT, .vsock_connect.guest_port = 5};
        unit_assert_int(round_trip(&message).vsock_connect.guest_port, 5);
        unit_assert_int(control_fd_count(&message), 1);
        message = (ControlMessage){.type = CONTROL_REMOVE_DEVICE, .remove_device.slot = 9};
        unit_assert_int(round_trip(&message).remove_device.slot, 9);
        message = (ControlMessage){
                .type = CONTROL_VSOCK_ACCEPTED,
                .vsock_accepted = {.guest_port = 1, .host_port = 2},
        };
        unit_assert_int(round_trip(&message).vsock_accepted.host_port, 2);
        unit_assert_int(control_fd_count(&message), 1);
}

static void test_reply(void)
{
        ControlMessage message = {.type = CONTROL_REPLY, .serial = 3, .reply = {.code = ENOSPC}};
        ControlMessage got;

        /* A text that fills its room is whole. */
        memset(message.reply.text, 'x', CONTROL_TEXT_SIZE_MAX);
        got = round_trip(&message);
        unit_assert_int(got.reply.code, ENOSPC);
        unit_assert_int(strlen(got.reply.text), CONTROL_TEXT_SIZE_MAX);
}

static void test_ended(void)
{
        ControlMessage message = {
                .type = CONTROL_ENDED,
                .ended = {.reason = CONTROL_END_TRIPLE_FAULT, .text = "rip 0"},
        };
        ControlMessage got = round_trip(&message);

        unit_assert_string(control_end_to_string(got.ended.reason), "triple-fault");
        unit_assert_string(got.ended.text, "rip 0");
        message.ended.reason = CONTROL_END_MAX;
        unit_assert_int(control_decode(buffer, encode(&message), &got), -EBADMSG);
        message.ended.reason = 0;
        unit_assert_int(control_decode(buffer, encode(&message), &got), -EBADMSG);
}

static void test_stats(void)
{
        ControlMessage message = {
                .type = CONTROL_STATS,
                .stats = {.vcpu_usec = 1, .all_exits = 2, .n_devices = CONTROL_SLOTS_MAX},
        };
        ControlMessage got;

        for (uint32_t i = 0; i < CONTROL_SLOTS_MAX; i++)
                message.stats.devices[i] = (ControlDeviceStats){.slot = i,
                                                                .kind = CONTROL_DEVICE_P9,
                                                                .requests = 100 + i,
                                                                .delayed_usec = 1000 + i,
                                                                .waiting = i};
        message.stats.exits[CONTROL_EXIT_MMIO] = 77;
        message.stats.memory.swap_out = 5;
        message.stats.vcpus = 3;
        got = round_trip(&message);
        unit_assert_int(got.stats.exits[CONTROL_EXIT_MMIO], 77);
        unit_assert_int(got.stats.memory.swap_out, 5);
        unit_assert_int(got.stats.vcpus, 3);
        unit_assert_int(got.stats.n_devices, CONTROL_SLOTS_MAX);
        unit_assert_int(got.stats.devices[CONTROL_SLOTS_MAX - 1].requests,
                        100 + CONTROL_SLOTS_MAX - 1);
        unit_assert_int(got.stats.devices[1].delayed_usec, 1001);
        unit_assert_int(got.stats.devices[7].waiting, 7);
        message.stats.devices[0].kind = CONTROL_DEVICE_MAX;
        unit_assert_int(control_decode(buffer, encode(&message), &got), -EBADMSG);
}

static void test_phase(void)
{
        ControlMessage message = {
                .type = CONTROL_PHASE,
                .phase = {.id = CONTROL_PHASE_FIRST_RUN, .usec = UINT64_MAX},
        };

        unit_assert(round_trip(&message).phase.usec == UINT64_MAX);
}

static void test_header(void)
{
        static const uint8_t unknown_type[] = {99, 0, 0, 0, 1, 0, 0, 0};
        static const uint8_t type_zero[] = {0, 0, 0, 0, 1, 0, 0, 0};
        static const uint8_t flags[] = {CONTROL_START, 0, 1, 0, 1, 0, 0, 0};
        ControlMessage got;

        unit_assert_int(control_decode(unknown_type, sizeof(unknown_type), &got), -EBADMSG);
        unit_assert_int(control_decode(type_zero, sizeof(type_zero), &got), -EBADMSG);
        unit_assert_int(control_decode(flags, sizeof(flags), &got), -EBADMSG);
        unit_assert_int(control_decode(NULL, 0, &got), -EBADMSG);
}

static void test_text_with_nul(void)
{
        ControlMessage message = {.type = CONTROL_REPLY, .reply.text = "abc"}, got;
        size_t size = encode(&message);

        buffer[size - 2] = 0;
        unit_assert_int(control_decode(buffer, size, &got), -EBADMSG);
}

UNIT_MAIN(UNIT_TEST(test_configure), UNIT_TEST(test_configure_limits), UNIT_TEST(test_add_device),
          UNIT_TEST(test_add_device_limits), UNIT_TEST(test_binds_and_throttles),
          UNIT_TEST(test_binds_and_throttles_limits), UNIT_TEST(test_net),
          UNIT_TEST(test_net_limits), UNIT_TEST(test_sizes), UNIT_TEST(test_plain),
          UNIT_TEST(test_ports_and_slots), UNIT_TEST(test_reply), UNIT_TEST(test_ended),
          UNIT_TEST(test_stats), UNIT_TEST(test_phase), UNIT_TEST(test_header),
          UNIT_TEST(test_text_with_nul))
