/*
 * The worker that fills a volume; see volume_fill.h. The image's tree is hostile: its path is looked up
 * with the image's root as "/", and the copying is an import's, locked up in the volume.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "uvmd/image/import.h"
#include "uvmd/volume_fill.h"

#define FILL_LIMIT_USEC (600 * USEC_PER_SEC)

typedef struct FillTask {
        int volume, image;
        const char *target;
} FillTask;

/* 1: it is, 0: there is something in it. */
static int directory_is_empty(int fd)
{
        int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *directory = copy < 0 ? NULL : fdopendir(copy);
        struct dirent *entry;
        int empty = 1;

        if (!directory) {
                fd_close(copy);
                return errno_neg();
        }
        while (empty && (entry = readdir(directory)))
                empty = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
        closedir(directory);
        return empty;
}

static int fill_main(int socket, void *userdata, sd_bus_error *error)
{
        const FillTask *task = userdata;
        struct open_how how = {
                .flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
                .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV,
        };
        _cleanup_(fd_closep) int source = FD_NONE, destination = FD_NONE;
        ImportTask import = {.format = IMPORT_DIRECTORY};
        int r = directory_is_empty(task->volume);

        if (r > 0)
                source = (int)syscall(SYS_openat2, task->image, task->target, &how, sizeof(how));
        if (source >= 0)
                r = directory_is_empty(source) == 0;
        if (r <= 0 || source < 0)
                return r < 0 ? r : worker_answer(socket, NULL, 0, NULL, 0);
        destination = openat(task->volume, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (destination < 0)
                return errno_neg();
        import.source = source;
        import.destination = destination;
        return import_main(socket, &import, error);
}

int volume_fill_start(Worker **ret, sd_event *event, int volume, int image, const char *target,
                      WorkerHandler handler, void *userdata)
{
        FillTask task = {.volume = volume, .image = image, .target = target};

        return worker_start(ret, event, "uvmd-fill", fill_main, &task,
                            clock_limit_usec(FILL_LIMIT_USEC), handler, userdata);
}
