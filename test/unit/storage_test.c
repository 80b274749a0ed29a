/*
 * Writable layers and what they are made of: holes stay holes, a template is made once and is small,
 * a layer has one user at a time and goes when it is removed.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "test/unit.h"
#include "uvmd/errors.h"
#include "uvmd/image/walk.h"
#include "uvmd/storage/layer.h"
#include "uvmd/storage/sparse.h"
#include "uvmd/storage/template.h"

#define MIB (1ULL << 20)
#define ID  "0123456789abcdef"

static char place[] = "/tmp/uvm-storage-test-XXXXXX";

static int place_open(void)
{
        int fd;

        strcpy(place + sizeof(place) - 7, "XXXXXX");
        unit_assert(mkdtemp(place));
        fd = open(place, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        unit_assert(fd >= 0);
        return fd;
}

static void place_close(int fd)
{
        close(fd);
        unit_assert_int(walk_remove(AT_FDCWD, place), 0);
}

static int place_file(int directory, const char *name)
{
        int fd = openat(directory, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

        unit_assert(fd >= 0);
        return fd;
}

/* Bytes of the file that have blocks of their own. */
static uint64_t file_used(int fd)
{
        struct stat st;

        unit_assert_int(fstat(fd, &st), 0);
        return (uint64_t)st.st_blocks * 512;
}

static uint64_t file_size(int fd)
{
        struct stat st;

        unit_assert_int(fstat(fd, &st), 0);
        return (uint64_t)st.st_size;
}

/* ------------------------------------------------------------------ copies */

static void keeps_holes(void)
{
        int directory = place_open(), from = place_file(directory, "from");
        int to = place_file(directory, "to");
        static const off_t places[] = {0, 5 * MIB, 300 * MIB + 4096};
        char byte;

        for (size_t i = 0; i < ELEMENTSOF(places); i++)
                unit_assert_int(pwrite(from, "data", 4, places[i]), 4);
        unit_assert_int(ftruncate(from, 400 * MIB), 0);
        unit_assert_int(sparse_copy(from, to), 0);
        unit_assert(file_size(to) == 400 * MIB);
        unit_assert(file_used(to) <= MIB);
        for (size_t i = 0; i < ELEMENTSOF(places); i++) {
                unit_assert_int(pread(to, &byte, 1, places[i] + 2), 1);
                unit_assert_int(byte, 't');
        }
        unit_assert_int(pread(to, &byte, 1, 20 * MIB), 1);
        unit_assert_int(byte, 0);
        close(from);
        close(to);
        place_close(directory);
}

static void copies_what_is_empty(void)
{
        int directory = place_open(), from = place_file(directory, "from");
        int to = place_file(directory, "to");

        unit_assert_int(sparse_copy(from, to), 0);
        unit_assert(file_size(to) == 0);
        unit_assert_int(ftruncate(from, MIB), 0);
        unit_assert_int(sparse_copy(from, to), 0);
        unit_assert(file_size(to) == MIB);
        close(from);
        close(to);
        place_close(directory);
}

/* ------------------------------------------------------------------ templates */

static bool has_tools(void)
{
        return access("/usr/sbin/mke2fs", X_OK) == 0 && access("/usr/sbin/e2fsck", X_OK) == 0;
}

/* The file system is one, to the program that knows. */
static bool is_clean(int fd)
{
        char path[32];
        int status;
        pid_t pid = fork();

        if (pid == 0) {
                int null = open("/dev/null", O_RDWR);

                dup2(null, 1);
                dup2(null, 2);
                fd_set_cloexec(fd, false);
                snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
                execl("/usr/sbin/e2fsck", "e2fsck", "-f", "-n", path, NULL);
                _exit(127);
        }
        unit_assert(pid > 0 && waitpid(pid, &status, 0) == pid);
        return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void makes_a_template_once(void)
{
        static const uint64_t sizes[] = {16 * MIB, 256 * MIB, LAYER_SIZE_DEFAULT};

        if (!has_tools())
                return;
        for (size_t i = 0; i < ELEMENTSOF(sizes); i++) {
                int directory = place_open(), first, second;
                struct stat a, b;

                unit_assert_int(template_open(directory, sizes[i], &first, NULL), 0);
                unit_assert(file_size(first) == sizes[i]);
                unit_assert(file_used(first) < MIB);
                unit_assert(is_clean(first));
                unit_assert_int(template_open(directory, sizes[i], &second, NULL), 0);
                unit_assert_int(fstat(first, &a), 0);
                unit_assert_int(fstat(second, &b), 0);
                unit_assert(a.st_ino == b.st_ino);
                unit_assert_int(a.st_uid, geteuid());
                unit_assert_int(a.st_mode & 07777, 0600);
                close(first);
                close(second);
                place_close(directory);
        }
}

static void says_why_there_is_no_template(void)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        int directory = place_open(), fd;

        if (has_tools()) {
                unit_assert(template_open(directory, 64 * 1024, &fd, &error) < 0);
                unit_assert(strstr(error.message, "mke2fs failed (exit code 1)"));
        }
        place_close(directory);
}

