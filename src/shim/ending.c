/* Why a machine ended; see ending.h. */
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "base/cleanup.h"

#include "shim/ending.h"

#define ENDING_PANIC     "Kernel panic - not syncing"
#define ENDING_TAIL_MAX  700
#define ENDING_PANIC_MAX 160

/* A text that grows up to SHIM_TEXT_MAX and never holds anything but printable ASCII and newlines. */
typedef struct EndingText {
        char *at;
        size_t room;
} EndingText;

static void ending_put(EndingText *text, const char *bytes, size_t size)
{
        for (size_t i = 0; i < size && text->room > 0; i++) {
                char byte = bytes[i];

                if (byte == '\r')
                        continue;
                *text->at++ = byte == '\n' || (byte >= ' ' && byte <= '~') ? byte : '?';
                text->room--;
        }
        *text->at = 0;
}

static __attribute__((format(printf, 2, 3))) void ending_say(EndingText *text, const char *format,
                                                             ...)
{
        char line[SHIM_TEXT_MAX + 1];
        va_list arguments;

        va_start(arguments, format);
        vsnprintf(line, sizeof(line), format, arguments);
        va_end(arguments);
        ending_put(text, line, strlen(line));
}

/* The kernel's last words, or NULL; *ret_size up to the line's end. */
static const char *ending_find_panic(const EndingFacts *facts, size_t *ret_size)
{
        const char *from = facts->tail, *found = NULL, *next;
        size_t left = facts->tail_size;

        while (left > 0 && (next = memmem(from, left, ENDING_PANIC, strlen(ENDING_PANIC)))) {
                found = next;
                left -= (size_t)(next - from) + 1;
                from = next + 1;
        }
        if (!found)
                return NULL;
        left = facts->tail_size - (size_t)(found - facts->tail);
        next = memchr(found, '\n', left);
        *ret_size = MIN(next ? (size_t)(next - found) : left, (size_t)ENDING_PANIC_MAX);
        return found;
}

/* The console's last whole lines. */
static void ending_put_tail(const EndingFacts *facts, EndingText *text)
{
        size_t size = MIN(MIN(facts->tail_size, (size_t)ENDING_TAIL_MAX), text->room);
        const char *tail = facts->tail + facts->tail_size - size, *line;

        if (size < facts->tail_size && (line = memchr(tail, '\n', size))) {
                size -= (size_t)(line + 1 - tail);
                tail = line + 1;
        }
        while (size > 0 && (tail[size - 1] == '\n' || tail[size - 1] == '\r'))
                size--;
        if (size == 0)
                return;
        ending_say(text, "\nThe guest's console ended in:\n");
        ending_put(text, tail, size);
}

/* The VMM's process ended without a word about the machine. */
static ShimReason ending_from_status(const EndingFacts *facts, EndingText *text)
{
        if (WIFSIGNALED(facts->status) && WTERMSIG(facts->status) == SIGKILL) {
                ending_say(text, "The virtual machine monitor was killed from outside.");
                return SHIM_REASON_KILLED;
        }
        if (WIFSIGNALED(facts->status)) {
                const char *name = sigabbrev_np(WTERMSIG(facts->status));

                ending_say(text, "The virtual machine monitor was ended by SIG%s.",
                           name ? name : "?");
                return SHIM_REASON_CRASH;
        }
        ending_say(text, "The virtual machine monitor ended with status %d.",
                   WEXITSTATUS(facts->status));
        return SHIM_REASON_CRASH;
}

