/* Waiting for an exit; see wait.h. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "client/late.h"
#include "client/wait.h"

/* How often and how long after each other it is asked again while uvmd restarts. */
#define WAIT_RETRIES    40
#define WAIT_RETRY_USEC (250 * USEC_PER_MSEC)

struct Wait {
        sd_bus *bus;
        sd_event *event;
        const char *path;
        ClientInterface interface;
        WaitDone done;
        void *userdata;
        sd_bus_slot *call;
        sd_event_source *retry;
        unsigned n_retries;
};

static int wait_ask(Wait *wait);

Wait *wait_free(Wait *wait)
{
        if (!wait)
                return NULL;
        sd_bus_slot_unref(wait->call);
        sd_event_source_disable_unref(wait->retry);
        sd_event_unref(wait->event);
        sd_bus_unref(wait->bus);
        free(wait);
        return NULL;
}

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata)
{
        Wait *wait = userdata;
        int r = wait_ask(wait);

        if (r)
                wait->done(r, 0, wait->userdata);
        return 0;
}

static int wait_again(Wait *wait)
{
        wait->retry = sd_event_source_disable_unref(wait->retry);
        wait->n_retries++;
        return sd_event_add_time_relative(wait->event, &wait->retry, CLOCK_MONOTONIC,
                                          WAIT_RETRY_USEC, 0, on_retry, wait);
}

static int on_answer(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
{
        Wait *wait = userdata;
        const sd_bus_error *error = sd_bus_message_get_error(reply);
        int status = 0, code = 0;

        wait->call = sd_bus_slot_unref(wait->call);
        if (error && client_error_is_restart(error) && wait->n_retries < WAIT_RETRIES &&
            wait_again(wait) >= 0)
                return 0;
        if (error)
                status = client_report(error);
        else if (sd_bus_message_read(reply, "i", &code) < 0)
                status = client_fail("uvmd's answer can't be read");
        wait->done(status, code, wait->userdata);
        return 0;
}

static int wait_ask(Wait *wait)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL;
        int r = client_message_new(wait->bus, wait->path, wait->interface, "Wait", &message);

        if (r)
                return r;
        r = sd_bus_call_async(wait->bus, &wait->call, message, on_answer, wait, UINT64_MAX);
        return r < 0 ? client_fail_errno(r, "cannot call uvmd") : 0;
}

int wait_start(Wait **ret, sd_bus *bus, sd_event *event, const char *path,
               ClientInterface interface, WaitDone done, void *userdata)
{
        Wait *wait = calloc(1, sizeof(*wait));
        int r;

        if (!wait)
                return client_fail_errno(-ENOMEM, "cannot wait");
        wait->bus = sd_bus_ref(bus);
        wait->event = sd_event_ref(event);
        wait->path = path;
        wait->interface = interface;
        wait->done = done;
        wait->userdata = userdata;
        r = wait_ask(wait);
        if (r) {
                wait_free(wait);
                return r;
        }
        *ret = wait;
        return 0;
}

/* ------------------------------------------------------------------ in a loop of its own */

typedef struct Alone {
        sd_event *event;
        int status, code;
} Alone;

static void on_exited(int status, int code, void *userdata)
{
        Alone *alone = userdata;

        alone->status = status;
        alone->code = code;
        sd_event_exit(alone->event, 0);
}

static int on_interrupt(sd_event_source *source, const struct signalfd_siginfo *info,
                        void *userdata)
{
        Alone *alone = userdata;

        alone->status = CLIENT_EXIT_INTERRUPTED;
        return sd_event_exit(alone->event, 0);
}

static int alone_prepare(Alone *alone, sd_bus *bus)
{
        sigset_t mask;
        int r = sd_event_new(&alone->event);

        if (r < 0)
                return r;
        sigemptyset(&mask);
        sigaddset(&mask, SIGINT);
        sigaddset(&mask, SIGTERM);
        sigprocmask(SIG_BLOCK, &mask, NULL);
        r = sd_event_add_signal(alone->event, NULL, SIGINT, on_interrupt, alone);
        if (r >= 0)
                r = sd_event_add_signal(alone->event, NULL, SIGTERM, on_interrupt, alone);
        return r < 0 ? r : sd_bus_attach_event(bus, alone->event, SD_EVENT_PRIORITY_NORMAL);
}

int wait_for_exit(sd_bus *bus, const char *path, ClientInterface interface, int *ret_code)
{
        Alone alone = {0};
        Wait *wait = NULL;
        int r = alone_prepare(&alone, bus);

        if (r < 0)
                r = client_fail_errno(r, "cannot wait");
        else
                r = wait_start(&wait, bus, alone.event, path, interface, on_exited, &alone);
        if (!r && sd_event_loop(alone.event) < 0)
                r = client_fail("cannot wait");
        wait_free(wait);
        sd_bus_detach_event(bus);
        sd_event_unref(alone.event);
        if (r || alone.status)
                return r ? r : alone.status;
        *ret_code = alone.code;
        return 0;
}
