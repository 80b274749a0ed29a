/* What the shim's tests stand on; see shim_fixture.h. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/io.h"
#include "test/unit.h"

#include "test/unit/shim_fixture.h"

#define FIXTURE_LIMIT_SECONDS 60

static int connect_unix(const char *path, int type)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

        unit_assert(fd >= 0);
        snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
        if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
                unit_fail("connect %s: %s", path, strerror(errno));
        return fd;
}

static int connect_in(const Fixture *fixture, const char *name, int type)
{
        char path[96];

        snprintf(path, sizeof(path), "%s/%s", fixture->dir, name);
        return connect_unix(path, type);
}

static void wait_readable(int fd, const char *what)
{
        struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

        if (poll(&poll_fd, 1, FIXTURE_LIMIT_SECONDS * 1000) <= 0)
                unit_fail("no %s in time", what);
}

/* ---- the link */

static void record_process(Fixture *fixture, const ShimProcess *process)
{
        unsigned i = 0;

        while (i < fixture->n_processes && fixture->processes[i].process != process->process)
                i++;
        unit_assert(i < FIXTURE_PROCESSES);
        fixture->processes[i] = *process;
        if (i == fixture->n_processes)
                fixture->n_processes++;
}

static void record(Fixture *fixture, const ShimMessage *message)
{
        switch (message->type) {
        case SHIM_REPLY:
                fixture->reply = message->reply;
                fixture->replied = message->serial;
                if (message->reply.payload_size > 0)
                        memcpy(fixture->payload, message->reply.payload,
                               message->reply.payload_size);
                fixture->reply.payload = fixture->payload;
                break;
        case SHIM_HELLO:
                fixture->hello = message->hello;
                fixture->status = message->hello.status;
                memcpy(fixture->phases, message->hello.phases, sizeof(fixture->phases));
                break;
        case SHIM_SYNCED:
                fixture->synced = true;
                break;
        case SHIM_STATE:
                fixture->status = message->state;
                break;
        case SHIM_PHASE:
                fixture->phases[message->phase.phase] = message->phase.usec;
                break;
        case SHIM_PROCESS:
                record_process(fixture, &message->process);
                break;
        case SHIM_VCPUS:
                fixture->vcpus = message->vcpus.online;
                break;
        case SHIM_MEMORY:
                fixture->memory = message->memory;
                break;
        case SHIM_AGENT_EVENT:
                break;
        default:
                unit_fail("the shim sends a %d", message->type);
        }
}

/* False: the link has ended. */
static bool receive(Fixture *fixture)
{
        static uint8_t buffer[SHIM_MESSAGE_MAX];
        ShimMessage message;
        IoMessage io;

        wait_readable(fixture->link, "message of the shim");
        unit_assert_int(io_recv(fixture->link, buffer, sizeof(buffer), &io), 0);
        if (io.size == 0)
                return false;
        unit_assert_int(io.n_fds, 0);
        unit_assert_int(shim_decode(buffer, io.size, &message), 0);
        record(fixture, &message);
        return true;
}

void fixture_poll(Fixture *fixture)
{
        struct pollfd poll_fd = {.fd = fixture->link, .events = POLLIN};

        while (poll(&poll_fd, 1, 0) > 0 && receive(fixture))
                ;
}

uint32_t fixture_send(Fixture *fixture, ShimMessage *message, const int *fds, unsigned n_fds)
{
        static uint8_t buffer[SHIM_MESSAGE_MAX];
        size_t size;

        message->serial = ++fixture->serial;
        unit_assert_int(shim_encode(message, buffer, sizeof(buffer), &size), 0);
        unit_assert_int(io_send(fixture->link, buffer, size, fds, n_fds), 0);
        return message->serial;
}

int fixture_reply(Fixture *fixture, uint32_t serial)
{
        while (fixture->replied != serial)
                if (!receive(fixture))
                        unit_fail("the link ended before the reply");
        return fixture->reply.error;
}

int fixture_ask(Fixture *fixture, ShimMessage *message, const int *fds, unsigned n_fds)
{
        return fixture_reply(fixture, fixture_send(fixture, message, fds, n_fds));
}

void fixture_wait_state(Fixture *fixture, ShimState state)
{
        while (fixture->status.state != state)
                if (!receive(fixture))
                        unit_fail("the link ended before state %s", shim_state_to_string(state));
}

