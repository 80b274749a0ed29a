/* The processes that uvmd has announced; see process.h. */
#include <assert.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"

#include "shim/client.h"
#include "shim/process.h"

#define PROCESS_LOST_CODE 137 /* as if killed by SIGKILL */

ENUM_TABLE(process_state, ProcessState, PROCESS_STATE_MAX_)
= {
        [PROCESS_ADDED] = "added",     [PROCESS_STARTING] = "starting",
        [PROCESS_RUNNING] = "running", [PROCESS_DRAINING] = "draining",
        [PROCESS_FAILED] = "failed",   [PROCESS_EXITED] = "exited",
};

#define FROM(state) (1U << (state))

/* From which states each may be entered. */
static const unsigned process_transitions[PROCESS_STATE_MAX_] = {
        [PROCESS_STARTING] = FROM(PROCESS_ADDED),
        [PROCESS_RUNNING] = FROM(PROCESS_STARTING),
        [PROCESS_DRAINING] = FROM(PROCESS_STARTING) | FROM(PROCESS_RUNNING),
        [PROCESS_FAILED] = FROM(PROCESS_STARTING),
        [PROCESS_EXITED] = FROM(PROCESS_DRAINING),
};

/* No more output comes or is wanted: every client sees the end of its streams. */
static void process_finish_streams(Process *process)
{
        input_finish(&process->input);
        for (unsigned i = 0; i < PROCESS_OUTPUTS; i++)
                output_finish(&process->outputs[i]);
}

static void process_set_state(Process *process, ProcessState state)
{
        assert(process_transitions[state] & FROM(process->state));
        log_write_fields(LOG_DEBUG, 0, process_about(process), "Process %s/%s: %s -> %s",
                         process->spec.container_id, process->spec.process_id,
                         process_state_to_string(process->state), process_state_to_string(state));
        process->state = state;
        if (state == PROCESS_FAILED || state == PROCESS_EXITED)
                process_finish_streams(process);
        /* Draining is our own affair. */
        if (state != PROCESS_DRAINING)
                process->table->changed(process);
}

/* Tells of the exit once nothing is left to be handed over. */
static void process_settle(Process *process)
{
        bool delivered = process->state == PROCESS_DRAINING;

        /* Each is asked, so that each reports its progress. */
        for (unsigned i = 0; delivered && i < PROCESS_OUTPUTS; i++)
                delivered = output_is_delivered(&process->outputs[i], process->expected[i]);
        /* Asking may have settled it. */
        if (delivered && process->state == PROCESS_DRAINING)
                process_set_state(process, PROCESS_EXITED);
}

static void process_on_stdout(Output *output)
{
        process_settle(CONTAINER_OF(output, Process, outputs[PROCESS_STDOUT]));
}

static void process_on_stderr(Output *output)
{
        process_settle(CONTAINER_OF(output, Process, outputs[PROCESS_STDERR]));
}

static void process_exited(Process *process, int code, const uint64_t expected[PROCESS_OUTPUTS])
{
        process->code = code;
        process->finished_usec = clock_realtime_usec();
        memcpy(process->expected, expected, sizeof(process->expected));
        /* One that ends before the answer to its start has run, however shortly. */
        if (process->started_usec == 0)
                process->started_usec = process->finished_usec;
        process_set_state(process, PROCESS_DRAINING);
        process_settle(process);
}

void process_set_starting(Process *process)
{
        if (process->state == PROCESS_ADDED)
                process_set_state(process, PROCESS_STARTING);
}

void process_set_started(Process *process, int code)
{
        if (process->state != PROCESS_STARTING)
                return;
        if (code != 0) {
                process->code = code;
                process->finished_usec = clock_realtime_usec();
                process_set_state(process, PROCESS_FAILED);
                return;
        }
        process->started_usec = clock_realtime_usec();
        process_set_state(process, PROCESS_RUNNING);
}

