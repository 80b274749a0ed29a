/*
 * The test host's agent: runs commands for dev/host.
 *
 * It listens on TCP (QEMU's user network, reached through a port of the developer's loopback) and
 * serves each connection in a process of its own: one connection, one command. The caller proves
 * itself with the image's token; after that it is root here, as the person at the keyboard is.
 *
 * A frame is a type byte, a 32-bit little-endian length and that many bytes.
 *
 *   from dev/host                               to dev/host
 *   k  token, always first                      o  output
 *   t  time in ns (u64), 32 bytes of entropy    e  error output
 *   a  argv, each string ended by NUL           c  u32: so many bytes of input were taken
 *   v  environment, likewise                    x  u32: exit code, 128 + n for signal n
 *   d  working directory                        f  text: why nothing was run
 *   p  u16 rows, u16 columns: wants a terminal
 *   g  go
 *   i  input; an empty frame is its end
 *   w  u16 rows, u16 columns
 *   s  u8: signal for the command's group
 *
 * The caller has at most INPUT_WINDOW bytes of input under way, so signals never wait behind it.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/random.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <utmp.h>

#define FRAME_HEAD   5u
#define FRAME_MAX    65536u
#define INPUT_WINDOW 262144u
#define STRINGS_MAX  1024u
#define ENTROPY      32u
#define IDLE_MS      (4 * 3600 * 1000)
#define HANGUP_MS    2000

typedef struct Session {
        int sock;
        int pidfd;
        int in, out, err; /* our ends; with a terminal, in and out are the same and err is closed */
        pid_t pid;
        bool terminal;
        bool trusted;
        bool input_ended;
        bool exited;
        bool done; /* the last frame is queued */
        unsigned exit_code;
        struct winsize size;
        char *argv[STRINGS_MAX + 1];
        unsigned char rx[FRAME_HEAD + FRAME_MAX];
        size_t rx_len;
        unsigned char tx[2 * (FRAME_HEAD + FRAME_MAX)];
        size_t tx_len;
        unsigned char input[INPUT_WINDOW];
        size_t input_len;
        unsigned consumed; /* input taken since the last credit */
} Session;

static const char *wanted_token;

static void session_queue(Session *s, char type, const void *data, size_t len)
{
        unsigned char *p = s->tx + s->tx_len;

        if (s->tx_len + FRAME_HEAD + len > sizeof(s->tx))
                exit(1); /* can't be: output is read only when there is room */
        p[0] = (unsigned char)type;
        for (int i = 0; i < 4; i++)
                p[1 + i] = (unsigned char)(len >> (8 * i));
        memcpy(p + FRAME_HEAD, data, len);
        s->tx_len += FRAME_HEAD + len;
}

static void session_queue_u32(Session *s, char type, unsigned v)
{
        unsigned char le[4] = {v & 0xff, v >> 8 & 0xff, v >> 16 & 0xff, v >> 24 & 0xff};

        session_queue(s, type, le, sizeof(le));
}

static void session_flush(Session *s)
{
        ssize_t n = send(s->sock, s->tx, s->tx_len, MSG_NOSIGNAL);

        if (n < 0 && errno != EAGAIN && errno != EINTR)
                s->done = true, s->tx_len = 0;
        if (n > 0) {
                memmove(s->tx, s->tx + n, s->tx_len - (size_t)n);
                s->tx_len -= (size_t)n;
        }
}

static void session_fail(Session *s, const char *why)
{
        session_queue(s, 'f', why, strlen(why));
        s->done = true;
}

/* Calls use(string) for each of the NUL-ended strings. */
static bool each_string(const unsigned char *data, size_t len, bool (*use)(Session *, char *),
                        Session *s)
{
        while (len > 0) {
                size_t n = strnlen((const char *)data, len);

                if (n == len || !use(s, strdup((const char *)data)))
                        return false;
                data += n + 1;
                len -= n + 1;
        }
        return true;
}

static bool use_argument(Session *s, char *string)
{
        for (size_t i = 0; i < STRINGS_MAX; i++) {
                if (!s->argv[i]) {
                        s->argv[i] = string;
                        return true;
                }
        }
        return false;
}