const ShimProcess *fixture_wait_process(Fixture *fixture, uint64_t token, ShimProcessState state)
{
        for (;;) {
                for (unsigned i = 0; i < fixture->n_processes; i++)
                        if (fixture->processes[i].process == token &&
                            fixture->processes[i].state == state)
                                return &fixture->processes[i];
                if (!receive(fixture))
                        unit_fail("the link ended before process %u was %s", (unsigned)token,
                                  shim_process_state_to_string(state));
        }
}

static void sync_link(Fixture *fixture)
{
        static const int size = SHIM_SOCKET_BUFFER;

        unit_assert_int(setsockopt(fixture->link, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), 0);
        fixture->synced = false;
        fixture->n_processes = 0;
        while (!fixture->synced)
                unit_assert(receive(fixture));
}

void fixture_disconnect(Fixture *fixture)
{
        fixture->link = fd_close(fixture->link);
}

void fixture_reconnect(Fixture *fixture)
{
        fixture->link = connect_in(fixture, "shim.sock", SOCK_SEQPACKET);
        sync_link(fixture);
}

/* ---- life */

static _Noreturn void exec_shim(int link)
{
        const char *program = getenv("UVM_SHIM");
        int fds[] = {link};

        /* No leak check in a process that may not be traced. */
        setenv("ASAN_OPTIONS", "detect_leaks=0", 1);
        setsid();
        if (fd_pass_to_exec(fds, 1, 3) == 0)
                execl(program, "uvm-shim", "--id", FIXTURE_ID, "--fd", "3", NULL);
        _exit(98);
}

