/* Calls that take their time; see late.h. */
#include <signal.h>
#include <stdio.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "client/late.h"

typedef struct Late {
        sd_event *event;
        sd_bus_message *reply;
        const char *what;
        unsigned seconds;
        bool interrupted;
} Late;

static int on_reply(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
{
        Late *late = userdata;

        late->reply = sd_bus_message_ref(reply);
        return sd_event_exit(late->event, 0);
}

static int on_interrupt(sd_event_source *source, const struct signalfd_siginfo *info,
                        void *userdata)
{
        Late *late = userdata;

        late->interrupted = true;
        return sd_event_exit(late->event, 0);
}

static int on_second(sd_event_source *source, uint64_t usec, void *userdata)
{
        Late *late = userdata;
        int r;

        fprintf(stderr, "\r%s %us", late->what, ++late->seconds);
        r = sd_event_source_set_time_relative(source, USEC_PER_SEC);
        if (r < 0)
                return r;
        return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static int late_prepare(Late *late, sd_bus *bus, sd_bus_message *message)
{
        sigset_t mask;
        int r = sd_event_new(&late->event);

        if (r < 0)
                return r;
        sigemptyset(&mask);
        sigaddset(&mask, SIGINT);
        sigaddset(&mask, SIGTERM);
        sigprocmask(SIG_BLOCK, &mask, NULL);
        r = sd_event_add_signal(late->event, NULL, SIGINT, on_interrupt, late);
        if (r >= 0)
                r = sd_event_add_signal(late->event, NULL, SIGTERM, on_interrupt, late);
        if (r >= 0 && late->what && isatty(STDERR_FILENO))
                r = sd_event_add_time_relative(late->event, NULL, CLOCK_MONOTONIC, USEC_PER_SEC, 0,
                                               on_second, late);
        if (r >= 0)
                r = sd_bus_attach_event(bus, late->event, SD_EVENT_PRIORITY_NORMAL);
        if (r >= 0)
                r = sd_bus_call_async(bus, NULL, message, on_reply, late, UINT64_MAX);
        return r;
}

static void late_done(Late *late, sd_bus *bus)
{
        sigset_t mask;

        if (late->seconds > 0)
                fputs("\r\033[K", stderr);
        sd_bus_detach_event(bus);
        sd_event_unref(late->event);
        sd_bus_message_unref(late->reply);
        sigemptyset(&mask);
        sigaddset(&mask, SIGINT);
        sigaddset(&mask, SIGTERM);
        sigprocmask(SIG_UNBLOCK, &mask, NULL);
}

int client_send_late(sd_bus *bus, sd_bus_message *message, const char *what,
                     sd_bus_message **ret_reply)
{
        Late late = {.what = what};
        int r = late_prepare(&late, bus, message);

        if (r >= 0)
                r = sd_event_loop(late.event);
        if (r < 0)
                r = client_fail_errno(r, "cannot call uvmd");
        else if (late.interrupted)
                r = CLIENT_EXIT_INTERRUPTED;
        else if (sd_bus_message_is_method_error(late.reply, NULL))
                r = client_report(sd_bus_message_get_error(late.reply));
        else if (ret_reply)
                *ret_reply = TAKE_PTR(late.reply);
        late_done(&late, bus);
        return r;
}

int client_call_late(sd_bus *bus, const char *path, ClientInterface interface, const char *member,
                     const char *what)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL;
        int r = client_message_new(bus, path, interface, member, &message);

        return r ? r : client_send_late(bus, message, what, NULL);
}

int client_call_late_string(sd_bus *bus, const char *path, ClientInterface interface,
                            const char *member, const char *argument, const char *what)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL;
        int r = client_message_new(bus, path, interface, member, &message);

        if (r)
                return r;
        if (sd_bus_message_append(message, "s", argument) < 0)
                return client_fail("the call can't be made");
        return client_send_late(bus, message, what, NULL);
}
