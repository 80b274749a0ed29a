/* Special files: fifos, sockets, devices; and programs. */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "posix.h"

static void fifo_use(void)
{
        char buffer[8];
        pid_t child;
        int fd;

        TRY(mkfifo("fifo", 0640));
        CHECK(S_ISFIFO(posix_stat("fifo").st_mode));
        FAILS(ENXIO, open("fifo", O_WRONLY | O_NONBLOCK));
        child = posix_fork();
        if (child == 0) {
                fd = TRY(open("fifo", O_WRONLY));
                CHECK(TRY(write(fd, "text", 4)) == 4);
                _exit(0);
        }
        fd = TRY(open("fifo", O_RDONLY));
        CHECK(TRY(read(fd, buffer, sizeof(buffer))) == 4);
        posix_join(child);
        TRY(chmod("fifo", 0600));
        CHECK((posix_stat("fifo").st_mode & 07777) == 0600);
        TRY(link("fifo", "hard"));
        TRY(unlink("fifo"));
        CHECK(S_ISFIFO(posix_stat("hard").st_mode));
}

static void socket_use(void)
{
        const struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "socket"};
        int listener = TRY(socket(AF_UNIX, SOCK_STREAM, 0)), fd;
        char buffer[8];
        pid_t child;

        TRY(bind(listener, (const struct sockaddr *)&address, sizeof(address)));
        TRY(listen(listener, 1));
        CHECK(S_ISSOCK(posix_stat("socket").st_mode));
        child = posix_fork();
        if (child == 0) {
                fd = TRY(socket(AF_UNIX, SOCK_STREAM, 0));
                TRY(connect(fd, (const struct sockaddr *)&address, sizeof(address)));
                CHECK(TRY(write(fd, "text", 4)) == 4);
                _exit(0);
        }
        fd = TRY(accept(listener, NULL, NULL));
        CHECK(TRY(read(fd, buffer, sizeof(buffer))) == 4);
        posix_join(child);
        FAILS(ENXIO, open("socket", O_RDONLY));
        fd = TRY(socket(AF_UNIX, SOCK_STREAM, 0));
        FAILS(EADDRINUSE, bind(fd, (const struct sockaddr *)&address, sizeof(address)));
        TRY(unlink("socket"));
}

static void regular_node(void)
{
        TRY(mknod("file", S_IFREG | 0640, 0));
        CHECK(S_ISREG(posix_stat("file").st_mode));
        CHECK((posix_stat("file").st_mode & 07777) == 0640);
        FAILS(EEXIST, mknod("file", S_IFREG | 0640, 0));
}

static void device_node(void)
{
        TRY(mknod("null", S_IFCHR | 0666, makedev(1, 3)));
        CHECK(posix_stat("null").st_rdev == makedev(1, 3));
        CHECK(S_ISCHR(posix_stat("null").st_mode));
}

/* Overlays' sign of a file that is gone: no device, and allowed to all since Linux 5.8. */
static void whiteout(void)
{
        TRY(mknod("gone", S_IFCHR, makedev(0, 0)));
        CHECK(S_ISCHR(posix_stat("gone").st_mode));
        CHECK(posix_stat("gone").st_rdev == makedev(0, 0));
}

static void copy_self(const char *name)
{
        int from = TRY(open("/proc/self/exe", O_RDONLY));
        int to = TRY(open(name, O_CREAT | O_WRONLY, 0755));
        static char buffer[65536];

        for (ssize_t n; (n = TRY(read(from, buffer, sizeof(buffer)))) > 0;)
                CHECK(TRY(write(to, buffer, (size_t)n)) == n);
        TRY(close(to));
}

static void program(void)
{
        pid_t child;
        int status;

        copy_self("program");
        child = posix_fork();
        if (child == 0) {
                TRY(dup2(TRY(open("/dev/null", O_WRONLY)), STDOUT_FILENO));
                TRY(execl("./program", "program", "--list", NULL));
        }
        TRY(waitpid(child, &status, 0));
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        TRY(chmod("program", 0644));
        FAILS(EACCES, execl("./program", "program", "--list", NULL));
}

/* A program that runs can't be written, and one that is written can't run. */
static void program_busy(void)
{
        int pipes[2], fd;
        pid_t child;

        copy_self("program");
        fd = TRY(open("program", O_WRONLY));
        FAILS(ETXTBSY, execl("./program", "program", "--list", NULL));
        TRY(close(fd));
        TRY(pipe2(pipes, O_CLOEXEC));
        child = posix_fork();
        if (child == 0) {
                int full[2];

                /* It starts, and then can't go on: nobody reads what it lists. */
                TRY(pipe(full));
                TRY(fcntl(full[1], F_SETFL, O_NONBLOCK));
                while (write(full[1], "", 1) == 1)
                        ;
                TRY(fcntl(full[1], F_SETFL, 0));
                TRY(dup2(full[1], STDOUT_FILENO));
                TRY(execl("./program", "program", "--list", NULL));
        }
        TRY(close(pipes[1]));
        CHECK(TRY(read(pipes[0], (char[1]){}, 1)) == 0); /* closed by exec */
        FAILS(ETXTBSY, open("program", O_WRONLY));
        TRY(kill(child, SIGKILL));
        TRY(waitpid(child, NULL, 0));
        TRY(open("program", O_WRONLY));
}

const PosixCase posix_cases_node[] = {
        {"node-fifo", fifo_use, 0},
        {"node-socket", socket_use, 0},
        {"node-regular", regular_node, 0},
        {"node-device", device_node, 0},
        {"node-whiteout", whiteout, 0},
        {"node-program", program, 0},
        {"node-program-busy", program_busy, 0},
        {},
};
