/*
 * Both sides of dev/bench net, so that what is measured is the network between them and no program's
 * own ways: a stream by calls of 128 KiB, as iperf3's, and round trips of one byte.
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
 * On the host, with an argument, it is the server of these phases, until it is killed: each connection
 * begins with the phase's letter.
 *
 *   t  takes what comes, and says one byte when it ends: all has arrived
 *   r  sends until it is told no more
 *   e  sends back each byte
 */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PORT  5201
#define CHUNK ((size_t)128 << 10)
#define MIB   ((size_t)1 << 20)

static char buffer[CHUNK];
static size_t total, ops;

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

static size_t run_transmit(void)
{
        int fd = connect_as('t');
        size_t done = 0;

        for (ssize_t n; done < total; done += (size_t)n) {
                n = write(fd, buffer, CHUNK);
                check(n > 0, "write");
        }
        check(shutdown(fd, SHUT_WR) == 0 && read(fd, buffer, 1) == 1, "end");
        close(fd);
        return done;
}

static size_t run_receive(void)
{
        int fd = connect_as('r');
        size_t done = 0;

        for (ssize_t n; done < total; done += (size_t)n) {
                n = read(fd, buffer, CHUNK);
                check(n > 0, "read");
        }
        close(fd);
        return done;
}

static size_t run_round_trips(void)
{
        int fd = connect_as('e');

        for (size_t i = 0; i < ops; i++)
                check(write(fd, buffer, 1) == 1 && read(fd, buffer, 1) == 1, "round trip");
        close(fd);
        return ops;
}

static size_t run_none(void)
{
        return 0;
}

static void run_phase(const char *name)
{
        static const struct {
                const char *name;
                size_t (*run)(void);
        } phases[] = {
                {"none", run_none},
                {"tx", run_transmit},
                {"rx", run_receive},
                {"rr", run_round_trips},
        };
        size_t i = 0, bytes;
        uint64_t start;

        while (i < sizeof(phases) / sizeof(phases[0]) && strcmp(phases[i].name, name) != 0)
                i++;
        errno = EINVAL;
        check(i < sizeof(phases) / sizeof(phases[0]), name);
        printf("bench %s begins\n", name);
        start = now_usec();
        bytes = phases[i].run();
        printf("bench %s usec=%llu bytes=%llu ops=%llu\n", name,
               (unsigned long long)(now_usec() - start), (unsigned long long)bytes,
               (unsigned long long)ops);
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
