/* uvmd's lines in the journal; see journal.h. Names are checked ones: no newline is in a field. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#include "base/log.h"
#include "uvmd/journal.h"
#include "uvmd/sandbox.h"

#define JOURNAL_FIELDS_MAX 8

/* Whom a worker works for: none of its lines is about anybody else. */
static struct {
        char id[64], name[NAME_SIZE_MAX + 32], owner[32];
        const char *fields[4];
} journal_subject;

static void journal_write(int level, const char *message, const char *const *fields)
{
        char priority[sizeof("PRIORITY=7")];
        struct iovec lines[JOURNAL_FIELDS_MAX + 3];
        _cleanup_(freep) char *text = NULL;
        int n = 0;

        if (!fields && journal_subject.fields[0])
                fields = journal_subject.fields;
        if (asprintf(&text, "MESSAGE=%s", message) < 0)
                return;
        snprintf(priority, sizeof(priority), "PRIORITY=%d", level & 7);
        lines[n++] = (struct iovec){text, strlen(text)};
        lines[n++] = (struct iovec){priority, strlen(priority)};
        lines[n++] = (struct iovec){(char *)"SYSLOG_IDENTIFIER=uvmd",
                                    strlen("SYSLOG_IDENTIFIER=uvmd")};
        for (; fields && *fields && n < JOURNAL_FIELDS_MAX + 3; fields++)
                lines[n++] = (struct iovec){(char *)*fields, strlen(*fields)};
        /* There is nobody to tell when this fails. */
        sd_journal_sendv(lines, n);
}

void journal_open(void)
{
        const char *stream = getenv("JOURNAL_STREAM");
        uintmax_t device, inode;
        struct stat st;

        /* systemd.exec(5): "DEVICE:INODE" of the stream; standard error may have gone elsewhere since. */
        if (stream && sscanf(stream, "%ju:%ju", &device, &inode) == 2 &&
            fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device && st.st_ino == inode)
                log_set_sink(journal_write);
}

/* "KEY=value" into @buffer. */
static const char *field(char *buffer, size_t size, const char *key, const char *value)
{
        snprintf(buffer, size, "%s=%s", key, value ?: "");
        return buffer;
}

void journal_about(const Sandbox *sandbox)
{
        journal_subject.fields[0] = field(journal_subject.id, sizeof(journal_subject.id),
                                          "UVM_SANDBOX", sandbox->id);
        journal_subject.fields[1] = field(journal_subject.name, sizeof(journal_subject.name),
                                          "UVM_NAME", sandbox->name);
        snprintf(journal_subject.owner, sizeof(journal_subject.owner), "UVM_OWNER=%u",
                 sandbox->owner);
        journal_subject.fields[2] = journal_subject.owner;
}

static int object_log(const Sandbox *sandbox, const Container *container, int level, int r,
                      const char *format, va_list arguments)
{
        char ids[2][64], names[2][NAME_SIZE_MAX + 32], owner[32], text[2048];
        const char *fields[JOURNAL_FIELDS_MAX] = {
                field(ids[0], sizeof(ids[0]), "UVM_SANDBOX", sandbox->id),
                field(names[0], sizeof(names[0]), "UVM_NAME", sandbox->name),
                owner,
        };

        snprintf(owner, sizeof(owner), "UVM_OWNER=%u", sandbox->owner);
        if (container) {
                fields[3] = field(ids[1], sizeof(ids[1]), "UVM_CONTAINER", container->id);
                fields[4] = field(names[1], sizeof(names[1]), "UVM_CONTAINER_NAME",
                                  container->name);
        }
        vsnprintf(text, sizeof(text), format, arguments);
        return log_write_fields(level, r, fields, "%s %s: %s", container ? "Container" : "Sandbox",
                                container ? container->id : sandbox->id, text);
}

int sandbox_log(const Sandbox *sandbox, int level, int r, const char *format, ...)
{
        va_list arguments;

        va_start(arguments, format);
        object_log(sandbox, NULL, level, r, format, arguments);
        va_end(arguments);
        return r;
}

int container_log(const Container *container, int level, int r, const char *format, ...)
{
        va_list arguments;

        va_start(arguments, format);
        object_log(container->task.sandbox, container, level, r, format, arguments);
        va_end(arguments);
        return r;
}