void fixture_start(Fixture *fixture)
{
        int pair[2];

        *fixture = (Fixture){.dir = "/tmp/uvm-shim-XXXXXX", .link = FD_NONE};
        unit_assert(mkdtemp(fixture->dir));
        /* The stand-in for the VMM binds its ports here, as the sandbox's user. */
        unit_assert_int(chmod(fixture->dir, 0777), 0);
        unit_assert_int(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
        fflush(stdout);
        fixture->shim = fork();
        unit_assert(fixture->shim >= 0);
        if (fixture->shim == 0)
                exec_shim(pair[1]);
        close(pair[1]);
        fixture->link = pair[0];
        sync_link(fixture);
        unit_assert_int(fixture->status.state, SHIM_WAITING);
}

int fixture_launch(Fixture *fixture, const char *what, uint64_t boot_usec)
{
        int fds[SHIM_LAUNCH_FDS], r;
        ShimMessage message = {
                .type = SHIM_LAUNCH,
                .launch =
                        {
                                .range_base = FIXTURE_RANGE,
                                .range_size = 65536,
                                .vcpus = 1,
                                .max_vcpus = 4,
                                .slots = 8,
                                .memory = 64 << 20,
                                .boot_usec = boot_usec,
                                .stop_usec = 1000000,
                                .hostname = "guest",
                                .name = "test",
                                .owner = "0",
                        },
        };

        snprintf(message.launch.vmm, sizeof(message.launch.vmm), "%s", getenv("UVM_FAKE_VMM"));
        snprintf(message.launch.cmdline, sizeof(message.launch.cmdline), "%s %s", fixture->dir,
                 what);
        fds[SHIM_LAUNCH_FD_RUN_DIR] = open(fixture->dir, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
        fds[SHIM_LAUNCH_FD_KVM] = open("/dev/null", O_RDWR | O_CLOEXEC);
        fds[SHIM_LAUNCH_FD_FIRMWARE] = open("/dev/null", O_RDONLY | O_CLOEXEC);
        r = fixture_ask(fixture, &message, fds, SHIM_LAUNCH_FDS);
        fd_close_many(fds, SHIM_LAUNCH_FDS);
        return r;
}

void fixture_remove_directory(const char *path)
{
        DIR *dir = opendir(path);
        struct dirent *entry;

        unit_assert(dir);
        while ((entry = readdir(dir)))
                if (unlinkat(dirfd(dir), entry->d_name, 0) < 0)
                        unlinkat(dirfd(dir), entry->d_name, AT_REMOVEDIR);
        closedir(dir);
        unit_assert_int(rmdir(path), 0);
}

void fixture_end(Fixture *fixture)
{
        int status;

        unit_assert_int(waitpid(fixture->shim, &status, 0), fixture->shim);
        if (status != 0)
                unit_fail("the shim ended with status 0x%x", (unsigned)status);
        fixture->link = fd_close(fixture->link);
        fixture_remove_directory(fixture->dir);
}

unsigned fixture_count_fds(const Fixture *fixture)
{
        char path[64];
        unsigned n = 0;
        DIR *dir;

        snprintf(path, sizeof(path), "/proc/%d/fd", fixture->shim);
        dir = opendir(path);
        unit_assert(dir);
        while (readdir(dir))
                n++;
        closedir(dir);
        return n;
}

void fixture_read_end(Fixture *fixture, ShimEndRecord *ret)
{
        uint8_t data[SHIM_END_SIZE_MAX + 1];
        char path[64];
        ssize_t n;
        int fd;

        snprintf(path, sizeof(path), "%s/end", fixture->dir);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        unit_assert(fd >= 0);
        n = read(fd, data, sizeof(data));
        close(fd);
        unit_assert(n > 0);
        unit_assert_int(shim_end_decode(data, (size_t)n, ret), 0);
}

void fixture_reset(Fixture *fixture)
{
        close(connect_in(fixture, "reset", SOCK_STREAM));
}

/* ---- the guest's agent */

static void fake_agent_send(FakeAgent *agent, uint16_t type, uint32_t id, const void *payload,
                            size_t size)
{
        FrameQueue queue = {};

        unit_assert_int(frame_queue_put(&queue, type, id, payload, size), 0);
        unit_assert_int(frame_queue_write(&queue, agent->fd), 0);
        frame_queue_done(&queue);
}

static void fake_agent_read(FakeAgent *agent, Frame *ret)
{
        int r;

        while ((r = frame_reader_next(&agent->reader, ret)) == -EAGAIN) {
                wait_readable(agent->fd, "frame for the agent");
                unit_assert_int(frame_reader_read(&agent->reader, agent->fd), 0);
        }
        unit_assert_int(r, 0);
        if (ret->type == AGENT_ACK) {
                AgentAck ack;

                unit_assert_int(agent_ack_decode(ret->payload, ret->size, &ack), 0);
                agent->acknowledged = ack.sequence;
        }
}

void fake_agent_connect(FakeAgent *agent, const Fixture *fixture)
{
        AgentHello hello = {
                .version = AGENT_VERSION,
                .last_request = agent->last_request,
                .last_sequence = agent->sequence,
        };
        uint8_t payload[512];
        AgentWelcome welcome;
        size_t size;
        Frame frame;

        agent->fd = connect_in(fixture, "1024", SOCK_STREAM);
        unit_assert_int(agent_hello_encode(&hello, payload, sizeof(payload), &size), 0);
        fake_agent_send(agent, AGENT_HELLO, 0, payload, size);
        fake_agent_read(agent, &frame);
        unit_assert_int(frame.type, AGENT_WELCOME);
        unit_assert_int(agent_welcome_decode(frame.payload, frame.size, &welcome), 0);
        unit_assert_string(welcome.hostname, "guest");
        unit_assert(welcome.seed_size > 0 && welcome.realtime_usec > 0);
        agent->host_sequence = welcome.last_sequence;
        agent_welcome_done(&welcome);
}

void fake_agent_break(FakeAgent *agent)
{
        agent->fd = fd_close(agent->fd);
        frame_reader_done(&agent->reader);
}

void fake_agent_next(FakeAgent *agent, Frame *ret)
{
        do
                fake_agent_read(agent, ret);
        while (ret->type == AGENT_ACK);
        unit_assert(ret->id > agent->last_request);
        agent->last_request = ret->id;
}

void fake_agent_wait_ack(FakeAgent *agent)
{
        Frame frame;

        while (agent->acknowledged < agent->sequence) {
                fake_agent_read(agent, &frame);
                unit_assert_int(frame.type, AGENT_ACK);
        }
}

static void fake_agent_answer(FakeAgent *agent, uint32_t id, AgentReply *reply)
{
        uint8_t payload[256];
        size_t size;

        reply->sequence = ++agent->sequence;
        unit_assert_int(agent_reply_encode(reply, payload, sizeof(payload), &size), 0);
        fake_agent_send(agent, AGENT_REPLY, id, payload, size);
}

void fake_agent_reply(FakeAgent *agent, uint32_t id, uint32_t code, uint8_t exit_code)
{
        fake_agent_answer(agent, id, &(AgentReply){.code = code, .exit_code = exit_code});
}

void fake_agent_reply_cpus(FakeAgent *agent, uint32_t id, uint32_t code, uint32_t cpus)
{
        AgentReply reply = {.code = code, .text = code ? (char *)"a CPU is in use" : NULL};
        uint8_t payload[16];
        size_t size;

        unit_assert_int(
                agent_cpus_encode(&(AgentCpus){.cpus = cpus}, payload, sizeof(payload), &size), 0);
        reply.payload = payload;
        reply.payload_size = (uint32_t)size;
        fake_agent_answer(agent, id, &reply);
}

void fake_agent_exited(FakeAgent *agent, const char *container, const char *process, uint8_t code,
                       uint64_t stdout_bytes, uint64_t stderr_bytes)
{
        AgentExited exited = {
                .sequence = ++agent->sequence,
                .container = (char *)container,
                .process = (char *)process,
                .exit_code = code,
                .stdout_bytes = stdout_bytes,
                .stderr_bytes = stderr_bytes,
        };
        uint8_t payload[256];
        size_t size;

        unit_assert_int(agent_exited_encode(&exited, payload, sizeof(payload), &size), 0);
        fake_agent_send(agent, AGENT_EVENT_EXITED, 0, payload, size);
}

void fake_agent_goodbye(FakeAgent *agent)
{
        AgentGoodbye goodbye = {.sequence = ++agent->sequence, .text = NULL};
        uint8_t payload[64];
        size_t size;

        unit_assert_int(agent_goodbye_encode(&goodbye, payload, sizeof(payload), &size), 0);
        fake_agent_send(agent, AGENT_EVENT_GOODBYE, 0, payload, size);
        fake_agent_wait_ack(agent);
}

int fake_agent_stream(const Fixture *fixture, uint64_t token, AgentStream which)
{
        uint8_t preamble[AGENT_PREAMBLE_SIZE];
        int fd = connect_in(fixture, "1025", SOCK_STREAM);

        agent_preamble_encode(&(AgentPreamble){.which = which, .token = token}, preamble);
        unit_assert_int(io_write_full(fd, preamble, sizeof(preamble)), 0);
        return fd;
}

/* ---- shortcuts */

void fixture_run(Fixture *fixture, FakeAgent *agent)
{
        ShimMessage boot = {.type = SHIM_BOOT};
        uint32_t serial;

        *agent = (FakeAgent){.fd = FD_NONE};
        fixture_start(fixture);
        unit_assert_int(fixture_launch(fixture, "", 60000000), 0);
        unit_assert_int(fixture->status.state, SHIM_CREATED);
        serial = fixture_send(fixture, &boot, NULL, 0);
        fixture_wait_state(fixture, SHIM_STARTING);
        fake_agent_connect(agent, fixture);
        unit_assert_int(fixture_reply(fixture, serial), 0);
        unit_assert_int(fixture->status.state, SHIM_RUNNING);
}

void fixture_add_process(Fixture *fixture, uint64_t token, uint32_t flags)
{
        ShimMessage message = {
                .type = SHIM_ADD_PROCESS,
                .add_process = {.process = token, .flags = flags, .identifier = "test"},
        };

        snprintf(message.add_process.container_id, sizeof(message.add_process.container_id), "c%u",
                 (unsigned)token);
        unit_assert_int(fixture_ask(fixture, &message, NULL, 0), 0);
}

void fixture_attach(Fixture *fixture, uint64_t token, uint32_t flags, uint32_t streams,
                    int ends[SHIM_STREAM_MAX_])
{
        ShimMessage message = {
                .type = SHIM_ATTACH,
                .attach = {.process = token, .flags = flags, .streams = streams},
        };
        int fds[SHIM_STREAM_MAX_];
        unsigned n = 0;

        for (unsigned i = 0; i < SHIM_STREAM_MAX_; i++) {
                int pair[2];

                ends[i] = FD_NONE;
                if (!(streams & (1U << i)))
                        continue;
                unit_assert_int(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
                ends[i] = pair[0];
                fds[n++] = pair[1];
        }
        unit_assert_int(fixture_ask(fixture, &message, fds, n), 0);
        fd_close_many(fds, n);
}

void fixture_start_process(Fixture *fixture, FakeAgent *agent, uint64_t token, uint8_t code)
{
        ShimMessage message = {
                .type = SHIM_AGENT_REQUEST,
                .agent_request = {.process = token, .type = AGENT_REQUEST_START},
        };
        uint32_t serial = fixture_send(fixture, &message, NULL, 0);
        Frame frame;

        fake_agent_next(agent, &frame);
        unit_assert_int(frame.type, AGENT_REQUEST_START);
        fake_agent_reply(agent, frame.id, code ? ENOENT : 0, code);
        unit_assert_int(fixture_reply(fixture, serial), 0);
        fixture_wait_process(fixture, token, code ? SHIM_PROCESS_FAILED : SHIM_PROCESS_RUNNING);
}

void fixture_ack_exit(Fixture *fixture, uint64_t token)
{
        ShimMessage message = {.type = SHIM_ACK_EXIT, .ack_exit.process = token};

        unit_assert_int(fixture_ask(fixture, &message, NULL, 0), 0);
}
