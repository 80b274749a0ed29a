/*
 * The streams of processes through a running uvm-shim: nothing lost, nothing reordered, a slow
 * primary client stalls, a slow further client does not, exits wait for output. Needs root.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/io.h"
#include "test/unit.h"
#include "test/unit/shim_fixture.h"

#define MANY    (100U * 1024 * 1024)
#define OUT     (1U << SHIM_STDOUT)
#define STREAMS (OUT | (1U << SHIM_STDERR))
#define ALL     (STREAMS | (1U << SHIM_STDIN))

static Fixture fixture;
static FakeAgent agent;

static void finish(void)
{
        ShimMessage message = {.type = SHIM_KILL};

        unit_assert_int(fixture_ask(&fixture, &message, NULL, 0), 0);
        fake_agent_break(&agent);
        for (unsigned i = 0; i < fixture.n_processes; i++) {
                fixture_wait_process(&fixture, fixture.processes[i].process, SHIM_PROCESS_EXITED);
                fixture_ack_exit(&fixture, fixture.processes[i].process);
        }
        fixture_disconnect(&fixture);
        fixture_end(&fixture);
}

static void ack(uint64_t token)
{
        fixture_ack_exit(&fixture, token);
        fixture.n_processes = 0;
}

/* A running process with @flags and a primary client for @streams. */
static void run(unsigned flags, unsigned streams, int client[SHIM_STREAM_MAX_])
{
        fixture_add_process(&fixture, 1, flags);
        if (streams)
                fixture_attach(&fixture, 1, SHIM_ATTACH_PRIMARY, streams, client);
        fixture_start_process(&fixture, &agent, 1, 0);
}

static uint8_t pattern(uint64_t at)
{
        return (uint8_t)((at * 2654435761U) >> 13);
}

/* Writes @size bytes of the pattern from a process of its own, then closes or waits to be killed. */
static pid_t start_writer(int fd, uint64_t size)
{
        static uint8_t chunk[65536];
        pid_t pid;

        fflush(stdout);
        pid = fork();
        if (pid != 0)
                return pid;
        /* No other end of any stream may stay open here. */
        if (fd_pass_to_exec(&fd, 1, 3) < 0)
                _exit(1);
        fd = 3;
        for (uint64_t at = 0; at < size;) {
                size_t n = size - at < sizeof(chunk) ? size - at : sizeof(chunk);

                for (size_t i = 0; i < n; i++)
                        chunk[i] = pattern(at + i);
                if (io_write_full(fd, chunk, n) < 0)
                        _exit(1);
                at += n;
        }
        shutdown(fd, SHUT_WR);
        _exit(0);
}

static void reap(pid_t pid)
{
        int status;

        unit_assert_int(waitpid(pid, &status, 0), pid);
        unit_assert_int(status, 0);
}

/* Reads the pattern to the end of the stream. */
static void check_pattern(int fd, uint64_t size)
{
        static uint8_t chunk[65536];
        uint64_t at = 0;
        ssize_t n;

        while ((n = read(fd, chunk, sizeof(chunk))) > 0)
                for (ssize_t i = 0; i < n; i++, at++)
                        if (chunk[i] != pattern(at))
                                unit_fail("byte %u is wrong", (unsigned)at);
        unit_assert_int(at, size);
}

static void expect(int fd, const char *text)
{
        char got[256] = "";

        unit_assert(strlen(text) < sizeof(got));
        unit_assert_int(io_read_full(fd, got, strlen(text)), 0);
        unit_assert_string(got, text);
}

static void expect_end(int fd)
{
        char byte;

        unit_assert_int(read(fd, &byte, 1), 0);
}

static void put(int fd, const char *text)
{
        unit_assert_int(io_write_full(fd, text, strlen(text)), 0);
}

static void test_many_bytes_out(void)
{
        int client[SHIM_STREAM_MAX_], guest;
        pid_t writer;

        fixture_run(&fixture, &agent);
        run(0, OUT, client);
        guest = fake_agent_stream(&fixture, 1, AGENT_STREAM_STDOUT);
        writer = start_writer(guest, MANY);
        close(guest);
        fake_agent_exited(&agent, "c1", "", 0, MANY, 0);
        check_pattern(client[SHIM_STDOUT], MANY);
        reap(writer);
        unit_assert_int(fixture_wait_process(&fixture, 1, SHIM_PROCESS_EXITED)->code, 0);
        close(client[SHIM_STDOUT]);
        finish();
}

