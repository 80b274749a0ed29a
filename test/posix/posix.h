/*
 * What a behaviour is made of: a function that runs in a process and an empty directory of its own,
 * as root, and returns when all was as on a local disk. The first thing that is not ends it, with the
 * line and the errno: they are what the table shows.
 *
 * Paths are relative to that directory. Where a behaviour is about two clients, posix_other() is the
 * same directory as the other one sees it.
 */
#pragma once

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

enum {
        POSIX_OTHER = 1, /* needs the other client's view */
        POSIX_SMALL = 2, /* needs a small file system below the directory */
        POSIX_MANY = 4,  /* needs a directory of very many files */
};

typedef struct PosixCase {
        const char *name;
        void (*run)(void);
        unsigned flags;
} PosixCase;

/* Ended by one without a name. */
extern const PosixCase posix_cases_attr[], posix_cases_data[], posix_cases_dir[],
        posix_cases_lock[], posix_cases_map[], posix_cases_name[], posix_cases_node[],
        posix_cases_open[], posix_cases_owner[], posix_cases_other[], posix_cases_xattr[];

typedef struct PosixOptions {
        const char *other, *small;
        unsigned many; /* files in the directory of that name, "0" and so on */
} PosixOptions;

extern PosixOptions posix_options;

_Noreturn void posix_failed(const char *file, int line, const char *what, int error);

/* Not a failure: this machine can't tell. */
_Noreturn void posix_skip(const char *why);

#define CHECK(condition)                                                 \
        do {                                                             \
                if (!(condition))                                        \
                        posix_failed(__FILE__, __LINE__, #condition, 0); \
        } while (0)

static inline long posix_try(long value, const char *file, int line, const char *what)
{
        if (value < 0)
                posix_failed(file, line, what, errno);
        return value;
}

/* The value of a call that must succeed. */
#define TRY(call) posix_try((call), __FILE__, __LINE__, #call)

/* A call that must fail with that errno. */
#define FAILS(error, call)                                                                \
        do {                                                                              \
                errno = 0;                                                                \
                if ((call) >= 0)                                                          \
                        posix_failed(__FILE__, __LINE__, #call " succeeds", 0);           \
                if (errno != (error))                                                     \
                        posix_failed(__FILE__, __LINE__, #call " is not " #error, errno); \
        } while (0)

/* A user and group that own nothing but what a behaviour gives them. */
#define POSIX_USER  12345
#define POSIX_GROUP 23456

/* A new file with that text; its fd, open for both. */
int posix_file(const char *name, const char *text);

/* A file is (or: has, from an offset on) that text, and nothing behind it. */
bool posix_file_is(const char *name, const char *text);
bool posix_fd_is(int fd, const char *text);

struct stat posix_stat(const char *name);
struct stat posix_fstat(int fd);
bool posix_exists(const char *name);

/* @name as the other client sees it, valid until the next call but three. */
const char *posix_other(const char *name);

/* A child that fails ends its parent the same way. 0 in the child. */
pid_t posix_fork(void);
void posix_join(pid_t pid);
/* Does @run in a child as POSIX_USER of POSIX_GROUP, without capabilities. */
void posix_as_user(void (*run)(void));

/* Between processes: one tells, one waits. Made before the fork. */
typedef struct PosixEvent {
        int fds[2];
} PosixEvent;

PosixEvent posix_event(void);
void posix_tell(PosixEvent *event);
void posix_await(PosixEvent *event);
/* Until the process sleeps in a system call, as in a lock that it waits for. */
void posix_await_asleep(pid_t pid);

/* Seconds on a clock that nobody sets. */
double posix_now(void);

/* mmap() of a file from its start. */
void *posix_map(int fd, size_t size, int protection, int flags);

/* A shared, growing total of the directory's entries but "." and "..". */
unsigned posix_count(const char *directory);

/* a before b, or at the same time. */
bool posix_not_after(struct timespec a, struct timespec b);