static bool use_variable(Session *s, char *string)
{
        (void)s;
        return putenv(string) == 0;
}

/* After a restore from a snapshot the clock stands where it stood and the random pool is a copy. */
static void set_time_and_entropy(const unsigned char *data)
{
        struct {
                struct rand_pool_info head;
                unsigned char bytes[ENTROPY];
        } pool = {.head = {.entropy_count = 8 * ENTROPY, .buf_size = ENTROPY}};
        unsigned long long ns = 0;
        struct timespec now;
        int fd;

        for (int i = 7; i >= 0; i--)
                ns = ns << 8 | data[i];
        now.tv_sec = (time_t)(ns / 1000000000u);
        now.tv_nsec = (long)(ns % 1000000000u);
        clock_settime(CLOCK_REALTIME, &now);

        memcpy(&pool.head.buf, data + 8, ENTROPY);
        fd = open("/dev/urandom", O_WRONLY | O_CLOEXEC);
        if (fd >= 0) {
                ioctl(fd, RNDADDENTROPY, &pool);
                ioctl(fd, RNDRESEEDCRNG);
                close(fd);
        }
}

/* The agent is spared by the OOM killer; what it runs must not be. */
static void become_ordinary(void)
{
        int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

        if (fd >= 0) {
                (void)!write(fd, "0", 1);
                close(fd);
        }
}

static void child_exec(Session *s, int in, int out, int err)
{
        sigset_t none;

        if (s->terminal) {
                login_tty(in);
        } else {
                setsid();
                dup2(in, 0);
                dup2(out, 1);
                dup2(err, 2);
        }
        close_range(3, ~0U, 0);
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        signal(SIGPIPE, SIG_DFL);
        become_ordinary();
        execvp(s->argv[0], s->argv);
        dprintf(2, "%s: %s\n", s->argv[0], strerror(errno));
        _exit(errno == ENOENT ? 127 : 126);
}

static bool open_stdio(Session *s, int child[3])
{
        int in[2], out[2], err[2];

        if (s->terminal) {
                if (openpty(&s->in, &child[0], NULL, NULL, &s->size) < 0)
                        return false;
                child[1] = child[2] = -1;
                s->out = fcntl(s->in, F_DUPFD_CLOEXEC, 3);
        } else {
                if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0 ||
                    pipe2(err, O_CLOEXEC) < 0)
                        return false;
                s->in = in[1], s->out = out[0], s->err = err[0];
                child[0] = in[0], child[1] = out[1], child[2] = err[1];
        }
        fcntl(s->in, F_SETFL, O_NONBLOCK | (s->terminal ? O_RDWR : O_WRONLY));
        fcntl(s->out, F_SETFL, O_NONBLOCK | (s->terminal ? O_RDWR : O_RDONLY));
        if (s->err >= 0)
                fcntl(s->err, F_SETFL, O_NONBLOCK);
        return true;
}

static void session_go(Session *s)
{
        int child[3];

        if (!s->argv[0]) {
                session_fail(s, "no command");
                return;
        }
        if (!open_stdio(s, child)) {
                session_fail(s, strerror(errno));
                return;
        }
        s->pid = fork();
        if (s->pid == 0)
                child_exec(s, child[0], child[1], child[2]);
        for (int i = 0; i < 3; i++)
                if (child[i] >= 0)
                        close(child[i]);
        if (s->pid < 0) {
                session_fail(s, strerror(errno));
                return;
        }
        s->pidfd = (int)syscall(SYS_pidfd_open, s->pid, 0);
}

static void session_input(Session *s, const unsigned char *data, size_t len)
{
        if (len == 0)
                s->input_ended = true;
        else if (s->input_len + len <= sizeof(s->input)) {
                memcpy(s->input + s->input_len, data, len);
                s->input_len += len;
        } else {
                session_fail(s, "more input than was allowed");
        }
}

static struct winsize size_of(const unsigned char *p)
{
        return (struct winsize){.ws_row = (unsigned short)(p[0] | p[1] << 8),
                                .ws_col = (unsigned short)(p[2] | p[3] << 8)};
}

