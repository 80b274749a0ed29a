/* Work that may block; see worker.h. */
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"

#include "agent/spawn.h"
#include "agent/worker.h"

/* Errno values fit into an exit status. */
#define RESULT_MAX 255

struct Worker {
        int pidfd;
        int output; /* a file in memory */
        LoopFd exit;
        WorkerDone done;
        void *context;
};

static void worker_free(Worker *worker)
{
        loop_fd_remove(&worker->exit);
        fd_close(worker->pidfd);
        fd_close(worker->output);
        free(worker);
}

static int worker_on_exit(LoopFd *source, uint32_t events)
{
        Worker *worker = CONTAINER_OF(source, Worker, exit);
        WorkerDone done = worker->done;
        void *context = worker->context;
        SpawnStatus status;
        int r = spawn_wait(worker->pidfd, &status);

        if (r == -EAGAIN)
                return 0;
        if (r == 0)
                r = status.signal ? -EINTR : -status.exit_code;
        done(context, r, worker->output);
        worker_free(worker);
        return 0;
}

__attribute__((noreturn)) static void worker_main(const WorkerJob *job, int output)
{
        int fds[1 + WORKER_FDS_MAX] = {output}, r;

        for (unsigned i = 0; i < job->n_fds; i++)
                fds[1 + i] = job->fds[i];
        /* What the agent closes must be closed, also while this goes on. */
        r = fd_pass_to_exec(fds, 1 + job->n_fds, WORKER_FD - 1);
        if (r == 0)
                r = job->run(job->argument, WORKER_FD - 1);
        _exit(r < 0 && r >= -RESULT_MAX ? -r : r == 0 ? 0 : EIO);
}

int worker_start_job(Loop *loop, const WorkerJob *job, Worker **ret)
{
        Worker *worker = calloc(1, sizeof(*worker));
        pid_t pid;
        int r;

        if (!worker)
                return -ENOMEM;
        *worker = (Worker){.pidfd = FD_NONE, .done = job->done, .context = job->context};
        worker->output = memfd_create("worker", MFD_CLOEXEC);
        r = worker->output < 0 ? errno_neg() : spawn_fork(0, FD_NONE, &pid, &worker->pidfd);
        if (r == 0 && pid == 0)
                worker_main(job, worker->output);
        if (r == 0)
                r = loop_fd_add(loop, &worker->exit, worker->pidfd, EPOLLIN, worker_on_exit);
        if (r < 0)
                worker_free(worker);
        else
                *ret = worker;
        return r;
}

int worker_start(Loop *loop, WorkerFunction run, void *argument, WorkerDone done, void *context)
{
        WorkerJob job = {.run = run, .argument = argument, .done = done, .context = context};
        Worker *worker;

        return worker_start_job(loop, &job, &worker);
}

static void worker_signal(Worker *worker, int signal_number)
{
        if (syscall(SYS_pidfd_send_signal, worker->pidfd, signal_number, NULL, 0) < 0)
                log_warning_errno(errno_neg(), "cannot end a worker");
}

void worker_ask(Worker *worker)
{
        worker_signal(worker, SIGTERM);
}

void worker_kill(Worker *worker)
{
        worker_signal(worker, SIGKILL);
}
