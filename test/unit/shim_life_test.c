/*
 * A sandbox's life as uvmd sees it, with a running uvm-shim: boot, every kind of end, time limits,
 * signals, uvmd coming back, the agent's link breaking. Needs root.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "test/unit.h"
#include "test/unit/shim_fixture.h"

static Fixture fixture;
static FakeAgent agent;

static void finish(void)
{
        fake_agent_break(&agent);
        fixture_disconnect(&fixture);
        fixture_end(&fixture);
}

/* The number after @key in the shim's status. */
static unsigned long long status_value(const char *key, int base)
{
        char path[64], line[256];
        unsigned long long value = ~0ULL;
        FILE *file;

        snprintf(path, sizeof(path), "/proc/%d/status", fixture.shim);
        file = fopen(path, "re");
        unit_assert(file);
        while (fgets(line, sizeof(line), file))
                if (strncmp(line, key, strlen(key)) == 0)
                        value = strtoull(line + strlen(key), NULL, base);
        fclose(file);
        return value;
}

static void stop(void)
{
        ShimMessage message = {.type = SHIM_STOP, .stop.grace_usec = 7};
        uint32_t serial = fixture_send(&fixture, &message, NULL, 0);
        AgentShutdown shutdown;
        Frame frame;

        fake_agent_next(&agent, &frame);
        unit_assert_int(frame.type, AGENT_REQUEST_SHUTDOWN);
        unit_assert_int(agent_shutdown_decode(frame.payload, frame.size, &shutdown), 0);
        fake_agent_reply(&agent, frame.id, 0, 0);
        fake_agent_goodbye(&agent);
        fixture_reset(&fixture);
        unit_assert_int(fixture_reply(&fixture, serial), 0);
        unit_assert_int(fixture.status.state, SHIM_STOPPED);
        unit_assert_int(fixture.status.reason, SHIM_REASON_STOPPED);
}

static void test_run_and_stop(void)
{
        ShimEndRecord end;

        fixture_run(&fixture, &agent);
        for (unsigned i = 0; i < SHIM_PHASE_MAX_; i++)
                if (fixture.phases[i] == 0 && i != SHIM_PHASE_RUNNING)
                        unit_fail("no phase %s", shim_phase_to_string((ShimPhase)i));
        stop();
        fixture_read_end(&fixture, &end);
        unit_assert_int(end.reason, SHIM_REASON_STOPPED);
        finish();
}

static void test_rights(void)
{
        char path[96];
        struct stat status;

        fixture_run(&fixture, &agent);
        unit_assert_int(status_value("Uid:", 10), FIXTURE_RANGE);
        unit_assert_int(status_value("Gid:", 10), FIXTURE_RANGE);
        unit_assert_int(status_value("CapPrm:", 16), 0);
        unit_assert_int(status_value("CapEff:", 16), 0);
        unit_assert_int(status_value("CapBnd:", 16), 0);
        unit_assert_int(status_value("NoNewPrivs:", 10), 1);
        unit_assert_int(status_value("Threads:", 10), 1);
        snprintf(path, sizeof(path), "%s/shim.sock", fixture.dir);
        unit_assert_int(stat(path, &status), 0);
        unit_assert_int(status.st_mode & 0777, 0600);
        unit_assert_int(status.st_uid, 0);
        stop();
        finish();
}

static void test_without_launch(void)
{
        fixture_start(&fixture);
        finish();
        fixture_start(&fixture);
        unit_assert_int(kill(fixture.shim, SIGTERM), 0);
        fixture_wait_state(&fixture, SHIM_STOPPED);
        finish();
}

static void test_wrong_state(void)
{
        ShimMessage boot = {.type = SHIM_BOOT}, pause = {.type = SHIM_PAUSE};

        fixture_start(&fixture);
        unit_assert_int(fixture_ask(&fixture, &boot, NULL, 0), -EBADFD);
        unit_assert_string(fixture.reply.text, "the sandbox is waiting");
        unit_assert_int(fixture_ask(&fixture, &pause, NULL, 0), -EBADFD);
        finish();
}