static bool process_is_live(const Process *process)
{
        return process->state == PROCESS_STARTING || process->state == PROCESS_RUNNING;
}

void process_table_exited(ProcessTable *table, const AgentExited *exited)
{
        Process *process = process_find_by_ids(table, exited->container, exited->process);
        uint64_t expected[PROCESS_OUTPUTS] = {exited->stdout_bytes, exited->stderr_bytes};

        if (!process || !process_is_live(process))
                return;
        process->oom = exited->oom;
        process_exited(process, exited->exit_code, expected);
}

void process_table_guest_gone(ProcessTable *table)
{
        /* As much as comes: an open stream ends by itself once all it holds has been read. */
        static const uint64_t all[PROCESS_OUTPUTS] = {UINT64_MAX, UINT64_MAX};

        list_for_each (item, &table->processes) {
                Process *process = LIST_ENTRY(item, Process, link);

                for (unsigned i = 0; i < PROCESS_OUTPUTS; i++)
                        output_expect_no_more(&process->outputs[i]);
                if (!process_is_live(process))
                        continue;
                process->lost = true;
                process_exited(process, PROCESS_LOST_CODE, all);
        }
}

/* ---- streams and clients */

static int process_connect(Process *process, AgentStream which, int stream)
{
        _cleanup_(fd_closep) int fd = stream, copy = FD_NONE;
        bool terminal = process->spec.flags & SHIM_PROCESS_TTY;
        Output *output = &process->outputs[which == AGENT_STREAM_STDERR];
        int r;

        if (terminal != (which == AGENT_STREAM_TTY))
                return -EBADMSG;
        if (which == AGENT_STREAM_STDIN) {
                if (process->input.state != INPUT_EXPECTED)
                        return -EBADMSG;
                return input_open(&process->input, TAKE_FD(fd));
        }
        if (output->state != OUTPUT_EXPECTED)
                return -EBADMSG;
        if (terminal) {
                /* Two directions, an fd for each: epoll knows a source by its fd. */
                copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
                if (copy < 0)
                        return errno_neg();
        }
        r = output_open(output, TAKE_FD(fd));
        return r < 0 || !terminal ? r : input_open(&process->input, TAKE_FD(copy));
}

void process_table_connect(ProcessTable *table, const AgentPreamble *preamble, int fd)
{
        Process *process = process_find(table, preamble->token);
        int r;

        if (!process) {
                fd_close(fd);
                log_warning("The guest opened a stream of a process that does not exist");
                return;
        }
        r = process_connect(process, preamble->which, fd);
        if (r < 0)
                log_write_fields(LOG_WARNING, r, process_about(process),
                                 "A stream of %s/%s is refused", process->spec.container_id,
                                 process->spec.process_id);
}

bool process_has_primary(const Process *process)
{
        for (const List *item = process->clients.next; item != &process->clients; item = item->next)
                if (LIST_ENTRY(item, Client, link)->primary)
                        return true;
        return false;
}

/* A terminal or file of the client's would turn non-blocking under its feet. */
static int process_check_client_fd(int fd)
{
        struct stat status;
        int type;
        socklen_t size = sizeof(type);

        if (fstat(fd, &status) < 0)
                return errno_neg();
        if (S_ISFIFO(status.st_mode))
                return 0;
        if (!S_ISSOCK(status.st_mode) || getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0 ||
            type != SOCK_STREAM)
                return -ENOTSOCK;
        return 0;
}

static int process_check_attach(const Process *process, const ShimAttach *attach, const int *fds,
                                unsigned n_fds)
{
        unsigned tty = 1U << SHIM_TTY;

        if (process->state == PROCESS_FAILED || process->state == PROCESS_EXITED)
                return -ESRCH;
        if (process->spec.flags & SHIM_PROCESS_TTY ? attach->streams != tty : attach->streams & tty)
                return -EINVAL;
        if (n_fds == 0 || (unsigned)__builtin_popcount(attach->streams) != n_fds)
                return -EINVAL;
        if (process->table->n_clients >= SHIM_CLIENTS_MAX)
                return -EMFILE;
        if ((attach->flags & SHIM_ATTACH_PRIMARY) && process_has_primary(process))
                return -EBUSY;
        for (unsigned i = 0; i < n_fds; i++) {
                int r = process_check_client_fd(fds[i]);

                if (r < 0)
                        return r;
        }
        return 0;
}

