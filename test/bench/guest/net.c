/*
 * Both sides of dev/bench net: round trips of one byte, and streams by calls of 128 KiB where nothing but the
 * network may count. What is fast is told by Debian's iperf3, which lies in the same initial RAM disk.
 *
 * In a guest it is init of an initial RAM disk of its own. It gives eth0 the address 10.98.0.2/24,
 * connects to 10.98.0.1, runs the phases that the kernel's command line names, and says on the console
 * what each took. The parameters come as init's environment:
 *
 *   bench=PHASE,…  benchmib=MIB  benchops=N
 *
 *   bench PHASE begins                     before each phase
 *   bench PHASE usec=… bytes=… ops=…       behind it
 *   bench done
 *
 *   tx, rx          iperf3 -J, and what it says was received: bytes, and the time that it took
 *   send, receive   streams of our own
 *   rr              round trips
 *
 * On the host, with an argument, it is the server of the latter three, until it is killed: each connection
 * begins with the phase's letter.
 *
 *   t  takes what comes, and says one byte when it ends: all has arrived
 *   r  sends until it is told no more
 *   e  sends back each byte
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PORT  5201
#define CHUNK ((size_t)128 << 10)
#define MIB   ((size_t)1 << 20)

#define IPERF_JSON "/tmp/iperf.json"

static char buffer[CHUNK];
static size_t total, ops;

/* What a phase moved; 0 µs: as long as it ran. */
typedef struct Result {
        size_t bytes;
        uint64_t usec;
} Result;

static _Noreturn void fail(const char *what)
{
        printf("bench failed: %s: %s\n", what, strerror(errno));
        if (getpid() == 1)
                reboot(RB_AUTOBOOT);
        _exit(1);
}

static void check(int ok, const char *what)
{
        if (!ok)
                fail(what);
}

static uint64_t now_usec(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static size_t parameter(const char *name, size_t otherwise)
{
        const char *value = getenv(name);

        return value ? (size_t)strtoul(value, NULL, 10) : otherwise;
}

static struct sockaddr_in address_of(const char *text, uint16_t port)
{
        struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};

        inet_pton(AF_INET, text, &address.sin_addr);
        return address;
}

/* --- the server --- */

static void serve(int fd)
{
        char kind;
        ssize_t n;

        if (read(fd, &kind, 1) != 1)
                return;
        switch (kind) {
        case 't':
                while (read(fd, buffer, CHUNK) > 0)
                        ;
                (void)!write(fd, &kind, 1);
                break;
        case 'r':
                while (write(fd, buffer, CHUNK) > 0)
                        ;
                break;
        case 'e':
                while ((n = read(fd, buffer, CHUNK)) > 0 && write(fd, buffer, (size_t)n) == n)
                        ;
                break;
        }
}