/* What follows BOOT ends the machine with @reason. */
static void check_end(const char *what, ShimReason reason, const char *words)
{
        ShimMessage boot = {.type = SHIM_BOOT};
        ShimEndRecord end;

        fixture_start(&fixture);
        unit_assert_int(fixture_launch(&fixture, what, 60000000), 0);
        unit_assert_int(fixture_ask(&fixture, &boot, NULL, 0), -ECANCELED);
        unit_assert_int(fixture.status.state, SHIM_STOPPED);
        unit_assert_int(fixture.status.reason, reason);
        if (!strstr(fixture.reply.text, words))
                unit_fail("\"%s\" does not say \"%s\"", fixture.reply.text, words);
        fixture_read_end(&fixture, &end);
        unit_assert_int(end.reason, reason);
        finish();
}

static void test_ends(void)
{
        check_end("panic", SHIM_REASON_PANIC, "Attempted to kill init!");
        check_end("triple", SHIM_REASON_BOOT_FAILED, "RIP 0x1234");
        check_end("crash", SHIM_REASON_BOOT_FAILED, "SIGILL");
        check_end("exit3", SHIM_REASON_BOOT_FAILED, "status 3");
}

static void test_refused(void)
{
        fixture_start(&fixture);
        unit_assert_int(fixture_launch(&fixture, "refuse", 60000000), -ECANCELED);
        unit_assert(strstr(fixture.reply.text, "not a firmware image"));
        unit_assert_int(fixture.status.reason, SHIM_REASON_BOOT_FAILED);
        finish();
}

static void test_no_vmm(void)
{
        const char *vmm = strdup(getenv("UVM_FAKE_VMM"));

        setenv("UVM_FAKE_VMM", "/nonexistent/uvm-vmm", 1);
        fixture_start(&fixture);
        unit_assert_int(fixture_launch(&fixture, "", 60000000), -ENOENT);
        fixture_wait_state(&fixture, SHIM_STOPPED);
        finish();
        setenv("UVM_FAKE_VMM", vmm, 1);
        free((void *)vmm);
}

static void test_boot_timeout(void)
{
        ShimMessage boot = {.type = SHIM_BOOT};

        fixture_start(&fixture);
        unit_assert_int(fixture_launch(&fixture, "", 10000), 0);
        unit_assert_int(fixture_ask(&fixture, &boot, NULL, 0), -ETIMEDOUT);
        unit_assert_int(fixture.status.reason, SHIM_REASON_BOOT_TIMEOUT);
        unit_assert(strstr(fixture.status.text, "Linux version 6.1"));
        finish();
}

static void test_kill(void)
{
        ShimMessage message = {.type = SHIM_KILL};

        fixture_run(&fixture, &agent);
        unit_assert_int(fixture_ask(&fixture, &message, NULL, 0), 0);
        unit_assert_int(fixture.status.reason, SHIM_REASON_KILLED);
        finish();
}

static void test_vmm_killed(void)
{
        fixture_run(&fixture, &agent);
        fixture_disconnect(&fixture);
        fixture_reconnect(&fixture);
        unit_assert(fixture.hello.vmm_pid > 1);
        unit_assert_int(kill((pid_t)fixture.hello.vmm_pid, SIGKILL), 0);
        fixture_wait_state(&fixture, SHIM_STOPPED);
        unit_assert_int(fixture.status.reason, SHIM_REASON_KILLED);
        finish();
}

static void test_poweroff_inside(void)
{
        fixture_run(&fixture, &agent);
        fake_agent_goodbye(&agent);
        fixture_reset(&fixture);
        fixture_wait_state(&fixture, SHIM_STOPPED);
        unit_assert_int(fixture.status.reason, SHIM_REASON_POWEROFF);
        finish();
}

static void test_reset_without_goodbye(void)
{
        fixture_run(&fixture, &agent);
        fixture_reset(&fixture);
        fixture_wait_state(&fixture, SHIM_STOPPED);
        unit_assert_int(fixture.status.reason, SHIM_REASON_CRASH);
        finish();
}

static void check_signal(int first)
{
        Frame frame;

        fixture_run(&fixture, &agent);
        unit_assert_int(kill(fixture.shim, first), 0);
        fake_agent_next(&agent, &frame);
        unit_assert_int(frame.type, AGENT_REQUEST_SHUTDOWN);
        fake_agent_reply(&agent, frame.id, 0, 0);
        fake_agent_goodbye(&agent);
        fixture_reset(&fixture);
        fixture_wait_state(&fixture, SHIM_STOPPED);
        unit_assert_int(fixture.status.reason, SHIM_REASON_STOPPED);
        /* It ends although uvmd is still connected. */
        fixture_end(&fixture);
        fake_agent_break(&agent);
}

