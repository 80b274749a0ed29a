/* Work that may block; see worker.h. */
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"

#include "agent/spawn.h"
#include "agent/worker.h"

/* Errno values fit into an exit status. */
#define RESULT_MAX 255

struct Worker {
        int pidfd;
        LoopFd exit;
        WorkerDone done;
        void *context;
};

static int worker_on_exit(LoopFd *source, uint32_t events)
{
        Worker *worker = CONTAINER_OF(source, Worker, exit);
        WorkerDone done = worker->done;
        void *context = worker->context;
        SpawnStatus status;
        int r = spawn_wait(worker->pidfd, &status);

        if (r == -EAGAIN)
                return 0;
        loop_fd_remove(source);
        fd_close(worker->pidfd);
        free(worker);
        if (r == 0)
                r = status.signal ? -EINTR : -status.exit_code;
        done(context, r);
        return 0;
}

__attribute__((noreturn)) static void worker_main(WorkerFunction run, void *argument)
{
        int r;

        /* What the agent closes must be closed, also while this goes on. */
        syscall(SYS_close_range, STDERR_FILENO + 1, ~0U, 0U);
        r = run(argument);
        _exit(r < 0 && r >= -RESULT_MAX ? -r : r == 0 ? 0 : EIO);
}

int worker_start(Loop *loop, WorkerFunction run, void *argument, WorkerDone done, void *context)
{
        Worker *worker = calloc(1, sizeof(*worker));
        pid_t pid;
        int r;

        if (!worker)
                return -ENOMEM;
        worker->done = done;
        worker->context = context;
        r = spawn_fork(0, FD_NONE, &pid, &worker->pidfd);
        if (r == 0 && pid == 0)
                worker_main(run, argument);
        if (r == 0)
                r = loop_fd_add(loop, &worker->exit, worker->pidfd, EPOLLIN, worker_on_exit);
        if (r < 0)
                free(worker);
        return r;
}
