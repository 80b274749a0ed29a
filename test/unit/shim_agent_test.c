/*
 * The shim and the real agent, with nothing between them but unix sockets: both sides of the agent
 * protocol and of the streams are the product's own. Needs root.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/io.h"
#include "test/unit.h"
#include "test/unit/shim_fixture.h"

#define OUT  (1U << SHIM_STDOUT)
#define ALL  (OUT | (1U << SHIM_STDERR) | (1U << SHIM_STDIN))
#define MANY (100U * 1024 * 1024)

static Fixture fixture;
static pid_t agent;
static char state_directory[] = "/tmp/uvm-agent-XXXXXX";

static _Noreturn void exec_agent(void)
{
        setenv("ASAN_OPTIONS", "detect_leaks=0", 1);
        /* Its mounts are its own and go with it, and so is its network. */
        if (unshare(CLONE_NEWNS | CLONE_NEWNET) == 0 &&
            mount("none", "/", "", MS_REC | MS_PRIVATE, NULL) == 0)
                execl(getenv("UVM_AGENT"), "uvm-agent", "--connect-unix", fixture.dir, "--state",
                      state_directory, NULL);
        _exit(97);
}

static void start(void)
{
        ShimMessage boot = {.type = SHIM_BOOT};
        uint32_t serial;

        fixture_start(&fixture);
        unit_assert_int(fixture_launch(&fixture, "", 60000000), 0);
        serial = fixture_send(&fixture, &boot, NULL, 0);
        fflush(stdout);
        agent = fork();
        if (agent == 0)
                exec_agent();
        unit_assert_int(fixture_reply(&fixture, serial), 0);
        unit_assert_int(fixture.status.state, SHIM_RUNNING);
}

static void end(void)
{
        ShimMessage kill_machine = {.type = SHIM_KILL};

        kill(agent, SIGKILL);
        waitpid(agent, NULL, 0);
        unit_assert_int(fixture_ask(&fixture, &kill_machine, NULL, 0), 0);
        for (unsigned i = 0; i < fixture.n_processes; i++) {
                uint64_t token = fixture.processes[i].process;

                fixture_wait_process(&fixture, token, SHIM_PROCESS_EXITED);
                fixture_ack_exit(&fixture, token);
        }
        fixture_disconnect(&fixture);
        fixture_end(&fixture);
}

/* Sends a request and takes the agent's answer: its code, and its exit code in *@ret_exit_code. */
static uint32_t ask(uint64_t token, AgentType type, const uint8_t *payload, size_t size,
                    uint8_t *ret_exit_code)
{
        ShimMessage message = {
                .type = SHIM_AGENT_REQUEST,
                .agent_request =
                        {
                                .process = token,
                                .type = type,
                                .payload = payload,
                                .payload_size = size,
                        },
        };
        AgentReply reply;
        uint32_t code;

        unit_assert_int(fixture_ask(&fixture, &message, NULL, 0), 0);
        unit_assert_int(agent_reply_decode(fixture.payload, fixture.reply.payload_size, &reply), 0);
        code = reply.code;
        if (code != 0)
                printf("# %s: %s\n", agent_type_to_string((uint16_t)type), reply.text);
        if (ret_exit_code)
                *ret_exit_code = reply.exit_code;
        agent_reply_done(&reply);
        return code;
}

/* Makes and starts container "c@token", which runs @script in the test machine's own root. */
static uint8_t run(uint64_t token, const char *program, const char *script, unsigned flags,
                   int client[SHIM_STREAM_MAX_])
{
        static uint8_t payload[8192];
        char container[16];
        const char *argv[] = {program, "-c", script, NULL};
        const char *env[] = {"PATH=/usr/bin:/bin", NULL};
        AgentMount mounts[] = {
                {.type = AGENT_MOUNT_DEV, .target = (char *)"/dev"},
                {.type = AGENT_MOUNT_DEVPTS, .target = (char *)"/dev/pts"},
        };
        AgentCreate create = {
                .container = container,
                .spec =
                        {
                                .root = {.type = AGENT_MOUNT_BIND, .source = (char *)"/"},
                                .mounts = mounts,
                                .n_mounts = sizeof(mounts) / sizeof(mounts[0]),
                                .namespaces = AGENT_NAMESPACE_PID | AGENT_NAMESPACE_IPC,
                        },
                .process =
                        {
                                .token = token,
                                .attach = AGENT_ATTACH_STDOUT | AGENT_ATTACH_STDERR,
                                .argv = {.items = (char **)argv, .n = 3},
                                .env = {.items = (char **)env, .n = 1},
                                .umask = AGENT_UMASK_DEFAULT,
                        },
        };
        uint8_t exit_code;
        size_t size;

        if (flags & SHIM_PROCESS_STDIN)
                create.process.attach |= AGENT_ATTACH_STDIN;
        if (flags & SHIM_PROCESS_TTY)
                create.process.attach = AGENT_ATTACH_TTY;
        snprintf(container, sizeof(container), "c%u", (unsigned)token);
        fixture_add_process(&fixture, token, flags);
        fixture_attach(&fixture, token, SHIM_ATTACH_PRIMARY,
                       flags & SHIM_PROCESS_TTY ? 1U << SHIM_TTY : ALL, client);
        unit_assert_int(agent_create_encode(&create, payload, sizeof(payload), &size), 0);
        unit_assert_int(ask(0, AGENT_REQUEST_CREATE, payload, size, NULL), 0);
        unit_assert_int(agent_container_encode(&(AgentContainer){.container = container}, payload,
                                               sizeof(payload), &size),
                        0);
        ask(token, AGENT_REQUEST_START, payload, size, &exit_code);
        return exit_code;
}

