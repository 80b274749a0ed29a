/*
 * The journal, by journald's native datagram protocol (systemd's JOURNAL_NATIVE_PROTOCOL): fields as
 * "KEY=value" lines, so that a value with a newline can't be sent this way and none is. Never blocks
 * and never loses a line: what journald can't take now makes the sender wait for a JournalWaiter to
 * be woken. Without a journal (none runs) lines go nowhere.
 *
 * One thread. The text is the guest's: any bytes but a newline.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/loop.h"

#define JOURNAL_SOCKET   "/run/systemd/journal/socket"
#define JOURNAL_LINE_MAX 8192 /* longer lines go in pieces, each but the last with UVM_PARTIAL=1 */

typedef struct Journal {
        Loop *loop;
        const char *path; /* of the socket; borrowed */
        int fd;           /* FD_NONE: to be connected again with the next line */
        LoopFd source;
        List waiters;
        char *fields; /* of every line: "KEY=value\n"… */
        size_t fields_size;
} Journal;

typedef struct JournalWaiter JournalWaiter;
struct JournalWaiter {
        List link;
        void (*ready)(JournalWaiter *waiter);
};

/* Takes @fields (malloc()ed "KEY=value\n"…, or NULL) and connects. Never fails: see above. */
void journal_init(Journal *journal, Loop *loop, const char *path, char *fields);
void journal_done(Journal *journal);

/* Calls @waiter->ready once, when a line may be sent again. */
void journal_wait(Journal *journal, JournalWaiter *waiter);

/* Appends "KEY=value\n" to the malloc()ed *@fields; newlines in @value become blanks. 0 or -ENOMEM. */
int journal_field_append(char **fields, const char *key, const char *value);

/* One source of lines: cuts a byte stream at newlines and keeps an unfinished line. */
typedef struct JournalLines {
        Journal *journal;
        const char *fields[2]; /* of every line of this source; borrowed, NULL for none */
        uint8_t *partial;
        size_t partial_size, partial_capacity;
} JournalLines;

/* Takes bytes; returns how many, fewer than @size if the journal is full: journal_wait(), then feed
 * the rest. -ENOMEM. */
ssize_t journal_lines_feed(JournalLines *lines, const uint8_t *data, size_t size);

/* The source has ended: sends the unfinished line. 0, or -EAGAIN as above. */
int journal_lines_flush(JournalLines *lines);
void journal_lines_done(JournalLines *lines);
