/*
 * posix: whether a directory behaves as one on a local disk.
 *
 *   posix [--other DIR] [--small NAME] [--many N] [--seconds N] DIRECTORY [BEHAVIOUR...]
 *   posix --list
 *   posix --fill N DIRECTORY
 *
 * Runs each behaviour (or those named) in a process and a new directory of its own below DIRECTORY,
 * and prints TAP: one line each, a failure with its errno, place and expression. As root. What needs
 * more is skipped without it: --other is DIRECTORY as a second client sees it, --small a file system
 * of less than 3 MiB that is mounted at NAME in DIRECTORY, --many that its directory "many" has N files,
 * made by --fill. The same must pass on ext4: that is what "as on a local disk" means. Exit status: 0
 * if nothing failed.
 */
#include <fcntl.h>
#include <ftw.h>
#include <getopt.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "posix.h"

static const PosixCase *const groups[] = {
        posix_cases_open, posix_cases_name,  posix_cases_dir,   posix_cases_data,
        posix_cases_map,  posix_cases_lock,  posix_cases_attr,  posix_cases_owner,
        posix_cases_node, posix_cases_xattr, posix_cases_other,
};

PosixOptions posix_options;

static unsigned time_limit = 60;
static int report_fd = -1;

#define EXIT_FAILED 1
#define SKIP        "SKIP "

/* The first line that comes through the pipe is the verdict: whoever of the behaviour's processes
 * says it, the others are ended. */
static _Noreturn void report(int status, const char *text)
{
        dprintf(report_fd, "%s\n", text);
        _exit(status);
}

_Noreturn void posix_failed(const char *file, int line, const char *what, int error)
{
        const char *base = strrchr(file, '/');
        char text[512];

        snprintf(text, sizeof(text), "%s %s:%d %s", error ? strerrorname_np(error) : "wrong",
                 base ? base + 1 : file, line, what);
        report(EXIT_FAILED, text);
}

_Noreturn void posix_skip(const char *why)
{
        char text[512];

        snprintf(text, sizeof(text), SKIP "%s", why);
        report(EXIT_FAILED, text);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *walk)
{
        return remove(path);
}

static _Noreturn void run_child(const PosixCase *this, int directory)
{
        static char other[PATH_MAX];

        setpgid(0, 0);
        umask(022);
        if (mkdirat(directory, this->name, 0755) < 0 || fchdir(directory) < 0 ||
            chdir(this->name) < 0)
                posix_failed("main.c", __LINE__, "a directory of its own", errno);
        if (posix_options.other) {
                snprintf(other, sizeof(other), "%s/%s", posix_options.other, this->name);
                posix_options.other = other;
        }
        this->run();
        _exit(0);
}

/* Until there is a verdict, all have ended, or the time is over: then true. Ends the whole group. */
static bool await_end(pid_t pid, int pipe_fd, char *text, size_t size)
{
        struct pollfd poll_fd = {.fd = pipe_fd, .events = POLLIN};
        double end = posix_now() + time_limit;
        size_t length = 0;
        bool late = false;

        for (;;) {
                double left = end - posix_now();
                ssize_t n;

                if (left <= 0 || poll(&poll_fd, 1, (int)(left * 1000) + 1) == 0) {
                        late = true;
                        break;
                }
                n = read(pipe_fd, text + length, size - 1 - length);
                if (n <= 0)
                        break;
                length += (size_t)n;
                if (memchr(text, '\n', length))
                        break;
        }
        kill(-pid, SIGKILL);
        text[length] = 0;
        text[strcspn(text, "\n")] = 0;
        return late;
}

