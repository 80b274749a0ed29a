/* Removal of images; see remove.h. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "uvmd/image/remove.h"
#include "uvmd/image/store.h"
#include "uvmd/worker.h"

#define REMOVE_USEC  (600 * USEC_PER_SEC)
#define REMOVE_DEPTH 1024

static int remove_entries(int fd, unsigned depth);

static int remove_below(int fd, const char *name, unsigned depth)
{
        _cleanup_(fd_closep) int child = FD_NONE;
        int r;

        if (unlinkat(fd, name, 0) == 0)
                return 0;
        if (errno != EISDIR && errno != EPERM)
                return errno == ENOENT ? 0 : errno_neg();
        child = openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (child < 0)
                return errno_neg();
        r = remove_entries(child, depth + 1);
        if (r < 0)
                return r;
        return unlinkat(fd, name, AT_REMOVEDIR) < 0 ? errno_neg() : 0;
}

static int remove_entries(int fd, unsigned depth)
{
        int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3), r = 0;
        struct dirent *entry;
        DIR *directory;

        if (copy < 0)
                return errno_neg();
        directory = fdopendir(copy);
        if (!directory) {
                r = errno_neg();
                fd_close(copy);
                return r;
        }
        if (depth > REMOVE_DEPTH)
                r = -ELOOP;
        while (r >= 0 && (entry = readdir(directory)))
                if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
                        r = remove_below(fd, entry->d_name, depth);
        closedir(directory);
        return r;
}

int remove_tree(int fd, const char *name)
{
        return remove_below(fd, name, 0);
}

typedef struct RemoveTask {
        int fd;
        const char *name;
} RemoveTask;

static int remove_main(int socket, void *userdata, sd_bus_error *error)
{
        const RemoveTask *task = userdata;
        int r = remove_tree(task->fd, task->name);

        return r < 0 ? r : worker_answer(socket, NULL, 0, NULL, 0);
}

static void remove_on_done(void *userdata, int r, const sd_bus_error *error,
                           const uint8_t *payload, size_t size, IoMessage *message)
{
        ImageStore *store = userdata;

        store->n_workers--;
        if (r < 0)
                log_error_errno(r, "Can't remove all files of an image in %s", store->path);
}

void image_remove_directory(ImageStore *store, const char *name)
{
        char away[ID_SIZE + 8], random[ID_SIZE + 1];
        RemoveTask task = {.fd = store->fd, .name = away};
        Worker *worker;
        int r = id_generate(random);

        /* The rename makes it unfinished: if the removal is interrupted the next start goes on. */
        if (r >= 0) {
                snprintf(away, sizeof(away), "tmp-%s", random);
                r = renameat(store->fd, name, store->fd, away) < 0 ? errno_neg() : 0;
        }
        if (r >= 0)
                r = worker_start(&worker, store->event, "uvmd-remove", remove_main, &task,
                                 clock_limit_usec(REMOVE_USEC), remove_on_done, store);
        if (r >= 0)
                store->n_workers++;
        else
                log_error_errno(r, "Can't remove %s/%s", store->path, name);
}