static void forget(uint64_t token, int client[SHIM_STREAM_MAX_])
{
        char container[16];
        uint8_t payload[64];
        size_t size;

        snprintf(container, sizeof(container), "c%u", (unsigned)token);
        unit_assert_int(agent_container_encode(&(AgentContainer){.container = container}, payload,
                                               sizeof(payload), &size),
                        0);
        unit_assert_int(ask(0, AGENT_REQUEST_DELETE, payload, size, NULL), 0);
        fixture_ack_exit(&fixture, token);
        fixture.n_processes = 0;
        fd_close_many(client, SHIM_STREAM_MAX_);
}

static void expect(int fd, const char *text)
{
        char got[256] = "", byte;

        unit_assert_int(io_read_full(fd, got, strlen(text)), 0);
        unit_assert_string(got, text);
        unit_assert_int(read(fd, &byte, 1), 0);
}

static void test_streams_and_code(void)
{
        int client[SHIM_STREAM_MAX_];

        start();
        unit_assert_int(
                run(1, "/bin/sh", "cat; echo problem >&2; exit 7", SHIM_PROCESS_STDIN, client), 0);
        unit_assert_int(io_write_full(client[SHIM_STDIN], "hello\n", 6), 0);
        shutdown(client[SHIM_STDIN], SHUT_WR);
        expect(client[SHIM_STDOUT], "hello\n");
        expect(client[SHIM_STDERR], "problem\n");
        unit_assert_int(fixture_wait_process(&fixture, 1, SHIM_PROCESS_EXITED)->code, 7);
        forget(1, client);
        unit_assert_int(run(2, "/nonexistent", "", 0, client), 127);
        unit_assert_int(fixture_wait_process(&fixture, 2, SHIM_PROCESS_FAILED)->code, 127);
        forget(2, client);
        end();
}

/* There and back: what goes in through stdin comes out of stdout. */
static void test_many_bytes_round(void)
{
        static uint8_t chunk[65536], got[65536];
        int client[SHIM_STREAM_MAX_];
        pid_t writer;

        start();
        unit_assert_int(run(1, "/bin/sh", "exec cat", SHIM_PROCESS_STDIN, client), 0);
        for (size_t i = 0; i < sizeof(chunk); i++)
                chunk[i] = (uint8_t)((i * 2654435761U) >> 13);
        fflush(stdout);
        writer = fork();
        if (writer == 0) {
                for (size_t i = 0; i < MANY / sizeof(chunk); i++)
                        if (io_write_full(client[SHIM_STDIN], chunk, sizeof(chunk)) < 0)
                                _exit(1);
                shutdown(client[SHIM_STDIN], SHUT_WR);
                _exit(0);
        }
        for (size_t i = 0; i < MANY / sizeof(chunk); i++) {
                unit_assert_int(io_read_full(client[SHIM_STDOUT], got, sizeof(got)), 0);
                unit_assert_bytes(got, chunk, sizeof(chunk));
        }
        expect(client[SHIM_STDOUT], "");
        unit_assert_int(waitpid(writer, NULL, 0), writer);
        unit_assert_int(fixture_wait_process(&fixture, 1, SHIM_PROCESS_EXITED)->code, 0);
        forget(1, client);
        end();
}

/* No output is lost behind an exit, also when a child of the process still holds its stdout. */
static void test_many_short(void)
{
        int client[SHIM_STREAM_MAX_];

        start();
        for (uint64_t token = 1; token <= 30; token++) {
                const char *script = token % 3 ? "echo output" : "sleep 1000 & echo output";

                unit_assert_int(run(token, "/bin/sh", script, 0, client), 0);
                expect(client[SHIM_STDOUT], "output\n");
                unit_assert_int(fixture_wait_process(&fixture, token, SHIM_PROCESS_EXITED)->code,
                                0);
                forget(token, client);
        }
        end();
}

static void test_terminal(void)
{
        int client[SHIM_STREAM_MAX_];

        start();
        unit_assert_int(run(1, "/bin/sh", "test -t 0 && read line && echo got $line",
                            SHIM_PROCESS_TTY, client),
                        0);
        unit_assert_int(io_write_full(client[SHIM_TTY], "word\r", 5), 0);
        expect(client[SHIM_TTY], "word\r\ngot word\r\n");
        unit_assert_int(fixture_wait_process(&fixture, 1, SHIM_PROCESS_EXITED)->code, 0);
        forget(1, client);
        end();
}

int main(void)
{
        static const UnitTest tests[] = {
                UNIT_TEST(test_streams_and_code),
                UNIT_TEST(test_many_bytes_round),
                UNIT_TEST(test_many_short),
                UNIT_TEST(test_terminal),
        };
        int r;

        if (geteuid() != 0) {
                puts("1..0 # SKIP needs root, as uvmd does");
                return 0;
        }
        signal(SIGPIPE, SIG_IGN);
        unit_assert(mkdtemp(state_directory));
        r = unit_run(tests, sizeof(tests) / sizeof(tests[0]));
        fixture_remove_directory(state_directory);
        return r;
}
