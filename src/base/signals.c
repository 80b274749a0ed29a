/* Signals by name; see signals.h. A table of our own: not every libc has sigabbrev_np(3). */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "base/signals.h"

static const struct {
        const char *name;
        int number;
} signals[] = {
        {"HUP", SIGHUP},       {"INT", SIGINT},   {"QUIT", SIGQUIT},   {"ILL", SIGILL},
        {"TRAP", SIGTRAP},     {"ABRT", SIGABRT}, {"BUS", SIGBUS},     {"FPE", SIGFPE},
        {"KILL", SIGKILL},     {"USR1", SIGUSR1}, {"SEGV", SIGSEGV},   {"USR2", SIGUSR2},
        {"PIPE", SIGPIPE},     {"ALRM", SIGALRM}, {"TERM", SIGTERM},   {"CHLD", SIGCHLD},
        {"CONT", SIGCONT},     {"STOP", SIGSTOP}, {"TSTP", SIGTSTP},   {"TTIN", SIGTTIN},
        {"TTOU", SIGTTOU},     {"URG", SIGURG},   {"XCPU", SIGXCPU},   {"XFSZ", SIGXFSZ},
        {"VTALRM", SIGVTALRM}, {"PROF", SIGPROF}, {"WINCH", SIGWINCH}, {"IO", SIGIO},
        {"POLL", SIGIO},       {"PWR", SIGPWR},   {"SYS", SIGSYS},
};

int signal_parse(const char *text)
{
        uint64_t number;

        if (parse_u64(text, 1, (uint64_t)SIGRTMAX, &number) == 0)
                return (int)number;
        if (strncasecmp(text, "SIG", 3) == 0)
                text += 3;
        if (strncasecmp(text, "RTMIN", 5) == 0) {
                if (!text[5])
                        return SIGRTMIN;
                if (text[5] == '+' &&
                    parse_u64(text + 6, 0, (uint64_t)(SIGRTMAX - SIGRTMIN), &number) == 0)
                        return SIGRTMIN + (int)number;
                return -EINVAL;
        }
        for (size_t i = 0; i < ELEMENTSOF(signals); i++)
                if (strcasecmp(signals[i].name, text) == 0)
                        return signals[i].number;
        return -EINVAL;
}
