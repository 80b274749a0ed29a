/* Writable layers on disk; see layer.h. Files of this size are made, opened and freed by workers. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/parse.h"
#include "uvmd/errors.h"
#include "uvmd/storage/layer.h"
#include "uvmd/storage/sparse.h"
#include "uvmd/storage/template.h"

#define LAYER_OPEN_USEC   (60 * USEC_PER_SEC)
#define LAYER_REMOVE_USEC (600 * USEC_PER_SEC)

/* Beginnings and ends; an id has no '-' in it. */
#define LAYER_NEW     "new-"
#define LAYER_REMOVED "removed-"

typedef struct LayerTask {
        const char *state_dir;
        const char *id;
        uint64_t size;
        bool exists;
} LayerTask;

static int layer_open_directory(const char *state_dir, const char *name, int *ret)
{
        _cleanup_(freep) char *path = NULL;
        int fd;

        if (asprintf(&path, "%s/%s", state_dir, name) < 0) {
                path = NULL;
                return -ENOMEM;
        }
        if (mkdir(path, 0700) < 0 && errno != EEXIST)
                return errno_neg();
        fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0)
                return errno_neg();
        *ret = fd;
        return 0;
}

/* ------------------------------------------------------------------ opening, in the worker */

/*
 * Nothing is synced here: the guest's first flush, when it mounts, syncs the whole file. Until then a
 * power cut loses nothing that anybody was promised.
 */
static int layer_copy(int directory, const char *temporary, int template, int *ret)
{
        _cleanup_(fd_closep) int fd = FD_NONE;
        int r;

        unlinkat(directory, temporary, 0);
        fd = openat(directory, temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0)
                return errno_neg();
        r = sparse_copy(template, fd);
        if (r < 0)
                return r;
        *ret = TAKE_FD(fd);
        return 0;
}

static int layer_make(const LayerTask *task, int directory, int *ret, sd_bus_error *error)
{
        _cleanup_(fd_closep) int templates = FD_NONE, template = FD_NONE, fd = FD_NONE;
        char temporary[ID_SIZE + 8];
        int r = layer_open_directory(task->state_dir, "templates", &templates);

        snprintf(temporary, sizeof(temporary), LAYER_NEW "%s", task->id);
        if (r >= 0)
                r = template_open(templates, task->size, &template, error);
        if (r >= 0)
                r = layer_copy(directory, temporary, template, &fd);
        if (r >= 0 && renameat(directory, temporary, directory, task->id) < 0)
                r = errno_neg();
        if (r < 0) {
                unlinkat(directory, temporary, 0);
                return error_set(error, r, ERROR_FAILED,
                                 "Can't make the container's writable layer: %s.", strerror(-r));
        }
        *ret = TAKE_FD(fd);
        return 0;
}

static int layer_main(int socket, void *userdata, sd_bus_error *error)
{
        const LayerTask *task = userdata;
        _cleanup_(fd_closep) int directory = FD_NONE, fd = FD_NONE;
        int r = layer_open_directory(task->state_dir, "layers", &directory);

        if (r < 0)
                return r;
        fd = openat(directory, task->id, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
        r = fd < 0 ? errno_neg() : 0;
        if (r == -ENOENT && task->exists)
                return error_set(error, r, ERROR_FAILED,
                                 "The container's writable layer %s/layers/%s is gone; remove the "
                                 "container and make it anew.",
                                 task->state_dir, task->id);
        if (r == -ENOENT)
                r = layer_make(task, directory, &fd, error);
        if (r < 0)
                return error_set(error, r, ERROR_FAILED,
                                 "Can't open the container's writable layer: %s.", strerror(-r));
        if (flock(fd, LOCK_EX | LOCK_NB) < 0)
                return error_set(error, -EBUSY, ERROR_WRONG_STATE,
                                 "The container's writable layer is in use by another virtual "
                                 "machine.");
        return worker_answer(socket, NULL, 0, &fd, 1);
}

int layer_open(Worker **ret, sd_event *event, const char *state_dir, const char *id, uint64_t size,
               bool exists, WorkerHandler handler, void *userdata)
{
        LayerTask task = {
                .state_dir = state_dir,
                .id = id,
                .size = (size + LAYER_SIZE_STEP - 1) & ~(LAYER_SIZE_STEP - 1),
                .exists = exists,
        };

        return worker_start(ret, event, "uvmd-layer", layer_main, &task,
                            clock_limit_usec(LAYER_OPEN_USEC), handler, userdata);
}

/* ------------------------------------------------------------------ the end */

typedef struct LayerRemoval {
        int directory;
        const char *name;
} LayerRemoval;

/* Freeing gigabytes takes the file system a while. */
static int layer_remove_main(int socket, void *userdata, sd_bus_error *error)
{
        const LayerRemoval *removal = userdata;

        if (unlinkat(removal->directory, removal->name, 0) < 0 && errno != ENOENT)
                return errno_neg();
        return worker_answer(socket, NULL, 0, NULL, 0);
}

static void layer_on_removed(void *userdata, int r, const sd_bus_error *error,
                             const uint8_t *payload, size_t size, IoMessage *message)
{
        if (r < 0)
                log_error_errno(r, "Can't remove a writable layer");
}

static int layer_begin_removal(sd_event *event, int directory, const char *name)
{
        LayerRemoval removal = {.directory = directory, .name = name};
        Worker *worker;

        /* It ends by itself: nobody has to hold it. */
        return worker_start(&worker, event, "uvmd-remove", layer_remove_main, &removal,
                            clock_limit_usec(LAYER_REMOVE_USEC), layer_on_removed, NULL);
}

void layer_remove(sd_event *event, const char *state_dir, const char *id)
{
        _cleanup_(fd_closep) int directory = FD_NONE;
        char name[ID_SIZE + 16];
        int r = layer_open_directory(state_dir, "layers", &directory);

        /* From the rename on it is nobody's: what an interrupted removal leaves is swept. */
        snprintf(name, sizeof(name), LAYER_REMOVED "%s", id);
        if (r >= 0 && renameat(directory, id, directory, name) < 0) {
                if (errno == ENOENT)
                        return;
                r = errno_neg();
        }
        if (r >= 0)
                r = layer_begin_removal(event, directory, name);
        if (r < 0)
                log_error_errno(r, "Can't remove the writable layer %s/layers/%s", state_dir, id);
}

static bool layer_is_left(const char *name)
{
        return strncmp(name, LAYER_NEW, strlen(LAYER_NEW)) == 0 ||
               strncmp(name, LAYER_REMOVED, strlen(LAYER_REMOVED)) == 0;
}

void layer_sweep(sd_event *event, const char *state_dir)
{
        int directory, r = layer_open_directory(state_dir, "layers", &directory);
        DIR *stream = r >= 0 ? fdopendir(directory) : NULL;
        struct dirent *entry;

        if (!stream) {
                log_error_errno(r < 0 ? r : errno_neg(), "Can't read %s/layers", state_dir);
                return;
        }
        while ((entry = readdir(stream)))
                if (layer_is_left(entry->d_name) &&
                    layer_begin_removal(event, dirfd(stream), entry->d_name) < 0)
                        log_warning("Can't remove %s/layers/%s", state_dir, entry->d_name);
        closedir(stream);
}
