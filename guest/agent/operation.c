/* What is done to a container by a worker; see operation.h. */
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/io.h"

#include "agent/operation.h"
#include "agent/shutdown.h"

/* Names in it may be the container's: no terminal is to be steered by them. */
static void make_harmless(char *text)
{
        for (; *text; text++)
                if ((unsigned char)*text < ' ' || *text == 0x7f)
                        *text = '?';
}

static int operation_run(void *argument, int output)
{
        Operation *operation = argument;
        Fault fault = {};
        int r = operation->kind->run(operation, output, &fault);

        make_harmless(fault.text);
        /* The text is the output then. */
        if (r < 0 && (ftruncate(output, 0) < 0 || lseek(output, 0, SEEK_SET) < 0 ||
                      io_write_full(output, fault.text, strlen(fault.text)) < 0))
                return r;
        return r;
}

static void reply_failed(Operation *operation, int r, int output)
{
        Fault fault = {.error = r, .exit_code = FAULT_EXIT_SETUP};
        ssize_t n = pread(output, fault.text, sizeof(fault.text) - 1, 0);

        if (n <= 0)
                fault_set(&fault, r, "the operation ended");
        guest_reply(operation->container->guest, operation->request, &fault);
}

static int reply_done(Operation *operation, int output)
{
        _cleanup_(freep) uint8_t *payload = malloc(FRAME_PAYLOAD_MAX);
        ssize_t n;

        if (!payload)
                return -ENOMEM;
        n = pread(output, payload, FRAME_PAYLOAD_MAX, 0);
        if (n < 0)
                return errno_neg();
        guest_reply_payload(operation->container->guest, operation->request, payload, (size_t)n);
        return 0;
}

static void operation_done(void *context, int r, int output)
{
        Operation *operation = context;
        Container *container = operation->container;

        if (operation->kind->done)
                operation->kind->done(operation, r);
        if (r == 0)
                r = reply_done(operation, output);
        if (r < 0)
                reply_failed(operation, r, output);
        list_remove(&operation->link);
        operation->kind->free(operation);
        container_on_operation_done(container);
}

/* What a container's first process must be for its namespaces to be entered. */
static bool is_there(const Process *first)
{
        return first && first->pidfd >= 0 &&
               (first->state == PROCESS_READY || first->state == PROCESS_GOING ||
                first->state == PROCESS_RUNNING);
}

void operation_start(Operation *operation, const OperationKind *kind, Container *container,
                     uint32_t request)
{
        const Process *first = container_find_process(container, "");
        WorkerJob job = {
                .run = operation_run,
                .argument = operation,
                .done = operation_done,
                .context = operation,
        };
        int r = -ESRCH;

        operation->kind = kind;
        operation->container = container;
        operation->request = request;
        if (is_there(first)) {
                job.fds[job.n_fds++] = first->pidfd;
                if (first->layers.upper >= 0) {
                        job.fds[job.n_fds++] = first->layers.upper;
                        job.fds[job.n_fds++] = first->layers.lower;
                }
                r = worker_start_job(container->guest->loop, &job, &operation->worker);
        }
        if (r == 0) {
                list_append(&container->operations, &operation->link);
                return;
        }
        if (kind->done)
                kind->done(operation, r);
        guest_reply_error(container->guest, request, r, "container %s is %s", container->id,
                          container_state_to_string(container->state));
        kind->free(operation);
}

void operations_end(Container *container)
{
        list_for_each (item, &container->operations) {
                Operation *operation = LIST_ENTRY(item, Operation, link);

                if (operation->kind->ends_with_container)
                        worker_kill(operation->worker);
        }
}

void operations_ask(Container *container, const OperationKind *kind)
{
        list_for_each (item, &container->operations) {
                Operation *operation = LIST_ENTRY(item, Operation, link);

                if (operation->kind == kind)
                        worker_ask(operation->worker);
        }
}

int operation_enter(int *ret_root, Fault *fault)
{
        int root;

        if (setns(OPERATION_FD_PROCESS, CLONE_NEWNS) < 0)
                return fault_set(fault, errno_neg(), "cannot enter the container");
        if (!ret_root)
                return 0;
        root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (root < 0)
                return fault_set(fault, errno_neg(), "cannot open the container's root");
        *ret_root = root;
        return 0;
}