int process_attach(Process *process, const ShimAttach *attach, int *fds, unsigned n_fds)
{
        int input = FD_NONE, outputs[PROCESS_OUTPUTS] = {FD_NONE, FD_NONE};
        bool primary = attach->flags & SHIM_ATTACH_PRIMARY;
        unsigned at = 0;
        int r;

        r = process_check_attach(process, attach, fds, n_fds);
        for (unsigned i = 0; r >= 0 && i < n_fds; i++)
                r = fd_set_nonblock(fds[i], true);
        if (r < 0)
                return r;
        if (attach->streams & (1U << SHIM_TTY)) {
                input = fcntl(fds[0], F_DUPFD_CLOEXEC, 3);
                if (input < 0)
                        return errno_neg();
                outputs[PROCESS_STDOUT] = TAKE_FD(fds[0]);
        }
        if (attach->streams & (1U << SHIM_STDIN))
                input = TAKE_FD(fds[at++]);
        if (attach->streams & (1U << SHIM_STDOUT))
                outputs[PROCESS_STDOUT] = TAKE_FD(fds[at++]);
        if (attach->streams & (1U << SHIM_STDERR))
                outputs[PROCESS_STDERR] = TAKE_FD(fds[at++]);
        return client_new(process, primary, input, outputs);
}

void process_describe(const Process *process, ShimProcess *ret)
{
        static const ShimProcessState seen[PROCESS_STATE_MAX_] = {
                [PROCESS_ADDED] = SHIM_PROCESS_ADDED,
                [PROCESS_STARTING] = SHIM_PROCESS_STARTING,
                [PROCESS_RUNNING] = SHIM_PROCESS_RUNNING,
                [PROCESS_DRAINING] = SHIM_PROCESS_RUNNING,
                [PROCESS_FAILED] = SHIM_PROCESS_FAILED,
                [PROCESS_EXITED] = SHIM_PROCESS_EXITED,
        };
        bool ended = process->state == PROCESS_FAILED || process->state == PROCESS_EXITED;

        *ret = (ShimProcess){
                .process = process->spec.process,
                .state = seen[process->state],
                .code = ended ? process->code : -1,
                .oom = ended && process->oom,
                .lost = ended && process->lost,
                .has_primary = process_has_primary(process),
                .started_usec = process->started_usec,
                .finished_usec = ended ? process->finished_usec : 0,
        };
}

void process_init_streams(Process *process)
{
        ProcessTable *table = process->table;
        bool terminal = process->spec.flags & SHIM_PROCESS_TTY;

        input_init(&process->input, table->loop, table->scratch, terminal);
        if (!(process->spec.flags & (SHIM_PROCESS_STDIN | SHIM_PROCESS_TTY)))
                input_finish(&process->input);
        output_init(&process->outputs[PROCESS_STDOUT], table->loop, table->scratch,
                    process_on_stdout);
        output_init(&process->outputs[PROCESS_STDERR], table->loop, table->scratch,
                    process_on_stderr);
        process->input.about = process_about(process);
        for (unsigned i = 0; i < PROCESS_OUTPUTS; i++)
                process->outputs[i].about = process_about(process);
        if (!(process->spec.flags & SHIM_PROCESS_JOURNAL))
                return;
        for (unsigned i = 0; i < PROCESS_OUTPUTS; i++)
                process->outputs[i].lines = (JournalLines){
                        .journal = table->journal,
                        .fields = {process->fields[i]},
                };
}