static void test_signals(void)
{
        Frame frame;

        check_signal(SIGTERM);
        check_signal(SIGRTMIN + 4);

        /* A guest that does not listen, and somebody who is in a hurry. */
        fixture_run(&fixture, &agent);
        unit_assert_int(kill(fixture.shim, SIGTERM), 0);
        fake_agent_next(&agent, &frame);
        unit_assert_int(kill(fixture.shim, SIGTERM), 0);
        fixture_wait_state(&fixture, SHIM_STOPPED);
        unit_assert_int(fixture.status.reason, SHIM_REASON_KILLED);
        fixture_end(&fixture);
        fake_agent_break(&agent);
}

/* uvmd dies, a process exits meanwhile; the exit waits for uvmd, and so does the shim. */
static void test_uvmd_comes_back(void)
{
        const ShimProcess *process;

        fixture_run(&fixture, &agent);
        fixture_add_process(&fixture, 1, 0);
        fixture_add_process(&fixture, 2, 0);
        fixture_start_process(&fixture, &agent, 1, 0);
        fixture_start_process(&fixture, &agent, 2, 127);
        fixture_disconnect(&fixture);
        fake_agent_exited(&agent, "c1", "", 42, 0, 0);
        fake_agent_wait_ack(&agent);
        fixture_reconnect(&fixture);
        unit_assert_int(fixture.status.state, SHIM_RUNNING);
        unit_assert(fixture.phases[SHIM_PHASE_AGENT] > 0);
        unit_assert_int(fixture.n_processes, 2);
        process = fixture_wait_process(&fixture, 1, SHIM_PROCESS_EXITED);
        unit_assert_int(process->code, 42);
        process = fixture_wait_process(&fixture, 2, SHIM_PROCESS_FAILED);
        unit_assert_int(process->code, 127);
        fixture_disconnect(&fixture);
        fixture_reset(&fixture);
        /* Stopped, with exits that nobody has acknowledged: it waits. */
        fixture_reconnect(&fixture);
        fixture_wait_state(&fixture, SHIM_STOPPED);
        unit_assert_int(fixture.n_processes, 2);
        fixture_ack_exit(&fixture, 1);
        fixture_ack_exit(&fixture, 2);
        finish();
}

/* Only the newest link counts; and only a peer with the launcher's uid may have it. */
static void test_links(void)
{
        Fixture second;
        char byte;

        fixture_run(&fixture, &agent);
        second = fixture;
        fixture_reconnect(&second);
        fixture_poll(&fixture);
        unit_assert_int(read(fixture.link, &byte, 1), 0);
        fixture_disconnect(&fixture);
        fixture = second;
        stop();
        finish();
}

/* The agent's link breaks with a request unanswered and an exit unacknowledged: nothing is lost and
 * nothing is done twice. */
static void test_agent_resumes(void)
{
        ShimMessage ping = {
                .type = SHIM_AGENT_REQUEST,
                .agent_request = {.type = AGENT_REQUEST_PING},
        };
        uint32_t first, second;
        Frame frame;

        fixture_run(&fixture, &agent);
        fixture_add_process(&fixture, 1, 0);
        fixture_start_process(&fixture, &agent, 1, 0);
        fake_agent_wait_ack(&agent);
        first = fixture_send(&fixture, &ping, NULL, 0);
        fake_agent_next(&agent, &frame);
        fake_agent_break(&agent);
        /* This one has never been seen by the agent. */
        second = fixture_send(&fixture, &ping, NULL, 0);
        fake_agent_connect(&agent, &fixture);
        unit_assert_int(agent.host_sequence, agent.sequence);
        fake_agent_reply(&agent, agent.last_request, 0, 0);
        unit_assert_int(fixture_reply(&fixture, first), 0);
        fake_agent_next(&agent, &frame);
        unit_assert_int(frame.type, AGENT_REQUEST_PING);
        fake_agent_reply(&agent, frame.id, 0, 0);
        unit_assert_int(fixture_reply(&fixture, second), 0);
        /* An exit that was taken in and comes again is one exit. */
        fake_agent_exited(&agent, "c1", "", 3, 0, 0);
        fake_agent_wait_ack(&agent);
        fake_agent_break(&agent);
        fake_agent_connect(&agent, &fixture);
        unit_assert_int(agent.host_sequence, agent.sequence);
        unit_assert_int(fixture_wait_process(&fixture, 1, SHIM_PROCESS_EXITED)->code, 3);
        fixture_ack_exit(&fixture, 1);
        stop();
        finish();
}