static void test_many_bytes_in(void)
{
        int client[SHIM_STREAM_MAX_], guest;
        pid_t writer;

        fixture_run(&fixture, &agent);
        run(SHIM_PROCESS_STDIN, 1U << SHIM_STDIN, client);
        guest = fake_agent_stream(&fixture, 1, AGENT_STREAM_STDIN);
        writer = start_writer(client[SHIM_STDIN], MANY);
        check_pattern(guest, MANY);
        reap(writer);
        close(guest);
        close(client[SHIM_STDIN]);
        finish();
}

/* The exit is not told while the primary client has output to read. */
static void test_exit_waits_for_output(void)
{
        int client[SHIM_STREAM_MAX_], guest;
        const uint64_t size = 4 << 20;
        pid_t writer;

        fixture_run(&fixture, &agent);
        run(0, STREAMS, client);
        guest = fake_agent_stream(&fixture, 1, AGENT_STREAM_STDOUT);
        writer = start_writer(guest, size);
        close(guest);
        fake_agent_exited(&agent, "c1", "", 9, size, 0);
        fake_agent_wait_ack(&agent);
        fixture_poll(&fixture);
        for (unsigned i = 0; i < fixture.n_processes; i++)
                unit_assert(fixture.processes[i].state != SHIM_PROCESS_EXITED);
        check_pattern(client[SHIM_STDOUT], size);
        reap(writer);
        unit_assert_int(fixture_wait_process(&fixture, 1, SHIM_PROCESS_EXITED)->code, 9);
        expect_end(client[SHIM_STDERR]);
        close(client[SHIM_STDOUT]);
        close(client[SHIM_STDERR]);
        finish();
}

/* A child that holds the pipe keeps the stream open: the counts alone decide. */
static void test_exit_without_end_of_stream(void)
{
        int client[SHIM_STREAM_MAX_], guest, errors;

        fixture_run(&fixture, &agent);
        run(0, STREAMS, client);
        guest = fake_agent_stream(&fixture, 1, AGENT_STREAM_STDOUT);
        errors = fake_agent_stream(&fixture, 1, AGENT_STREAM_STDERR);
        put(guest, "out");
        put(errors, "errors");
        fake_agent_exited(&agent, "c1", "", 1, 3, 6);
        fixture_wait_process(&fixture, 1, SHIM_PROCESS_EXITED);
        expect(client[SHIM_STDOUT], "out");
        expect(client[SHIM_STDERR], "errors");
        expect_end(client[SHIM_STDOUT]);
        expect_end(client[SHIM_STDERR]);
        for (unsigned i = 0; i < SHIM_STREAM_MAX_; i++)
                fd_close(client[i]);
        close(guest);
        close(errors);
        finish();
}

/* A primary client that goes away takes nothing with it. */
static void test_primary_goes_away(void)
{
        int client[SHIM_STREAM_MAX_], again[SHIM_STREAM_MAX_], guest, input;
        const uint64_t size = 4 << 20;
        pid_t writer;

        fixture_run(&fixture, &agent);
        run(SHIM_PROCESS_STDIN, ALL, client);
        guest = fake_agent_stream(&fixture, 1, AGENT_STREAM_STDOUT);
        input = fake_agent_stream(&fixture, 1, AGENT_STREAM_STDIN);
        put(client[SHIM_STDIN], "typed");
        expect(input, "typed");
        writer = start_writer(guest, size);
        /* It has stalled on a client that does not read, when that dies. */
        fd_close_many(client, SHIM_STREAM_MAX_);
        reap(writer);
        /* Its place is free, and the process's input still open. */
        do
                fixture_disconnect(&fixture), fixture_reconnect(&fixture);
        while (fixture.processes[0].has_primary);
        fixture_attach(&fixture, 1, SHIM_ATTACH_PRIMARY, ALL, again);
        put(again[SHIM_STDIN], "more");
        expect(input, "more");
        shutdown(again[SHIM_STDIN], SHUT_WR);
        expect_end(input);
        fd_close_many(again, SHIM_STREAM_MAX_);
        close(guest);
        close(input);
        finish();
}