static void session_frame(Session *s, char type, const unsigned char *data, size_t len)
{
        char directory[4096];
        bool good = true;

        if (!s->trusted) {
                s->trusted = type == 'k' && len == strlen(wanted_token) &&
                             memcmp(data, wanted_token, len) == 0;
                good = s->trusted;
        } else if (type == 't' && len == 8 + ENTROPY) {
                set_time_and_entropy(data);
        } else if (type == 'a' && s->pid == 0) {
                good = each_string(data, len, use_argument, s);
        } else if (type == 'v' && s->pid == 0) {
                good = each_string(data, len, use_variable, s);
        } else if (type == 'd' && len < sizeof(directory)) {
                memcpy(directory, data, len);
                directory[len] = 0;
                if (chdir(directory) < 0)
                        session_fail(s, "no such working directory");
        } else if (type == 'p' && len == 4 && s->pid == 0) {
                s->terminal = true;
                s->size = size_of(data);
        } else if (type == 'g' && s->pid == 0) {
                session_go(s);
        } else if (type == 'i') {
                session_input(s, data, len);
        } else if (type == 'w' && len == 4 && s->terminal && s->in >= 0) {
                s->size = size_of(data);
                ioctl(s->in, TIOCSWINSZ, &s->size);
        } else if (type == 's' && len == 1 && s->pid > 0) {
                kill(-s->pid, data[0]);
        } else {
                good = false;
        }
        if (!good)
                session_fail(s, "a frame that makes no sense here");
}

/* Returns false when the caller is gone. */
static bool session_receive(Session *s)
{
        ssize_t n = recv(s->sock, s->rx + s->rx_len, sizeof(s->rx) - s->rx_len, 0);

        if (n < 0)
                return errno == EAGAIN || errno == EINTR;
        if (n == 0)
                return false;
        s->rx_len += (size_t)n;
        while (s->rx_len >= FRAME_HEAD && !s->done) {
                size_t len = s->rx[1] | s->rx[2] << 8 | s->rx[3] << 16 | (size_t)s->rx[4] << 24;

                if (len > FRAME_MAX)
                        return false;
                if (s->rx_len < FRAME_HEAD + len)
                        break;
                session_frame(s, (char)s->rx[0], s->rx + FRAME_HEAD, len);
                s->rx_len -= FRAME_HEAD + len;
                memmove(s->rx, s->rx + FRAME_HEAD + len, s->rx_len);
        }
        return true;
}

static void session_feed(Session *s)
{
        static const unsigned char end_of_input = 4; /* VEOF, as a terminal says it */
        ssize_t n;

        if (s->input_len > 0) {
                n = write(s->in, s->input, s->input_len);
                if (n < 0 && errno != EAGAIN && errno != EINTR)
                        n = (ssize_t)s->input_len; /* nobody reads any more: swallow it */
                if (n > 0) {
                        s->input_len -= (size_t)n;
                        memmove(s->input, s->input + n, s->input_len);
                        s->consumed += (unsigned)n;
                }
        }
        if (s->input_ended && s->input_len == 0) {
                if (s->terminal)
                        (void)!write(s->in, &end_of_input, 1);
                else
                        close(s->in), s->in = -1;
                s->input_ended = false;
        }
}

/* Moves what *fd has to the caller. Returns true when there is nothing more for now. */
static bool session_output(Session *s, char type, int *fd)
{
        unsigned char buf[FRAME_MAX / 2];
        ssize_t n;

        if (*fd < 0)
                return true;
        if (s->tx_len > 0)
                return false;
        n = read(*fd, buf, sizeof(buf));
        if (n > 0)
                session_queue(s, type, buf, (size_t)n);
        else if (n == 0 || (errno != EAGAIN && errno != EINTR))
                close(*fd), *fd = -1;
        return n <= 0;
}