/* Whether it passed. Files that the behaviour left go; that they can is part of it. */
static bool run_case(const PosixCase *this, unsigned number, const char *directory, int fd)
{
        char text[1024], path[PATH_MAX];
        double start = posix_now();
        int pipe_fds[2], status;
        bool late, passed;
        pid_t pid;

        if ((this->flags & POSIX_OTHER && !posix_options.other) ||
            (this->flags & POSIX_SMALL && !posix_options.small) ||
            (this->flags & POSIX_MANY && !posix_options.many)) {
                printf("ok %u - %s # SKIP not asked for (0.00 s)\n", number, this->name);
                return true;
        }
        if (pipe2(pipe_fds, O_CLOEXEC) < 0 || (pid = fork()) < 0)
                exit(EXIT_FAILED);
        if (pid == 0) {
                report_fd = pipe_fds[1];
                run_child(this, fd);
        }
        close(pipe_fds[1]);
        late = await_end(pid, pipe_fds[0], text, sizeof(text));
        close(pipe_fds[0]);
        waitpid(pid, &status, 0);
        snprintf(path, sizeof(path), "%s/%s", directory, this->name);
        nftw(path, remove_one, 32, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
        if (late)
                snprintf(text, sizeof(text), "late: not in %u s", time_limit);
        else if (!*text && WIFSIGNALED(status))
                snprintf(text, sizeof(text), "killed: %s", strsignal(WTERMSIG(status)));
        else if (!*text && posix_exists(path))
                snprintf(text, sizeof(text), "left: its directory can't be removed");
        passed = !*text || strncmp(text, SKIP, strlen(SKIP)) == 0;
        printf("%s %u - %s # %s (%.2f s)\n", passed ? "ok" : "not ok", number, this->name, text,
               posix_now() - start);
        return passed;
}

static bool is_wanted(const char *name, char **names, int n)
{
        for (int i = 0; i < n; i++)
                if (strcmp(name, names[i]) == 0)
                        return true;
        return n == 0;
}

static unsigned run_all(const char *directory, int fd, char **names, int n_names)
{
        unsigned number = 0, n_failed = 0;

        for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
                for (const PosixCase *this = groups[i]; this->name; this ++) {
                        if (!is_wanted(this->name, names, n_names))
                                continue;
                        if (!run_case(this, ++number, directory, fd))
                                n_failed++;
                        fflush(stdout);
                }
        printf("1..%u\n# %u failed\n", number, n_failed);
        return number > 0 ? n_failed : 1;
}

static void list_all(void)
{
        for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
                for (const PosixCase *this = groups[i]; this->name; this ++)
                        puts(this->name);
}

static int fill_directory(int directory, unsigned n)
{
        char name[16];

        for (unsigned i = 0; i < n; i++) {
                snprintf(name, sizeof(name), "%u", i);
                if (mknodat(directory, name, S_IFREG | 0644, 0) < 0) {
                        perror(name);
                        return EXIT_FAILED;
                }
        }
        return 0;
}

int main(int argc, char **argv)
{
        static const struct option options[] = {
                {"other", required_argument, NULL, 'o'},
                {"small", required_argument, NULL, 's'},
                {"many", required_argument, NULL, 'm'},
                {"seconds", required_argument, NULL, 't'},
                {"fill", required_argument, NULL, 'f'},
                {"list", no_argument, NULL, 'l'},
                {},
        };
        unsigned fill = 0;
        int option, fd;

        while ((option = getopt_long(argc, argv, "", options, NULL)) >= 0)
                switch (option) {
                case 'o':
                        posix_options.other = optarg;
                        break;
                case 's':
                        posix_options.small = optarg;
                        break;
                case 'm':
                        posix_options.many = (unsigned)atoi(optarg);
                        break;
                case 'f':
                        fill = (unsigned)atoi(optarg);
                        break;
                case 't':
                        time_limit = (unsigned)atoi(optarg);
                        break;
                case 'l':
                        list_all();
                        return 0;
                default:
                        return 2;
                }
        if (optind == argc) {
                fputs("posix: which directory?\n", stderr);
                return 2;
        }
        fd = open(argv[optind], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0) {
                perror(argv[optind]);
                return 2;
        }
        if (fill > 0)
                return fill_directory(fd, fill);
        signal(SIGPIPE, SIG_IGN);
        return run_all(argv[optind], fd, argv + optind + 1, argc - optind - 1) ? EXIT_FAILED : 0;
}
