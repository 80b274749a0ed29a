/* The log of events: order, numbers that go on, what is kept and what is lost, files that were cut. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/fd.h"
#include "test/scratch.h"
#include "test/unit.h"
#include "uvmd/eventlog.h"
#include "uvmd/jsonfile.h"

static char directory[] = "/tmp/uvm-eventlog-XXXXXX", path[64];

static EventLog *begin(void)
{
        EventLog *log;

        strcpy(directory + sizeof(directory) - 7, "XXXXXX");
        unit_assert(mkdtemp(directory));
        snprintf(path, sizeof(path), "%s/events", directory);
        unit_assert_int(eventlog_open(&log, path), 0);
        return log;
}

static void end(EventLog *log)
{
        eventlog_close(log);
        scratch_remove(AT_FDCWD, directory);
}

static EventLog *again(EventLog *log)
{
        eventlog_close(log);
        unit_assert_int(eventlog_open(&log, path), 0);
        return log;
}

static void add(EventLog *log, uint32_t owner, const char *name)
{
        json_object *event = json_object_new_object();

        json_object_object_add(event, "Name", json_object_new_string(name));
        unit_assert_int(eventlog_add(log, owner, event), 0);
}

static void check(const LoggedEvent *event, uint64_t number, uint32_t owner, const char *name)
{
        json_object *json;

        unit_assert(event);
        unit_assert_int(event->number, number);
        unit_assert_int(event->owner, owner);
        unit_assert_int(jsonfile_parse(event->text, strlen(event->text), &json), 0);
        unit_assert_string(jsonfile_get_string(json, "Name"), name);
        json_object_put(json);
}

static void keeps_order_over_restarts(void)
{
        EventLog *log = begin();

        unit_assert_int(eventlog_last(log), 0);
        unit_assert(!eventlog_next(log, 0));
        add(log, 0, "one");
        add(log, EVENTLOG_EVERYBODY, "two \"\n two");
        log = again(log);
        add(log, 7, "three");
        log = again(log);
        unit_assert_int(eventlog_last(log), 3);
        check(eventlog_next(log, 0), 1, 0, "one");
        check(eventlog_next(log, 1), 2, EVENTLOG_EVERYBODY, "two \"\n two");
        check(eventlog_next(log, 2), 3, 7, "three");
        unit_assert(!eventlog_next(log, 3));
        unit_assert(!eventlog_next(log, UINT64_MAX));
        unit_assert_int(eventlog_lost(log, 0), 0);
        end(log);
}

/* More than memory holds, and more than the file is let grow to. */
static void forgets_the_oldest(void)
{
        const uint64_t n = 2 * EVENTLOG_MAX + 100;
        EventLog *log = begin();
        char name[24];

        for (uint64_t i = 1; i <= n; i++) {
                snprintf(name, sizeof(name), "%llu", (unsigned long long)i);
                add(log, 0, name);
        }
        for (unsigned pass = 0; pass < 2; pass++) {
                uint64_t number = 0, first = n - EVENTLOG_MAX + 1, count = 0;
                const LoggedEvent *event;

                unit_assert_int(eventlog_last(log), n);
                unit_assert_int(eventlog_lost(log, 0), first - 1);
                unit_assert_int(eventlog_lost(log, first - 2), 1);
                unit_assert_int(eventlog_lost(log, first - 1), 0);
                unit_assert_int(eventlog_lost(log, UINT64_MAX), 0);
                while ((event = eventlog_next(log, number))) {
                        unit_assert_int(event->number, number ? number + 1 : first);
                        number = event->number;
                        count++;
                }
                unit_assert_int(count, EVENTLOG_MAX);
                log = again(log);
        }
        end(log);
}

/* What a kill, or somebody, has left there. */
static void reads_what_was_cut(void)
{
        static const char text[] = "{\"Number\":5,\"Owner\":3,\"Name\":\"five\"}\n"
                                   "no JSON\n\n[]\n{\"Number\":5,\"Name\":\"again\"}\n"
                                   "{\"Number\":18446744073709551615}\n"
                                   "{\"Number\":-1}\n"
                                   "{\"Number\":8,\"Name\":\"eight\"}\n"
                                   "{\"Number\":9,\"Name\":\"ni";
        EventLog *log = begin();
        int fd = open(path, O_WRONLY | O_TRUNC);

        unit_assert_int(write(fd, text, sizeof(text) - 1), sizeof(text) - 1);
        fd_close(fd);
        log = again(log);
        check(eventlog_next(log, 0), 5, 3, "five");
        check(eventlog_next(log, 5), 8, 0, "eight");
        unit_assert_int(eventlog_last(log), 8);
        add(log, 1, "next");
        check(eventlog_next(log, 8), 9, 1, "next");
        end(log);
}

static void leaves_long_attributes_out(void)
{
        static char label[EVENTLOG_TEXT_MAX];
        EventLog *log = begin();
        json_object *event = json_object_new_object();

        memset(label, 'x', sizeof(label) - 1);
        json_object_object_add(event, "Name", json_object_new_string("long"));
        json_object_object_add(event, "Attributes", json_object_new_string(label));
        unit_assert_int(eventlog_add(log, 0, event), 0);
        log = again(log);
        check(eventlog_next(log, 0), 1, 0, "long");
        unit_assert(!strstr(eventlog_next(log, 0)->text, "xx"));
        end(log);
}

UNIT_MAIN(UNIT_TEST(keeps_order_over_restarts), UNIT_TEST(forgets_the_oldest),
          UNIT_TEST(reads_what_was_cut), UNIT_TEST(leaves_long_attributes_out))