static int no_delay(int fd)
{
        const int on = 1;

        return setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

static void serve_all(void)
{
        const struct sockaddr_in address = address_of("0.0.0.0", PORT);
        const int on = 1;
        int fd = socket(AF_INET, SOCK_STREAM, 0);

        signal(SIGPIPE, SIG_IGN);
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
        check(bind(fd, (const struct sockaddr *)&address, sizeof(address)) == 0, "bind");
        check(listen(fd, 8) == 0, "listen");
        for (;;) {
                int peer = accept(fd, NULL, NULL);

                if (peer < 0 || no_delay(peer) < 0)
                        continue;
                serve(peer);
                close(peer);
        }
}

/* --- the guest --- */

static int connect_as(char kind)
{
        const struct sockaddr_in address = address_of("10.98.0.1", PORT);
        int fd = socket(AF_INET, SOCK_STREAM, 0);

        check(connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0, "connect");
        check(no_delay(fd) == 0 && write(fd, &kind, 1) == 1, "begin");
        return fd;
}

static Result run_transmit(void)
{
        int fd = connect_as('t');
        size_t done = 0;

        for (ssize_t n; done < total; done += (size_t)n) {
                n = write(fd, buffer, CHUNK);
                check(n > 0, "write");
        }
        check(shutdown(fd, SHUT_WR) == 0 && read(fd, buffer, 1) == 1, "end");
        close(fd);
        return (Result){.bytes = done};
}

static Result run_receive(void)
{
        int fd = connect_as('r');
        size_t done = 0;

        for (ssize_t n; done < total; done += (size_t)n) {
                n = read(fd, buffer, CHUNK);
                check(n > 0, "read");
        }
        close(fd);
        return (Result){.bytes = done};
}

static Result run_round_trips(void)
{
        int fd = connect_as('e');

        for (size_t i = 0; i < ops; i++)
                check(write(fd, buffer, 1) == 1 && read(fd, buffer, 1) == 1, "round trip");
        close(fd);
        return (Result){.bytes = ops};
}

static Result run_none(void)
{
        return (Result){};
}

/* --- iperf3 --- */

static _Noreturn void iperf_exec(bool is_reverse)
{
        char bytes[32];
        const char *const argv[] = {
                "iperf3", "-c",   "10.98.0.1",
                "-p",     "5202", "-J",
                "-n",     bytes,  is_reverse ? "-R" : NULL,
                NULL,
        };
        char *const environment[] = {NULL};
        int fd = open(IPERF_JSON, O_WRONLY | O_CREAT | O_TRUNC, 0600);

        snprintf(bytes, sizeof(bytes), "%zu", total);
        if (fd >= 0 && dup2(fd, STDOUT_FILENO) == STDOUT_FILENO)
                execve("/usr/bin/iperf3", (char *const *)argv, environment);
        _exit(127);
}

static double iperf_number(const char *text, const char *name)
{
        char *end;
        double value;

        errno = EBADMSG;
        text = text ? strstr(text, name) : NULL;
        check(text != NULL, name);
        value = strtod(text + strlen(name), &end);
        check(end > text + strlen(name) && value > 0, name);
        return value;
}

/* It is a client's, who knows both ends' figures. */
static Result iperf_result(void)
{
        int fd = open(IPERF_JSON, O_RDONLY);
        ssize_t n = read(fd, buffer, CHUNK - 1);
        const char *received;

        check(n > 0, IPERF_JSON);
        close(fd);
        buffer[n] = 0;
        received = strstr(buffer, "\"sum_received\"");
        if (!received)
                printf("%s\n", buffer);
        return (Result){
                .bytes = (size_t)iperf_number(received, "\"bytes\":"),
                .usec = (uint64_t)(1e6 * iperf_number(received, "\"seconds\":")),
        };
}

static Result run_iperf(bool is_reverse)
{
        pid_t pid = fork();
        int status;

        check(pid >= 0, "fork");
        if (pid == 0)
                iperf_exec(is_reverse);
        check(waitpid(pid, &status, 0) == pid, "wait");
        return iperf_result();
}

static Result run_iperf_transmit(void)
{
        return run_iperf(false);
}

static Result run_iperf_receive(void)
{
        return run_iperf(true);
}

static void run_phase(const char *name)
{
        static const struct {
                const char *name;
                Result (*run)(void);
        } phases[] = {
                {"none", run_none},     {"tx", run_iperf_transmit}, {"rx", run_iperf_receive},
                {"send", run_transmit}, {"receive", run_receive},   {"rr", run_round_trips},
        };
        size_t i = 0;
        uint64_t start;
        Result result;

        while (i < sizeof(phases) / sizeof(phases[0]) && strcmp(phases[i].name, name) != 0)
                i++;
        errno = EINVAL;
        check(i < sizeof(phases) / sizeof(phases[0]), name);
        printf("bench %s begins\n", name);
        start = now_usec();
        result = phases[i].run();
        if (result.usec == 0)
                result.usec = now_usec() - start;
        printf("bench %s usec=%llu bytes=%llu ops=%llu\n", name, (unsigned long long)result.usec,
               (unsigned long long)result.bytes, (unsigned long long)ops);
}

static void set_address(int fd, struct ifreq *request, unsigned long what, const char *text)
{
        const struct sockaddr_in address = address_of(text, 0);

        memcpy(&request->ifr_addr, &address, sizeof(address));
        check(ioctl(fd, what, request) == 0, text);
}

static void set_up(void)
{
        struct ifreq request = {.ifr_name = "eth0"};
        int fd = socket(AF_INET, SOCK_DGRAM, 0);

        set_address(fd, &request, SIOCSIFADDR, "10.98.0.2");
        set_address(fd, &request, SIOCSIFNETMASK, "255.255.255.0");
        request.ifr_flags = IFF_UP | IFF_RUNNING;
        check(ioctl(fd, SIOCSIFFLAGS, &request) == 0, "up");
        close(fd);
        /* What iperf3 takes its cookie from. */
        check(mknod("/dev/urandom", S_IFCHR | 0444, makedev(1, 9)) == 0, "urandom");
}

int main(int argc, char **argv)
{
        char *names = getenv("bench");

        setvbuf(stdout, NULL, _IOLBF, 0);
        if (argc > 1 && getpid() != 1)
                serve_all();
        total = parameter("benchmib", 64) * MIB;
        ops = parameter("benchops", 500);
        check(names != NULL, "parameters");
        set_up();
        for (char *name = strtok(names, ","); name; name = strtok(NULL, ","))
                run_phase(name);
        printf("bench done\n");
        for (;;)
                pause();
}
