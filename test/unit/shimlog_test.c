/* The shim's own lines as the journal gets them. */
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "shim/shimlog.h"
#include "test/unit.h"

static char path[64];

static int listen_at_path(void)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

        unlink(path);
        snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
        unit_assert(fd >= 0);
        unit_assert_int(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
        return fd;
}

/* The next datagram is @fields, then @message with its size. */
static void expect(int fd, const char *fields, const char *message)
{
        char datagram[4096], wanted[4096];
        size_t size = strlen(message), at = strlen(fields);
        ssize_t n = recv(fd, datagram, sizeof(datagram), 0);

        memcpy(wanted, fields, at);
        memcpy(wanted + at, "MESSAGE\n", 8);
        at += 8;
        for (unsigned i = 0; i < 8; i++)
                wanted[at++] = (char)((uint64_t)size >> (8 * i));
        memcpy(wanted + at, message, size);
        at += size;
        wanted[at++] = '\n';
        unit_assert_int(n, at);
        unit_assert_bytes(datagram, wanted, at);
}

static void test_fields(void)
{
        const char *about[] = {"UVM_CONTAINER=c1", "UVM_PROCESS=", NULL};
        int fd = listen_at_path();

        shimlog_open(path, "0123456789abcdef");
        log_info("one %d", 1);
        expect(fd, "SYSLOG_IDENTIFIER=uvm-shim\nUVM_SANDBOX=0123456789abcdef\nPRIORITY=6\n",
               "one 1");
        shimlog_name("a\nb", "1000");
        log_write_fields(LOG_ERR, -ENOENT, about, "lines\nof text");
        expect(fd,
               "SYSLOG_IDENTIFIER=uvm-shim\nUVM_SANDBOX=0123456789abcdef\nUVM_NAME=a b\n"
               "UVM_OWNER=1000\nPRIORITY=3\nUVM_CONTAINER=c1\nUVM_PROCESS=\n",
               "lines\nof text: No such file or directory");
        close(fd);
        /* A journal that comes back at the same place. */
        fd = listen_at_path();
        log_warning("again");
        expect(fd,
               "SYSLOG_IDENTIFIER=uvm-shim\nUVM_SANDBOX=0123456789abcdef\nUVM_NAME=a b\n"
               "UVM_OWNER=1000\nPRIORITY=4\n",
               "again");
        close(fd);
        unlink(path);
}

/* One that doesn't read, or isn't there, loses nothing: the line is on standard error. */
static void test_full(void)
{
        int fd = listen_at_path(), pair[2], saved = dup(STDERR_FILENO);
        char line[64] = "", filler[1024] = {};
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        int sender = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

        snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
        while (sendto(sender, filler, sizeof(filler), 0, (struct sockaddr *)&address,
                      sizeof(address)) > 0)
                ;
        unit_assert_int(pipe(pair), 0);
        dup2(pair[1], STDERR_FILENO);
        log_warning("full");
        close(fd);
        unlink(path);
        log_warning("gone");
        dup2(saved, STDERR_FILENO);
        unit_assert_int(read(pair[0], line, sizeof(line) - 1), 16);
        unit_assert_string(line, "<4>full\n<4>gone\n");
        close(pair[0]);
        close(pair[1]);
        close(saved);
        close(sender);
}

int main(void)
{
        static const UnitTest tests[] = {UNIT_TEST(test_fields), UNIT_TEST(test_full)};

        snprintf(path, sizeof(path), "/tmp/uvm-shimlog-%d.sock", getpid());
        return unit_run(tests, sizeof(tests) / sizeof(tests[0]));
}