static ShimReason ending_from_vmm(const EndingFacts *facts, EndingText *text)
{
        const char *detail = facts->end_text ? facts->end_text : "";

        switch (facts->end) {
        case CONTROL_END_STOPPED:
                ending_say(text, "The virtual machine monitor stopped by itself.");
                return SHIM_REASON_CRASH;
        case CONTROL_END_GUEST_RESET:
                ending_say(text, "The guest reset without saying goodbye.");
                return SHIM_REASON_CRASH;
        case CONTROL_END_BOOT_REFUSED:
                ending_say(text, "The firmware could not use this machine: %s.", detail);
                return SHIM_REASON_BOOT_FAILED;
        case CONTROL_END_TRIPLE_FAULT:
                ending_say(text, "The guest crashed (triple fault): %s.", detail);
                return SHIM_REASON_CRASH;
        case CONTROL_END_OUT_OF_MEMORY:
                ending_say(text, "The host had no memory for the guest: %s.", detail);
                return SHIM_REASON_OOM;
        case CONTROL_END_KVM_ERROR:
        case CONTROL_END_DEVICE_ERROR:
        case CONTROL_END_PROTOCOL_ERROR:
        case CONTROL_END_INTERNAL_ERROR:
                ending_say(text, "The virtual machine failed (%s): %s.",
                           control_end_to_string(facts->end), detail);
                return SHIM_REASON_CRASH;
        case CONTROL_END_MAX:
                break;
        }
        return ending_from_status(facts, text);
}

/* What the shim has begun, once nothing speaks against it having come to that end. */
static ShimReason ending_as_asked(const EndingFacts *facts, EndingText *text)
{
        switch (facts->asked) {
        case SHIM_REASON_BOOT_TIMEOUT:
                ending_say(text, "The guest was not ready within its time limit.");
                break;
        case SHIM_REASON_EXITED:
                ending_say(text, "The main process has exited.");
                break;
        case SHIM_REASON_KILLED:
                ending_say(text, "Killed on request.");
                break;
        default:
                ending_say(text, "Stopped on request.");
                break;
        }
        if (facts->overdue && facts->asked != SHIM_REASON_BOOT_TIMEOUT)
                ending_say(text, " The guest did not shut down in time and was killed.");
        return facts->asked;
}

static bool ending_is_failure(ControlEnd end)
{
        return end > CONTROL_END_GUEST_RESET && end < CONTROL_END_MAX;
}

static ShimReason ending_find(const EndingFacts *facts, EndingText *text)
{
        size_t panic_size = 0;
        const char *panic = ending_find_panic(facts, &panic_size);
        ShimReason reason;

        if (facts->oom) {
                ending_say(text,
                           "The sandbox's memory limit was reached and the kernel killed it.");
                return SHIM_REASON_OOM;
        }
        /* A guest that said goodbye has not panicked, whatever its console shows. */
        if (panic && !facts->goodbye && facts->asked != SHIM_REASON_KILLED) {
                ending_say(text, "The guest's kernel panicked: ");
                ending_put(text, panic, panic_size);
                return SHIM_REASON_PANIC;
        }
        if (facts->refusal && facts->refusal[0]) {
                ending_say(text, "The virtual machine could not be started: %s.", facts->refusal);
                return SHIM_REASON_BOOT_FAILED;
        }
        if (facts->asked != SHIM_REASON_NONE && !ending_is_failure(facts->end))
                return ending_as_asked(facts, text);
        if (facts->goodbye && facts->goodbye_reason == AGENT_GOODBYE_SHUTDOWN) {
                ending_say(text, "The guest was powered off from inside.");
                return SHIM_REASON_POWEROFF;
        }
        if (facts->goodbye) {
                ending_say(text, "The guest's agent gave up: %s.", facts->goodbye_text);
                return SHIM_REASON_CRASH;
        }
        reason = ending_from_vmm(facts, text);
        return reason == SHIM_REASON_CRASH && !facts->agent_seen ? SHIM_REASON_BOOT_FAILED : reason;
}

void ending_deduce(const EndingFacts *facts, ShimReason *ret_reason,
                   char ret_text[SHIM_TEXT_MAX + 1])
{
        EndingText text = {.at = ret_text, .room = SHIM_TEXT_MAX};

        ret_text[0] = 0;
        *ret_reason = ending_find(facts, &text);
        switch (*ret_reason) {
        case SHIM_REASON_PANIC:
        case SHIM_REASON_CRASH:
        case SHIM_REASON_BOOT_FAILED:
        case SHIM_REASON_BOOT_TIMEOUT:
                ending_put_tail(facts, &text);
                break;
        case SHIM_REASON_NONE:
        case SHIM_REASON_EXITED:
        case SHIM_REASON_POWEROFF:
        case SHIM_REASON_STOPPED:
        case SHIM_REASON_KILLED:
        case SHIM_REASON_OOM:
        case SHIM_REASON_MAX_:
                break;
        }
}