/* ------------------------------------------------------------------ layers */

typedef struct Opened {
        sd_event *event;
        int r, fd;
        char text[256];
} Opened;

static void on_open(void *userdata, int r, const sd_bus_error *error, const uint8_t *payload,
                    size_t size, IoMessage *message)
{
        Opened *opened = userdata;

        opened->r = r;
        opened->fd = r >= 0 ? TAKE_FD(message->fds[0]) : FD_NONE;
        snprintf(opened->text, sizeof(opened->text), "%s",
                 error && error->message ? error->message : "");
        sd_event_exit(opened->event, 0);
}

static Opened open_layer(bool exists)
{
        Opened opened = {.fd = FD_NONE};
        sigset_t mask;
        Worker *worker;

        sigemptyset(&mask);
        sigaddset(&mask, SIGCHLD);
        sigprocmask(SIG_BLOCK, &mask, NULL);
        unit_assert_int(sd_event_new(&opened.event), 0);
        unit_assert_int(
                layer_open(&worker, opened.event, place, ID, 64 * MIB, exists, on_open, &opened),
                0);
        unit_assert_int(sd_event_loop(opened.event), 0);
        sd_event_unref(opened.event);
        return opened;
}

static bool layer_is_there(int directory)
{
        return faccessat(directory, "layers/" ID, F_OK, 0) == 0;
}

static void gives_a_layer_to_one(void)
{
        int directory = place_open();
        Opened first, second;

        if (has_tools()) {
                first = open_layer(false);
                unit_assert_int(first.r, 0);
                unit_assert(file_size(first.fd) == 64 * MIB);
                unit_assert(is_clean(first.fd));
                unit_assert_int(pwrite(first.fd, "kept", 4, 0), 4);

                second = open_layer(true);
                unit_assert_int(second.r, -EBUSY);
                unit_assert(strstr(second.text, "in use by another virtual machine"));
                close(first.fd);

                second = open_layer(true);
                unit_assert_int(second.r, 0);
                unit_assert_int(pread(second.fd, second.text, 4, 0), 4);
                unit_assert(memcmp(second.text, "kept", 4) == 0);
                close(second.fd);
        }
        place_close(directory);
}

static void tells_of_a_lost_layer(void)
{
        int directory = place_open();
        Opened opened = open_layer(true);

        unit_assert_int(opened.r, -ENOENT);
        unit_assert(strstr(opened.text, "is gone"));
        unit_assert(!layer_is_there(directory));
        place_close(directory);
}

/* Runs the loop until the worker that frees it has ended. */
static void wait_until_empty(sd_event *event, int directory)
{
        struct stat st;

        for (int turns = 0; turns < 100; turns++) {
                unit_assert(sd_event_run(event, 100 * 1000) >= 0);
                if (fstatat(directory, "layers/removed-" ID, &st, 0) < 0 && errno == ENOENT)
                        return;
        }
        unit_assert(!"the layer was not removed");
}

static void removes_and_sweeps(void)
{
        int directory = place_open();
        sd_event *event;

        unit_assert_int(sd_event_new(&event), 0);
        layer_remove(event, place, ID); /* nothing is there */
        unit_assert_int(mkdirat(directory, "layers", 0700) < 0 && errno != EEXIST, 0);
        close(place_file(directory, "layers/" ID));
        layer_remove(event, place, ID);
        unit_assert(!layer_is_there(directory));
        wait_until_empty(event, directory);

        close(place_file(directory, "layers/removed-" ID));
        close(place_file(directory, "layers/" ID));
        layer_sweep(event, place);
        wait_until_empty(event, directory);
        unit_assert(layer_is_there(directory));
        sd_event_unref(event);
        place_close(directory);
}

UNIT_MAIN(UNIT_TEST(keeps_holes), UNIT_TEST(copies_what_is_empty), UNIT_TEST(makes_a_template_once),
          UNIT_TEST(says_why_there_is_no_template), UNIT_TEST(gives_a_layer_to_one),
          UNIT_TEST(tells_of_a_lost_layer), UNIT_TEST(removes_and_sweeps))
