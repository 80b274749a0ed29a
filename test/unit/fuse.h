/*
 * A FUSE file system with one file, "slow", that keeps READ, WRITE, FSYNC and GETATTR waiting for as
 * long as a test wants. It speaks to /dev/fuse itself (linux/fuse.h) and is a process of its own: were it a
 * thread of the test, one that waits for it couldn't be killed. Needs root.
 */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "test/unit.h"

#define FUSE_FILE_NODE 2U
#define FUSE_FILE_SIZE 8192U
#define FUSE_HELD_MAX  64U

typedef struct Fuse {
        pid_t pid;
        int commands, events; /* sockets to the process */
        char path[96];
} Fuse;

/* The process's half. */
typedef struct FuseServer {
        int fd, commands, events;
        bool holds, heeds; /* holds requests back; lets them be interrupted */
        bool holds_attributes;
        struct {
                uint64_t unique;
                uint32_t opcode, size;
        } held[FUSE_HELD_MAX];
        unsigned n_held;
} FuseServer;

static inline void fuse_answer(FuseServer *server, uint64_t unique, int error, const void *data,
                               size_t size)
{
        static uint8_t bytes[sizeof(struct fuse_out_header) + 65536];
        struct fuse_out_header header = {
                .len = (uint32_t)(sizeof(header) + (error ? 0 : size)),
                .error = error,
                .unique = unique,
        };

        memcpy(bytes, &header, sizeof(header));
        if (header.len > sizeof(header))
                memcpy(bytes + sizeof(header), data, size);
        /* ENOENT: it was interrupted before it was read. */
        if (write(server->fd, bytes, header.len) < 0 && errno != ENOENT)
                _exit(1);
}

static inline struct fuse_attr fuse_attributes(uint64_t node)
{
        bool is_file = node == FUSE_FILE_NODE;

        return (struct fuse_attr){
                .ino = node,
                .size = is_file ? FUSE_FILE_SIZE : 0,
                .mode = is_file ? S_IFREG | 0666 : S_IFDIR | 0777,
                .nlink = 1,
                .blksize = 4096,
        };
}

/* READ, WRITE, FSYNC, GETATTR (@size is the node then): as if all went well. */
static inline void fuse_do_io(FuseServer *server, uint64_t unique, uint32_t opcode, uint32_t size)
{
        static uint8_t data[65536];
        struct fuse_write_out written = {.size = size};
        struct fuse_attr_out attributes = {.attr = fuse_attributes(size)};

        memset(data, 's', sizeof(data));
        if (opcode == FUSE_READ)
                fuse_answer(server, unique, 0, data, size < sizeof(data) ? size : sizeof(data));
        else if (opcode == FUSE_GETATTR)
                fuse_answer(server, unique, 0, &attributes, sizeof(attributes));
        else if (opcode == FUSE_WRITE)
                fuse_answer(server, unique, 0, &written, sizeof(written));
        else
                fuse_answer(server, unique, 0, NULL, 0);
}

static inline void fuse_tell(FuseServer *server, char event)
{
        if (write(server->events, &event, 1) < 0)
                _exit(1);
}

static inline void fuse_on_io(FuseServer *server, const struct fuse_in_header *header,
                              uint32_t size)
{
        if (!server->holds) {
                fuse_do_io(server, header->unique, header->opcode, size);
                return;
        }
        if (server->n_held == FUSE_HELD_MAX)
                _exit(1);
        server->held[server->n_held].unique = header->unique;
        server->held[server->n_held].opcode = header->opcode;
        server->held[server->n_held++].size = size;
        fuse_tell(server, 'h');
}

static inline void fuse_on_interrupt(FuseServer *server, uint64_t unique)
{
        for (unsigned i = 0; i < server->n_held && server->heeds; i++) {
                if (server->held[i].unique != unique)
                        continue;
                fuse_answer(server, unique, -EINTR, NULL, 0);
                server->held[i] = server->held[--server->n_held];
        }
}

static inline void fuse_on_lookup(FuseServer *server, uint64_t unique, const char *name)
{
        struct fuse_entry_out entry = {
                .nodeid = FUSE_FILE_NODE,
                .entry_valid = 1,
                .attr = fuse_attributes(FUSE_FILE_NODE),
        };

        fuse_answer(server, unique, strcmp(name, "slow") == 0 ? 0 : -ENOENT, &entry, sizeof(entry));
}

