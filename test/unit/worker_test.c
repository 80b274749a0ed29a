/* Forked workers: what their parent hears of them. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "test/unit.h"
#include "uvmd/errors.h"
#include "uvmd/worker.h"

#define LIMIT (60 * USEC_PER_SEC)

/* What the handler was told. */
typedef struct Told {
        sd_event *event;
        int r;
        char name[128], text[256], payload[64];
} Told;

static void on_end(void *userdata, int r, const sd_bus_error *error, const uint8_t *payload,
                   size_t size, IoMessage *message)
{
        Told *told = userdata;

        told->r = r;
        snprintf(told->name, sizeof(told->name), "%s", error->name ?: "");
        snprintf(told->text, sizeof(told->text), "%s", error->message ?: "");
        snprintf(told->payload, sizeof(told->payload), "%.*s", (int)size, (const char *)payload);
        sd_event_exit(told->event, 0);
}

static Told run(WorkerMain main, void *task, uint64_t limit_usec)
{
        _cleanup_(sd_event_unrefp) sd_event *event = NULL;
        Worker *worker;
        Told told = {.r = 1};
        sigset_t mask;

        sigemptyset(&mask);
        sigaddset(&mask, SIGCHLD);
        sigprocmask(SIG_BLOCK, &mask, NULL);
        unit_assert(sd_event_new(&event) >= 0);
        told.event = event;
        unit_assert_int(worker_start(&worker, event, "test", main, task, limit_usec, on_end, &told),
                        0);
        unit_assert_int(sd_event_loop(event), 0);
        return told;
}

static int answers(int socket, void *task, sd_bus_error *error)
{
        return worker_answer(socket, task, strlen(task), NULL, 0);
}

static void test_answer(void)
{
        char payload[] = "payload";
        Told told = run(answers, payload, LIMIT);

        unit_assert_int(told.r, 0);
        unit_assert_string(told.name, "");
        unit_assert_string(told.payload, "payload");
}

static int fails(int socket, void *task, sd_bus_error *error)
{
        return error_set(error, *(int *)task, ERROR_INVALID_ARGUMENT, "Its own words.");
}

/* Also with errors that a socket or the end of a worker could have. */
static void test_failure(void)
{
        int errors[] = {-EINVAL, -EAGAIN, -ECANCELED, -ETIMEDOUT, -EMSGSIZE};

        for (size_t i = 0; i < ELEMENTSOF(errors); i++) {
                Told told = run(fails, &errors[i], LIMIT);

                unit_assert_int(told.r, errors[i]);
                unit_assert_string(told.name, ERROR_INVALID_ARGUMENT);
                unit_assert_string(told.text, "Its own words.");
        }
}

static int dies(int socket, void *task, sd_bus_error *error)
{
        if (task)
                raise(*(int *)task);
        _exit(3);
}

static void test_death(void)
{
        int number = SIGKILL;
        Told told = run(dies, NULL, LIMIT);

        unit_assert_int(told.r, -ECANCELED);
        unit_assert_string(told.text, "The worker \"test\" died (exit code 3) before it was done.");
        told = run(dies, &number, LIMIT);
        unit_assert_int(told.r, -ECANCELED);
        unit_assert_string(told.text, "The worker \"test\" died (signal 9) before it was done.");
}

static int lies(int socket, void *task, sd_bus_error *error)
{
        return io_send(socket, task, strlen(task), NULL, 0);
}

static void test_nonsense(void)
{
        char shorter[] = "?", positive[] = "\1aaaaaaaaaaaaaaaaaaa";

        unit_assert_int(run(lies, shorter, LIMIT).r, -EBADMSG);
        unit_assert_int(run(lies, positive, LIMIT).r, -EBADMSG);
}

static int hangs(int socket, void *task, sd_bus_error *error)
{
        pause();
        return 0;
}

static void test_limit(void)
{
        Told told = run(hangs, NULL, 10 * USEC_PER_MSEC);

        unit_assert_int(told.r, -ETIMEDOUT);
        unit_assert_string(told.text, "The worker \"test\" took too long.");
}

UNIT_MAIN(UNIT_TEST(test_answer), UNIT_TEST(test_failure), UNIT_TEST(test_death),
          UNIT_TEST(test_nonsense), UNIT_TEST(test_limit))
