/* Why a machine ended: each combination of what is known gives the reason a person would give. */
#include <signal.h>

#include "shim/ending.h"
#include "test/unit.h"

#define PANIC_TAIL                                                  \
        "[    0.5] VFS: Unable to mount root fs\r\n"                \
        "[    0.6] Kernel panic - not syncing: No working init\r\n" \
        "[    0.6] CPU: 0 PID: 1\r\n"

static char text[SHIM_TEXT_MAX + 1];

static ShimReason deduce(EndingFacts facts)
{
        ShimReason reason;

        if (!facts.tail)
                facts.tail = "";
        facts.tail_size = strlen(facts.tail);
        ending_deduce(&facts, &reason, text);
        return reason;
}

#define check(reason, words, ...)                                               \
        do {                                                                    \
                unit_assert_int(deduce((EndingFacts){__VA_ARGS__}), (reason));  \
                if (!strstr(text, (words)))                                     \
                        unit_fail("\"%s\" does not say \"%s\"", text, (words)); \
        } while (0)

static void test_asked(void)
{
        check(SHIM_REASON_STOPPED, "on request", .asked = SHIM_REASON_STOPPED, .agent_seen = true,
              .goodbye = true, .end = CONTROL_END_GUEST_RESET);
        check(SHIM_REASON_STOPPED, "not shut down in time", .asked = SHIM_REASON_STOPPED,
              .agent_seen = true, .overdue = true, .status = SIGKILL);
        check(SHIM_REASON_EXITED, "main process", .asked = SHIM_REASON_EXITED, .goodbye = true,
              .end = CONTROL_END_GUEST_RESET);
        check(SHIM_REASON_KILLED, "Killed", .asked = SHIM_REASON_KILLED, .status = SIGKILL);
        check(SHIM_REASON_BOOT_TIMEOUT, "time limit.\nThe guest's console ended in:\nhang",
              .asked = SHIM_REASON_BOOT_TIMEOUT, .status = SIGKILL, .tail = "hang\n");
}

static void test_guest(void)
{
        check(SHIM_REASON_POWEROFF, "from inside", .agent_seen = true, .goodbye = true,
              .end = CONTROL_END_GUEST_RESET);
        check(SHIM_REASON_CRASH, "gave up: no memory", .agent_seen = true, .goodbye = true,
              .goodbye_reason = AGENT_GOODBYE_FAILED, .goodbye_text = "no memory",
              .end = CONTROL_END_GUEST_RESET);
        check(SHIM_REASON_CRASH, "without saying goodbye", .agent_seen = true,
              .end = CONTROL_END_GUEST_RESET);
        check(SHIM_REASON_BOOT_FAILED, "without saying goodbye", .end = CONTROL_END_GUEST_RESET);
        check(SHIM_REASON_PANIC, "panicked: Kernel panic - not syncing: No working init\n",
              .end = CONTROL_END_GUEST_RESET, .tail = PANIC_TAIL);
        check(SHIM_REASON_PANIC, "CPU: 0 PID: 1", .asked = SHIM_REASON_STOPPED, .agent_seen = true,
              .end = CONTROL_END_GUEST_RESET, .tail = PANIC_TAIL);
        /* What a container prints to the console is no panic when the guest says goodbye. */
        check(SHIM_REASON_STOPPED, "on request", .asked = SHIM_REASON_STOPPED, .agent_seen = true,
              .goodbye = true, .end = CONTROL_END_GUEST_RESET, .tail = PANIC_TAIL);
}

static void test_host(void)
{
        check(SHIM_REASON_OOM, "memory limit", .agent_seen = true, .oom = true, .status = SIGKILL);
        check(SHIM_REASON_OOM, "no memory", .end = CONTROL_END_OUT_OF_MEMORY);
        check(SHIM_REASON_KILLED, "from outside", .agent_seen = true, .status = SIGKILL);
        check(SHIM_REASON_CRASH, "SIGSYS", .agent_seen = true, .status = SIGSYS);
        check(SHIM_REASON_BOOT_FAILED, "status 1", .status = 1 << 8);
        check(SHIM_REASON_CRASH, "kvm", .agent_seen = true, .end = CONTROL_END_KVM_ERROR,
              .end_text = "kvm says no");
        check(SHIM_REASON_BOOT_FAILED, "could not be started: not a firmware image",
              .refusal = "not a firmware image", .status = SIGKILL);
        check(SHIM_REASON_BOOT_FAILED, "could not use this machine",
              .end = CONTROL_END_BOOT_REFUSED);
}

static void test_hostile_words(void)
{
        static char long_tail[16384];

        memset(long_tail, '\x9b', sizeof(long_tail) - 1);
        check(SHIM_REASON_CRASH, "????", .agent_seen = true, .end = CONTROL_END_GUEST_RESET,
              .tail = long_tail);
        unit_assert(strlen(text) <= SHIM_TEXT_MAX);
        for (const char *at = text; *at; at++)
                unit_assert(*at == '\n' || (*at >= ' ' && *at <= '~'));
}

UNIT_MAIN(UNIT_TEST(test_asked), UNIT_TEST(test_guest), UNIT_TEST(test_host),
          UNIT_TEST(test_hostile_words))