static void test_devices_and_figures(void)
{
        ShimMessage device = {
                .type = SHIM_ADD_DEVICE,
                .add_device = {.kind = SHIM_DEVICE_RNG},
        };
        ShimMessage stats = {.type = SHIM_GET_STATS}, console = {.type = SHIM_GET_CONSOLE};
        ShimStats figures;
        AgentSlot slot;
        uint32_t serial;
        Frame frame;

        fixture_run(&fixture, &agent);
        serial = fixture_send(&fixture, &device, NULL, 0);
        fake_agent_next(&agent, &frame);
        unit_assert_int(frame.type, AGENT_REQUEST_PLUG);
        unit_assert_int(agent_slot_decode(frame.payload, frame.size, &slot), 0);
        fake_agent_reply(&agent, frame.id, 0, 0);
        unit_assert_int(fixture_reply(&fixture, serial), 0);
        unit_assert_int(fixture.reply.value, slot.slot);

        serial = fixture_send(&fixture, &stats, NULL, 0);
        fake_agent_next(&agent, &frame);
        unit_assert_int(frame.type, AGENT_REQUEST_STATS);
        fake_agent_reply(&agent, frame.id, 0, 0);
        unit_assert_int(fixture_reply(&fixture, serial), 0);
        unit_assert_int(shim_stats_decode(fixture.payload, fixture.reply.payload_size, &figures),
                        0);
        unit_assert(figures.vmm_size > 0 && figures.agent_size > 0);

        unit_assert_int(fixture_ask(&fixture, &console, NULL, 0), 0);
        unit_assert_int(fixture.reply.payload_size, strlen("Linux version 6.1\r\n"));
        stop();
        finish();
}

/* What ran when the guest ended is lost, and says so. */
static void test_lost(void)
{
        const ShimProcess *process;

        fixture_run(&fixture, &agent);
        fixture_add_process(&fixture, 1, 0);
        fixture_start_process(&fixture, &agent, 1, 0);
        fixture_reset(&fixture);
        process = fixture_wait_process(&fixture, 1, SHIM_PROCESS_EXITED);
        unit_assert(process->lost);
        unit_assert_int(process->code, 137);
        fixture_wait_state(&fixture, SHIM_STOPPED);
        fixture_ack_exit(&fixture, 1);
        finish();
}

/* The exit of the main process ends the machine. */
static void test_main_process(void)
{
        Frame frame;

        fixture_run(&fixture, &agent);
        fixture_add_process(&fixture, 1, SHIM_PROCESS_MAIN);
        fixture_start_process(&fixture, &agent, 1, 0);
        fake_agent_exited(&agent, "c1", "", 5, 0, 0);
        fake_agent_next(&agent, &frame);
        unit_assert_int(frame.type, AGENT_REQUEST_SHUTDOWN);
        fake_agent_reply(&agent, frame.id, 0, 0);
        fake_agent_goodbye(&agent);
        fixture_reset(&fixture);
        unit_assert_int(fixture_wait_process(&fixture, 1, SHIM_PROCESS_EXITED)->code, 5);
        fixture_wait_state(&fixture, SHIM_STOPPED);
        unit_assert_int(fixture.status.reason, SHIM_REASON_EXITED);
        fixture_ack_exit(&fixture, 1);
        finish();
}

int main(void)
{
        static const UnitTest tests[] = {
                UNIT_TEST(test_run_and_stop),
                UNIT_TEST(test_rights),
                UNIT_TEST(test_without_launch),
                UNIT_TEST(test_wrong_state),
                UNIT_TEST(test_ends),
                UNIT_TEST(test_refused),
                UNIT_TEST(test_no_vmm),
                UNIT_TEST(test_boot_timeout),
                UNIT_TEST(test_kill),
                UNIT_TEST(test_vmm_killed),
                UNIT_TEST(test_poweroff_inside),
                UNIT_TEST(test_reset_without_goodbye),
                UNIT_TEST(test_signals),
                UNIT_TEST(test_uvmd_comes_back),
                UNIT_TEST(test_links),
                UNIT_TEST(test_agent_resumes),
                UNIT_TEST(test_devices_and_figures),
                UNIT_TEST(test_lost),
                UNIT_TEST(test_main_process),
        };

        if (geteuid() != 0) {
                puts("1..0 # SKIP needs root, as uvmd does");
                return 0;
        }
        signal(SIGPIPE, SIG_IGN);
        return unit_run(tests, sizeof(tests) / sizeof(tests[0]));
}