/* Two further clients: one reads and sees all, one does not and is dropped; neither stalls. */
static void test_attached_clients(void)
{
        int first[SHIM_STREAM_MAX_], lazy[SHIM_STREAM_MAX_], keen[SHIM_STREAM_MAX_], guest;
        static uint8_t chunk[32768];
        const unsigned chunks = 64;
        size_t lazy_size = 0;
        ssize_t n;

        fixture_run(&fixture, &agent);
        run(0, OUT, first);
        guest = fake_agent_stream(&fixture, 1, AGENT_STREAM_STDOUT);
        fixture_attach(&fixture, 1, 0, OUT, lazy);
        fixture_attach(&fixture, 1, 0, OUT, keen);
        for (unsigned i = 0; i < chunks; i++) {
                memset(chunk, (int)i, sizeof(chunk));
                unit_assert_int(io_write_full(guest, chunk, sizeof(chunk)), 0);
                unit_assert_int(io_read_full(first[SHIM_STDOUT], chunk, sizeof(chunk)), 0);
                unit_assert_int(chunk[0], i);
                unit_assert_int(io_read_full(keen[SHIM_STDOUT], chunk, sizeof(chunk)), 0);
                unit_assert_int(chunk[sizeof(chunk) - 1], i);
        }
        fake_agent_exited(&agent, "c1", "", 0, (uint64_t)chunks * sizeof(chunk), 0);
        fixture_wait_process(&fixture, 1, SHIM_PROCESS_EXITED);
        expect_end(keen[SHIM_STDOUT]);
        /* What it was given before it was dropped is a whole beginning. */
        while ((n = read(lazy[SHIM_STDOUT], chunk, sizeof(chunk))) > 0)
                lazy_size += (size_t)n;
        unit_assert(lazy_size > 0 && lazy_size < chunks * sizeof(chunk));
        close(first[SHIM_STDOUT]);
        close(lazy[SHIM_STDOUT]);
        close(keen[SHIM_STDOUT]);
        close(guest);
        finish();
}

/* A further client that reads late gets what its backlog holds, also after the exit. */
static void test_backlog_after_exit(void)
{
        int first[SHIM_STREAM_MAX_], late[SHIM_STREAM_MAX_], guest;
        const uint64_t size = 300 * 1024;
        pid_t writer;

        fixture_run(&fixture, &agent);
        run(0, OUT, first);
        fixture_attach(&fixture, 1, 0, OUT, late);
        guest = fake_agent_stream(&fixture, 1, AGENT_STREAM_STDOUT);
        writer = start_writer(guest, size);
        close(guest);
        fake_agent_exited(&agent, "c1", "", 0, size, 0);
        check_pattern(first[SHIM_STDOUT], size);
        reap(writer);
        fixture_wait_process(&fixture, 1, SHIM_PROCESS_EXITED);
        ack(1);
        check_pattern(late[SHIM_STDOUT], size);
        close(first[SHIM_STDOUT]);
        close(late[SHIM_STDOUT]);
        finish();
}

static void test_terminal(void)
{
        int client[SHIM_STREAM_MAX_], guest;

        fixture_run(&fixture, &agent);
        run(SHIM_PROCESS_TTY, 1U << SHIM_TTY, client);
        guest = fake_agent_stream(&fixture, 1, AGENT_STREAM_TTY);
        put(client[SHIM_TTY], "ls\r");
        expect(guest, "ls\r");
        put(guest, "file\r\n");
        expect(client[SHIM_TTY], "file\r\n");
        fake_agent_exited(&agent, "c1", "", 0, 6, 0);
        fixture_wait_process(&fixture, 1, SHIM_PROCESS_EXITED);
        expect_end(client[SHIM_TTY]);
        close(client[SHIM_TTY]);
        close(guest);
        finish();
}

/* The process closes its input: the client learns it when it writes. */
static void test_input_refused(void)
{
        int client[SHIM_STREAM_MAX_], guest;
        struct pollfd poll_fd;

        fixture_run(&fixture, &agent);
        run(SHIM_PROCESS_STDIN, ALL, client);
        guest = fake_agent_stream(&fixture, 1, AGENT_STREAM_STDIN);
        put(client[SHIM_STDIN], "x");
        expect(guest, "x");
        close(guest);
        poll_fd = (struct pollfd){.fd = client[SHIM_STDIN]};
        unit_assert_int(poll(&poll_fd, 1, 60000), 1);
        unit_assert(poll_fd.revents & POLLHUP);
        fd_close_many(client, SHIM_STREAM_MAX_);
        finish();
}

static int try_attach(unsigned flags, unsigned streams, const int *fds, unsigned n)
{
        ShimMessage message = {
                .type = SHIM_ATTACH,
                .attach = {.process = 1, .flags = flags, .streams = streams},
        };

        return fixture_ask(&fixture, &message, fds, n);
}

