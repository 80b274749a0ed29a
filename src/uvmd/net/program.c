/* Programs of the host; see program.h. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "uvmd/net/program.h"

#define PROGRAM_NO_EXEC 127

/* The three pipes: ours are not blocking, so that no side waits for the other for ever. */
typedef struct Pipes {
        int input[2], output[2], words[2];
} Pipes;

static void pipes_close(Pipes *pipes)
{
        fd_close_many(pipes->input, 2);
        fd_close_many(pipes->output, 2);
        fd_close_many(pipes->words, 2);
}

static int pipes_open(Pipes *pipes)
{
        *pipes = (Pipes){{FD_NONE, FD_NONE}, {FD_NONE, FD_NONE}, {FD_NONE, FD_NONE}};
        if (pipe2(pipes->input, O_CLOEXEC) < 0 || pipe2(pipes->output, O_CLOEXEC) < 0 ||
            pipe2(pipes->words, O_CLOEXEC) < 0)
                return errno_neg();
        if (fd_set_nonblock(pipes->input[1], true) < 0 ||
            fd_set_nonblock(pipes->output[0], true) < 0 ||
            fd_set_nonblock(pipes->words[0], true) < 0)
                return -EIO;
        return 0;
}

static void program_exec(const Program *program, const Pipes *pipes)
{
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        signal(SIGPIPE, SIG_DFL);
        if (dup2(pipes->input[0], STDIN_FILENO) < 0 || dup2(pipes->output[1], STDOUT_FILENO) < 0 ||
            dup2(pipes->words[1], STDERR_FILENO) < 0)
                _exit(126);
        execve(program->path, (char *const *)program->arguments,
               (char *const *)program->environment);
        _exit(PROGRAM_NO_EXEC);
}

/* Feeds what is left of the input; closes it once all is there or nobody reads. */
static void program_feed(Pipes *pipes, const char **input, size_t *left)
{
        ssize_t n = write(pipes->input[1], *input, *left);

        if (n > 0) {
                *input += n;
                *left -= (size_t)n;
        }
        if (*left == 0 || (n < 0 && errno != EAGAIN))
                pipes->input[1] = fd_close(pipes->input[1]);
}

/* 0 or -errno; -EFBIG. Closes the pipe at its end. */
static int program_read(int *fd, ProgramEnd *end, size_t max)
{
        ssize_t n = read(*fd, end->output + end->size, max + 1 - end->size);

        if (n < 0)
                return errno == EAGAIN ? 0 : errno_neg();
        if (n == 0)
                *fd = fd_close(*fd);
        end->size += (size_t)n;
        return end->size > max ? -EFBIG : 0;
}

/* Keeps the end of it: the last line says why. */
static void program_read_words(int *fd, char words[PROGRAM_WORDS_MAX])
{
        char chunk[PROGRAM_WORDS_MAX / 2];
        ssize_t n = read(*fd, chunk, sizeof(chunk));
        size_t size = strlen(words);

        if (n < 0 && errno == EAGAIN)
                return;
        if (n <= 0) {
                *fd = fd_close(*fd);
                return;
        }
        if (size + (size_t)n >= PROGRAM_WORDS_MAX) {
                size_t cut = size + (size_t)n - (PROGRAM_WORDS_MAX - 1);

                memmove(words, words + cut, size - cut);
                size -= cut;
        }
        /* A text ends at the first NUL, whoever wrote it. */
        for (ssize_t i = 0; i < n; i++)
                words[size + (size_t)i] = chunk[i] ? chunk[i] : '?';
        words[size + (size_t)n] = 0;
}

static int program_serve(const Program *program, Pipes *pipes, ProgramEnd *end)
{
        const char *input = program->input ?: "";
        size_t left = strlen(input);
        int r = 0;

        while (r >= 0 && (pipes->output[0] >= 0 || pipes->words[0] >= 0)) {
                struct pollfd polled[] = {
                        {.fd = pipes->input[1], .events = POLLOUT},
                        {.fd = pipes->output[0], .events = POLLIN},
                        {.fd = pipes->words[0], .events = POLLIN},
                };

                if (poll(polled, ELEMENTSOF(polled), -1) < 0 && errno != EINTR)
                        return errno_neg();
                if (polled[0].revents)
                        program_feed(pipes, &input, &left);
                if (polled[1].revents)
                        r = program_read(&pipes->output[0], end, program->output_max);
                if (polled[2].revents)
                        program_read_words(&pipes->words[0], end->words);
        }
        return r;
}

static void trim(char *words)
{
        size_t size = strlen(words);

        while (size > 0 && (words[size - 1] == '\n' || words[size - 1] == ' '))
                words[--size] = 0;
}

int program_run(const Program *program, ProgramEnd *ret)
{
        _cleanup_(program_end_done) ProgramEnd end = {};
        _cleanup_(pipes_close) Pipes pipes;
        pid_t pid;
        int r = pipes_open(&pipes);

        if (r < 0)
                return r;
        if (access(program->path, X_OK) < 0)
                return errno_neg();
        end.output = calloc(1, program->output_max + 2);
        if (!end.output)
                return -ENOMEM;
        pid = fork();
        if (pid == 0)
                program_exec(program, &pipes);
        if (pid < 0)
                return errno_neg();
        pipes.input[0] = fd_close(pipes.input[0]);
        pipes.output[1] = fd_close(pipes.output[1]);
        pipes.words[1] = fd_close(pipes.words[1]);
        r = program_serve(program, &pipes, &end);
        if (r < 0)
                kill(pid, SIGKILL);
        if (waitpid(pid, &end.status, 0) < 0)
                return errno_neg();
        if (r < 0)
                return r;
        end.output[end.size] = 0;
        trim(end.words);
        *ret = end;
        end.output = NULL;
        return 0;
}

void program_end_done(ProgramEnd *end)
{
        free(end->output);
        end->output = NULL;
}
