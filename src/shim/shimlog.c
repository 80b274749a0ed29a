/* The shim's own lines in the journal; see shimlog.h. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"

#include "shim/journal.h"
#include "shim/shimlog.h"

#define FIELDS_MAX 8 /* of one line, from who writes it */

static const char *shimlog_path, *shimlog_id;
static char *shimlog_fields; /* of every line */
static int shimlog_fd = FD_NONE;

static void shimlog_connect(void)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        _cleanup_(fd_closep) int fd = FD_NONE;

        if (strlen(shimlog_path) >= sizeof(address.sun_path))
                return;
        memcpy(address.sun_path, shimlog_path, strlen(shimlog_path) + 1);
        fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
                shimlog_fd = TAKE_FD(fd);
}

static struct iovec shimlog_part(const void *data, size_t size)
{
        return (struct iovec){.iov_base = (void *)data, .iov_len = size};
}

/* A text of several lines goes with its size before it (systemd's JOURNAL_NATIVE_PROTOCOL). 0, or -1. */
static int shimlog_send(int level, const char *message, const char *const *fields)
{
        struct iovec parts[6 + 2 * FIELDS_MAX];
        struct msghdr datagram = {.msg_iov = parts};
        size_t size = strlen(message), n = 0;
        uint8_t prefix[8];
        char priority[32];

        for (unsigned i = 0; i < sizeof(prefix); i++)
                prefix[i] = (uint8_t)((uint64_t)size >> (8 * i));
        snprintf(priority, sizeof(priority), "PRIORITY=%d\n", level & 7);
        if (shimlog_fields)
                parts[n++] = shimlog_part(shimlog_fields, strlen(shimlog_fields));
        parts[n++] = shimlog_part(priority, strlen(priority));
        for (unsigned i = 0; fields && fields[i] && i < FIELDS_MAX; i++) {
                parts[n++] = shimlog_part(fields[i], strlen(fields[i]));
                parts[n++] = shimlog_part("\n", 1);
        }
        parts[n++] = shimlog_part("MESSAGE\n", 8);
        parts[n++] = shimlog_part(prefix, sizeof(prefix));
        parts[n++] = shimlog_part(message, size);
        parts[n++] = shimlog_part("\n", 1);
        datagram.msg_iovlen = n;
        return sendmsg(shimlog_fd, &datagram, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -1 : 0;
}

static void shimlog_write(int level, const char *message, const char *const *fields)
{
        /* A journal that was restarted has another socket at the same place. */
        for (unsigned i = 0; i < 2; i++) {
                if (shimlog_fd < 0)
                        shimlog_connect();
                if (shimlog_fd >= 0 && shimlog_send(level, message, fields) == 0)
                        return;
                shimlog_fd = fd_close(shimlog_fd);
        }
        /* There is nobody to tell when this fails, too. */
        dprintf(STDERR_FILENO, "<%d>%s\n", level & 7, message);
}

static void shimlog_set_fields(const char *name, const char *owner)
{
        char *fields = NULL;
        int r = journal_field_append(&fields, "SYSLOG_IDENTIFIER", "uvm-shim");

        if (r >= 0)
                r = journal_field_append(&fields, "UVM_SANDBOX", shimlog_id);
        if (r >= 0 && name)
                r = journal_field_append(&fields, "UVM_NAME", name);
        if (r >= 0 && owner)
                r = journal_field_append(&fields, "UVM_OWNER", owner);
        if (r < 0) {
                free(fields);
                return;
        }
        free(shimlog_fields);
        shimlog_fields = fields;
}

void shimlog_open(const char *path, const char *id)
{
        shimlog_path = path;
        shimlog_id = id;
        shimlog_set_fields(NULL, NULL);
        log_set_sink(shimlog_write);
}

void shimlog_name(const char *name, const char *owner)
{
        if (shimlog_id)
                shimlog_set_fields(name, owner);
}
