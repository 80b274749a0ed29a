/* Lines to the journal: cut right, none lost when the journal is full, partial ones marked. */
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fd.h"
#include "shim/journal.h"
#include "test/unit.h"

static char path[64];
static int reader;
static Loop *loop;
static Journal journal;
static JournalLines lines;
static JournalWaiter waiter;
static int woken;

static void on_ready(JournalWaiter *unused)
{
        woken++;
}

static void start(void)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        char *fields = NULL;

        snprintf(path, sizeof(path), "/tmp/uvm-journal-%d.sock", getpid());
        snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
        reader = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        unit_assert(reader >= 0);
        unit_assert_int(bind(reader, (struct sockaddr *)&address, sizeof(address)), 0);
        unit_assert_int(loop_new(&loop), 0);
        unit_assert_int(journal_field_append(&fields, "UVM_SANDBOX", "a\nb"), 0);
        journal_init(&journal, loop, path, fields);
        lines = (JournalLines){.journal = &journal, .fields = {"UVM_STREAM=stdout\n"}};
        waiter.ready = on_ready;
        woken = 0;
}

static void end(void)
{
        journal_lines_done(&lines);
        journal_done(&journal);
        loop_free(loop);
        close(reader);
        unlink(path);
}

/* The next datagram, which ends in "MESSAGE=…\n"; *ret_partial: it has UVM_PARTIAL=1. */
static const char *next(bool *ret_partial)
{
        static char datagram[16384];
        ssize_t n = recv(reader, datagram, sizeof(datagram) - 1, 0);
        char *message;

        if (n < 0)
                return NULL;
        unit_assert(datagram[n - 1] == '\n');
        datagram[n - 1] = 0;
        unit_assert(strstr(datagram, "UVM_SANDBOX=a b\nUVM_STREAM=stdout\n") == datagram);
        *ret_partial = strstr(datagram, "UVM_PARTIAL=1\n");
        message = strstr(datagram, "\nMESSAGE=");
        unit_assert(message);
        return message + strlen("\nMESSAGE=");
}

static void feed(const char *text)
{
        unit_assert_int(journal_lines_feed(&lines, (const uint8_t *)text, strlen(text)),
                        strlen(text));
}

static void test_cut(void)
{
        bool partial;

        start();
        feed("one\ntw");
        feed("o\n\nthr");
        unit_assert_string(next(&partial), "one");
        unit_assert_string(next(&partial), "two");
        unit_assert(!partial);
        unit_assert_string(next(&partial), "");
        unit_assert(!next(&partial));
        unit_assert_int(journal_lines_flush(&lines), 0);
        unit_assert_string(next(&partial), "thr");
        unit_assert(partial);
        unit_assert_int(journal_lines_flush(&lines), 0);
        unit_assert(!next(&partial));
        end();
}

static void test_long_line(void)
{
        static uint8_t line[2 * JOURNAL_LINE_MAX + 100];
        bool partial;

        start();
        memset(line, 'x', sizeof(line) - 1);
        line[sizeof(line) - 1] = '\n';
        unit_assert_int(journal_lines_feed(&lines, line, 10), 10);
        unit_assert_int(journal_lines_feed(&lines, line + 10, sizeof(line) - 10),
                        sizeof(line) - 10);
        for (int i = 0; i < 2; i++) {
                unit_assert_int(strlen(next(&partial)), JOURNAL_LINE_MAX);
                unit_assert(partial);
        }
        unit_assert_int(strlen(next(&partial)), 99);
        unit_assert(!partial);
        end();
}

/* Nobody reads: lines are refused at some point, and after reading all come in order. */
static void test_full(void)
{
        unsigned sent = 0, got = 0;
        bool partial;
        char line[32];
        const char *text;

        start();
        for (;;) {
                int n = snprintf(line, sizeof(line), "line %u\n", sent);

                if (journal_lines_feed(&lines, (const uint8_t *)line, (size_t)n) == 0)
                        break;
                sent++;
        }
        unit_assert(sent > 0);
        journal_wait(&journal, &waiter);
        unit_assert_int(loop_step(loop, 0), 0);
        unit_assert_int(woken, 0);
        while ((text = next(&partial))) {
                snprintf(line, sizeof(line), "line %u", got++);
                unit_assert_string(text, line);
        }
        unit_assert_int(got, sent);
        unit_assert_int(loop_step(loop, 1000000), 0);
        unit_assert_int(woken, 1);
        feed("after\n");
        unit_assert_string(next(&partial), "after");
        end();
}

/* The journal is gone: lines go nowhere and nobody waits for ever. */
static void test_gone(void)
{
        start();
        close(reader);
        unlink(path);
        feed("lost\n");
        feed("lost too\n");
        journal_wait(&journal, &waiter);
        unit_assert_int(woken, 1);
        reader = FD_NONE;
        end();
}

UNIT_MAIN(UNIT_TEST(test_cut), UNIT_TEST(test_long_line), UNIT_TEST(test_full),
          UNIT_TEST(test_gone))