static void session_reap(Session *s)
{
        int status;

        if (waitpid(s->pid, &status, WNOHANG) != s->pid)
                return;
        s->exited = true;
        close(s->pidfd);
        s->pidfd = -1;
        s->exit_code = WIFSIGNALED(status) ? 128u + (unsigned)WTERMSIG(status)
                                           : (unsigned)WEXITSTATUS(status);
}

/* All output first, then the exit code; a child in the background may hold the pipe for ever. */
static void session_finish(Session *s)
{
        bool quiet = session_output(s, 'o', &s->out);

        quiet = session_output(s, 'e', &s->err) && quiet;
        if (quiet && s->tx_len == 0) {
                session_queue_u32(s, 'x', s->exit_code);
                s->done = true;
        }
}

static void session_hang_up(Session *s)
{
        struct pollfd p = {.fd = s->pidfd, .events = POLLIN};

        if (s->pid <= 0 || s->exited)
                return;
        kill(-s->pid, SIGHUP);
        kill(-s->pid, SIGCONT);
        if (poll(&p, 1, HANGUP_MS) == 0)
                kill(-s->pid, SIGKILL);
}

static void session_serve(int sock)
{
        static Session session;
        Session *s = &session;

        *s = (Session){.sock = sock, .pidfd = -1, .in = -1, .out = -1, .err = -1};
        fcntl(sock, F_SETFL, O_NONBLOCK);
        while (!s->done || s->tx_len > 0) {
                bool room = s->tx_len == 0;
                struct pollfd p[] = {
                        {.fd = sock, .events = (short)(POLLIN | (room ? 0 : POLLOUT))},
                        {.fd = s->input_len || s->input_ended ? s->in : -1, .events = POLLOUT},
                        {.fd = room ? s->out : -1, .events = POLLIN},
                        {.fd = room ? s->err : -1, .events = POLLIN},
                        {.fd = s->pidfd, .events = POLLIN},
                };

                if (poll(p, 5, -1) < 0)
                        continue;
                if (p[0].revents & ~POLLOUT && !session_receive(s))
                        break;
                if (p[1].revents)
                        session_feed(s);
                if (s->consumed > 0 && s->tx_len == 0) {
                        session_queue_u32(s, 'c', s->consumed);
                        s->consumed = 0;
                }
                if (p[2].revents)
                        session_output(s, 'o', &s->out);
                if (p[3].revents)
                        session_output(s, 'e', &s->err);
                if (p[4].revents)
                        session_reap(s);
                if (s->exited && !s->done)
                        session_finish(s);
                if (s->tx_len > 0)
                        session_flush(s);
        }
        session_hang_up(s);
        exit(0);
}

static int listen_on(unsigned short port)
{
        struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
        if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, 128) < 0) {
                perror("listen");
                exit(1);
        }
        return fd;
}

static void read_token(const char *path)
{
        static char token[128];
        FILE *f = fopen(path, "re");

        if (!f || !fgets(token, sizeof(token), f)) {
                perror(path);
                exit(1);
        }
        fclose(f);
        token[strcspn(token, "\n")] = 0;
        wanted_token = token;
}

int main(int argc, char **argv)
{
        struct pollfd p = {.events = POLLIN};
        int sock, one = 1;

        if (argc != 3) {
                fprintf(stderr, "usage: testhost-agent PORT TOKEN-FILE\n");
                return 2;
        }
        read_token(argv[2]);
        signal(SIGPIPE, SIG_IGN);
        signal(SIGCHLD, SIG_IGN); /* sessions are reaped by the kernel */
        p.fd = listen_on((unsigned short)atoi(argv[1]));
        for (;;) {
                /* Nobody for hours and nothing running: a host that somebody forgot. */
                if (poll(&p, 1, IDLE_MS) == 0 && waitpid(-1, NULL, WNOHANG) < 0)
                        reboot(RB_POWER_OFF);
                sock = accept4(p.fd, NULL, NULL, SOCK_CLOEXEC);
                if (sock < 0)
                        continue;
                setsockopt(sock, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
                if (fork() == 0) {
                        close(p.fd);
                        signal(SIGCHLD, SIG_DFL);
                        session_serve(sock);
                }
                close(sock);
        }
}