static inline void fuse_on_request(FuseServer *server, const uint8_t *bytes)
{
        const struct fuse_in_header *header = (const struct fuse_in_header *)bytes;
        const void *body = bytes + sizeof(*header);
        struct fuse_init_out init = {
                .major = FUSE_KERNEL_VERSION,
                .minor = 31,
                .max_write = 65536,
                .max_readahead = 65536,
                .time_gran = 1,
        };
        struct fuse_attr_out attributes = {.attr = fuse_attributes(header->nodeid)};
        /* Each read and write comes here, none is answered by the page cache. */
        struct fuse_open_out opened = {.open_flags = FOPEN_DIRECT_IO};
        struct fuse_statfs_out statfs = {
                .st = {.blocks = 1000, .bsize = 131072, .frsize = 512, .namelen = 255}};

        switch (header->opcode) {
        case FUSE_INIT:
                fuse_answer(server, header->unique, 0, &init, sizeof(init));
                break;
        case FUSE_LOOKUP:
                fuse_on_lookup(server, header->unique, body);
                break;
        case FUSE_GETATTR:
                if (server->holds_attributes)
                        fuse_on_io(server, header, (uint32_t)header->nodeid);
                else
                        fuse_do_io(server, header->unique, FUSE_GETATTR, (uint32_t)header->nodeid);
                break;
        case FUSE_SETATTR:
                fuse_answer(server, header->unique, 0, &attributes, sizeof(attributes));
                break;
        case FUSE_OPEN:
        case FUSE_OPENDIR:
                fuse_answer(server, header->unique, 0, &opened, sizeof(opened));
                break;
        case FUSE_STATFS:
                fuse_answer(server, header->unique, 0, &statfs, sizeof(statfs));
                break;
        case FUSE_READ:
                fuse_on_io(server, header, ((const struct fuse_read_in *)body)->size);
                break;
        case FUSE_WRITE:
                fuse_on_io(server, header, ((const struct fuse_write_in *)body)->size);
                break;
        case FUSE_FSYNC:
                fuse_on_io(server, header, 0);
                break;
        case FUSE_RELEASE:
        case FUSE_RELEASEDIR:
                fuse_answer(server, header->unique, 0, NULL, 0);
                break;
        case FUSE_INTERRUPT:
                fuse_on_interrupt(server, ((const struct fuse_interrupt_in *)body)->unique);
                break;
        case FUSE_FORGET:
        case FUSE_BATCH_FORGET:
                break;
        default:
                fuse_answer(server, header->unique, -ENOSYS, NULL, 0);
        }
}

static inline void fuse_on_command(FuseServer *server)
{
        char command;

        if (read(server->commands, &command, 1) != 1)
                _exit(0);
        server->holds = command != 'r';
        server->heeds = command == 'i';
        server->holds_attributes = command == 'a';
        while (command == 'r' && server->n_held > 0) {
                server->n_held--;
                fuse_do_io(server, server->held[server->n_held].unique,
                           server->held[server->n_held].opcode, server->held[server->n_held].size);
        }
        if (write(server->commands, &command, 1) < 0)
                _exit(1);
}

static inline void fuse_serve(FuseServer *server)
{
        static uint8_t bytes[65536 + 8192] __attribute__((aligned(8)));

        for (;;) {
                struct pollfd fds[] = {{server->fd, POLLIN, 0}, {server->commands, POLLIN, 0}};

                if (poll(fds, 2, -1) < 0)
                        _exit(1);
                if (fds[1].revents)
                        fuse_on_command(server);
                if (fds[0].revents & POLLIN) {
                        if (read(server->fd, bytes, sizeof(bytes)) > 0)
                                fuse_on_request(server, bytes);
                        else if (errno != EINTR && errno != ENOENT && errno != EAGAIN)
                                _exit(0);
                } else if (fds[0].revents) {
                        _exit(0);
                }
        }
}

static inline void fuse_start_server(Fuse *fuse, int fd)
{
        int commands[2], events[2];

        unit_assert_int(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, commands), 0);
        unit_assert_int(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, events), 0);
        fflush(NULL);
        fuse->pid = fork();
        unit_assert(fuse->pid >= 0);
        if (fuse->pid == 0) {
                FuseServer server = {.fd = fd, .commands = commands[1], .events = events[1]};

                /* Also when a test fails: nobody may wait for an answer then. */
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                fd_close(commands[0]);
                fd_close(events[0]);
                fuse_serve(&server);
        }
        fd_close(commands[1]);
        fd_close(events[1]);
        fuse->commands = commands[0];
        fuse->events = events[0];
}

/*
 * Mounts it on the directory @path, in a mount namespace of the test's own. False: that can't be
 * done here, and says why. Before other threads are started.
 */
static inline bool fuse_start(Fuse *fuse, const char *path)
{
        char options[96];
        int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);

        if (fd < 0 || unshare(CLONE_NEWNS) < 0 ||
            mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) < 0) {
                printf("# skipped: no FUSE here: %s\n", strerror(errno));
                fd_close(fd);
                return false;
        }
        snprintf(fuse->path, sizeof(fuse->path), "%s", path);
        snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0", fd);
        unit_assert_int(mount("uvm-test", path, "fuse", MS_NOSUID | MS_NODEV, options), 0);
        fuse_start_server(fuse, fd);
        fd_close(fd);
        return true;
}

static inline void fuse_command(Fuse *fuse, char command)
{
        char answer;

        unit_assert_int(write(fuse->commands, &command, 1), 1);
        unit_assert_int(read(fuse->commands, &answer, 1), 1);
}

/* GETATTR waits, too. */
static inline void fuse_hold_attributes(Fuse *fuse)
{
        fuse_command(fuse, 'a');
}

/* Requests wait from now on; if they @heed signals they end by them. */
static inline void fuse_hold(Fuse *fuse, bool heed)
{
        fuse_command(fuse, heed ? 'i' : 'h');
}

/* Waits until one more request is held. */
static inline void fuse_wait_held(Fuse *fuse)
{
        char event;

        unit_assert_int(read(fuse->events, &event, 1), 1);
}

/* Answers all requests that are held, and holds no more. */
static inline void fuse_release(Fuse *fuse)
{
        fuse_command(fuse, 'r');
}

static inline void fuse_stop(Fuse *fuse)
{
        unit_assert_int(umount2(fuse->path, MNT_DETACH), 0);
        fd_close(fuse->commands);
        fd_close(fuse->events);
        unit_assert_int(waitpid(fuse->pid, NULL, 0), fuse->pid);
}
