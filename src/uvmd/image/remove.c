/* Removal of images; see remove.h. */
#include <errno.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "uvmd/image/remove.h"
#include "uvmd/image/store.h"
#include "uvmd/image/walk.h"
#include "uvmd/worker.h"

#define REMOVE_USEC (600 * USEC_PER_SEC)

typedef struct RemoveTask {
        int fd;
        const char *name;
} RemoveTask;

static int remove_main(int socket, void *userdata, sd_bus_error *error)
{
        const RemoveTask *task = userdata;
        int r = walk_remove(task->fd, task->name);

        if (r > 0)
                r = -ELOOP;
        return r < 0 ? r : worker_answer(socket, NULL, 0, NULL, 0);
}

static void remove_on_done(void *userdata, int r, const sd_bus_error *error, const uint8_t *payload,
                           size_t size, IoMessage *message)
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