static void test_attach_refused(void)
{
        int client[SHIM_STREAM_MAX_], pair[2], file = open("/dev/null", O_RDWR | O_CLOEXEC);

        fixture_run(&fixture, &agent);
        unit_assert_int(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        unit_assert_int(try_attach(0, OUT, pair, 1), -ENOENT);
        run(0, OUT, client);
        unit_assert_int(try_attach(SHIM_ATTACH_PRIMARY, OUT, pair, 1), -EBUSY);
        unit_assert_int(try_attach(0, 1U << SHIM_TTY, pair, 1), -EINVAL);
        unit_assert_int(try_attach(0, STREAMS, pair, 1), -EINVAL);
        unit_assert_int(try_attach(0, 0, NULL, 0), -EINVAL);
        unit_assert_int(try_attach(0, OUT, &file, 1), -ENOTSOCK);
        fd_close_many(pair, 2);
        close(file);
        close(client[SHIM_STDOUT]);
        finish();
}

/* Streams of processes that there are not, of the wrong kind, twice, or without a word. */
static void test_hostile_streams(void)
{
        int client[SHIM_STREAM_MAX_], guest, hostile[100];
        char byte;

        fixture_run(&fixture, &agent);
        run(0, OUT, client);
        guest = fake_agent_stream(&fixture, 1, AGENT_STREAM_STDOUT);
        put(guest, "a");
        expect(client[SHIM_STDOUT], "a");
        hostile[0] = fake_agent_stream(&fixture, 1, AGENT_STREAM_STDOUT);
        hostile[1] = fake_agent_stream(&fixture, 1, AGENT_STREAM_TTY);
        hostile[2] = fake_agent_stream(&fixture, 1, AGENT_STREAM_STDIN);
        hostile[3] = fake_agent_stream(&fixture, 99, AGENT_STREAM_STDOUT);
        for (unsigned i = 0; i < 4; i++) {
                unit_assert(read(hostile[i], &byte, 1) <= 0);
                close(hostile[i]);
        }
        put(guest, "b");
        expect(client[SHIM_STDOUT], "b");
        close(guest);
        close(client[SHIM_STDOUT]);
        finish();
}

/* One short process, whose output and exit come in any order. */
static void run_short(uint64_t token)
{
        int client[SHIM_STREAM_MAX_], guest;
        char container[16];

        snprintf(container, sizeof(container), "c%u", (unsigned)token);
        fixture_add_process(&fixture, token, SHIM_PROCESS_STDIN);
        fixture_attach(&fixture, token, SHIM_ATTACH_PRIMARY, ALL, client);
        fixture_start_process(&fixture, &agent, token, 0);
        guest = fake_agent_stream(&fixture, token, AGENT_STREAM_STDOUT);
        if (token % 2)
                put(guest, "hello");
        fake_agent_exited(&agent, container, "", (uint8_t)token, 5, 0);
        if (token % 2 == 0)
                put(guest, "hello");
        unit_assert_int(fixture_wait_process(&fixture, token, SHIM_PROCESS_EXITED)->code,
                        (uint8_t)token);
        expect(client[SHIM_STDOUT], "hello");
        expect_end(client[SHIM_STDOUT]);
        ack(token);
        fd_close_many(client, SHIM_STREAM_MAX_);
        close(guest);
}

static void test_many_short_processes(void)
{
        unsigned before;

        fixture_run(&fixture, &agent);
        run_short(1);
        before = fixture_count_fds(&fixture);
        for (uint64_t token = 2; token < 300; token++)
                run_short(token);
        /* The agent's link, uvmd's, the journal: as before, and nothing of the processes. */
        unit_assert_int(fixture_count_fds(&fixture), before);
        finish();
}

int main(void)
{
        static const UnitTest tests[] = {
                UNIT_TEST(test_many_bytes_out),        UNIT_TEST(test_many_bytes_in),
                UNIT_TEST(test_exit_waits_for_output), UNIT_TEST(test_exit_without_end_of_stream),
                UNIT_TEST(test_primary_goes_away),     UNIT_TEST(test_attached_clients),
                UNIT_TEST(test_backlog_after_exit),    UNIT_TEST(test_terminal),
                UNIT_TEST(test_input_refused),         UNIT_TEST(test_attach_refused),
                UNIT_TEST(test_hostile_streams),       UNIT_TEST(test_many_short_processes),
        };

        if (geteuid() != 0) {
                puts("1..0 # SKIP needs root, as uvmd does");
                return 0;
        }
        signal(SIGPIPE, SIG_IGN);
        return unit_run(tests, sizeof(tests) / sizeof(tests[0]));
}
