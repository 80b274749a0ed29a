/* The VMM seen from its parent; see vmm.h. */
#include <assert.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/io.h"
#include "base/log.h"

#include "shim/vmm.h"

void vmm_init(Vmm *vmm, Loop *loop, const VmmOps *ops)
{
        *vmm = (Vmm){.loop = loop, .ops = ops, .pidfd = FD_NONE, .control = FD_NONE};
        list_init(&vmm->calls);
}

static void vmm_close_control(Vmm *vmm)
{
        loop_fd_remove(&vmm->control_source);
        vmm->control = fd_close(vmm->control);
}

void vmm_done(Vmm *vmm)
{
        vmm_kill(vmm);
        if (vmm->pid > 0)
                waitpid(vmm->pid, NULL, 0);
        vmm_close_control(vmm);
        loop_fd_remove(&vmm->process_source);
        vmm->pidfd = fd_close(vmm->pidfd);
        vmm->pid = 0;
        list_init(&vmm->calls);
}

static void vmm_call_end(VmmCall *call, int error, const ControlMessage *answer, const uint8_t *raw,
                         size_t raw_size)
{
        list_remove(&call->link);
        call->done(call, error, answer, raw, raw_size);
}

static void vmm_cancel_calls(Vmm *vmm)
{
        List *first;

        while ((first = list_first(&vmm->calls)))
                vmm_call_end(LIST_ENTRY(first, VmmCall, link), -ECANCELED, NULL, NULL, 0);
}

static int vmm_on_answer(Vmm *vmm, const ControlMessage *message, const uint8_t *raw,
                         size_t raw_size)
{
        List *first = list_first(&vmm->calls);
        VmmCall *call = first ? LIST_ENTRY(first, VmmCall, link) : NULL;
        int error = 0;

        if (!call || call->serial != message->serial)
                return -EBADMSG;
        if (message->type == CONTROL_REPLY && message->reply.code != 0)
                error = message->reply.code <= 4095 ? -(int)message->reply.code : -EIO;
        vmm_call_end(call, error, message, raw, raw_size);
        return 0;
}

static int vmm_dispatch(Vmm *vmm, const ControlMessage *message, IoMessage *io, const uint8_t *raw)
{
        switch (message->type) {
        case CONTROL_READY:
                vmm->ops->ready(vmm);
                return 0;
        case CONTROL_REPLY:
        case CONTROL_STATS:
                return vmm_on_answer(vmm, message, raw, io->size);
        case CONTROL_PHASE:
                vmm->ops->phase(vmm, message->phase.id, message->phase.usec);
                return 0;
        case CONTROL_VSOCK_ACCEPTED:
                vmm->ops->accepted(vmm, message->vsock_accepted.host_port, TAKE_FD(io->fds[0]));
                return 0;
        case CONTROL_MEMORY:
                vmm->ops->memory(vmm, message->memory.slot, message->memory.requested_bytes,
                                 message->memory.actual_bytes);
                return 0;
        case CONTROL_ENDED:
                vmm->end = message->ended.reason;
                memcpy(vmm->end_text, message->ended.text, sizeof(vmm->end_text));
                return 0;
        case CONTROL_CONFIGURE:
        case CONTROL_ADD_DEVICE:
        case CONTROL_REMOVE_DEVICE:
        case CONTROL_START:
        case CONTROL_PAUSE:
        case CONTROL_RESUME:
        case CONTROL_STOP:
        case CONTROL_VSOCK_LISTEN:
        case CONTROL_VSOCK_UNLISTEN:
        case CONTROL_VSOCK_CONNECT:
        case CONTROL_GET_STATS:
        case CONTROL_ADD_BIND:
        case CONTROL_REMOVE_BIND:
        case CONTROL_SET_THROTTLE:
        case CONTROL_SET_VCPUS:
        case CONTROL_RESIZE:
        case CONTROL_SET_LINK:
        case CONTROL_TYPE_MAX:
                break;
        }
        return -EBADMSG;
}

/* Takes one message. 0, -EAGAIN, -ENODATA at the end of the link, or another -errno. */
static int vmm_receive(Vmm *vmm)
{
        uint8_t buffer[CONTROL_MESSAGE_SIZE_MAX];
        ControlMessage message;
        IoMessage io;
        int r;

        r = io_recv(vmm->control, buffer, sizeof(buffer), &io);
        if (r < 0)
                return r;
        if (io.size == 0)
                return -ENODATA;
        r = control_decode(buffer, io.size, &message);
        if (r == 0 && control_fd_count(&message) != io.n_fds)
                r = -EBADMSG;
        if (r == 0)
                r = vmm_dispatch(vmm, &message, &io, buffer);
        io_message_done(&io);
        return r;
}

static int vmm_on_control(LoopFd *source, uint32_t events)
{
        Vmm *vmm = CONTAINER_OF(source, Vmm, control_source);
        int r = vmm_receive(vmm);

        if (r >= 0 || error_is_transient(r))
                return 0;
        vmm_close_control(vmm);
        /* The end of the link alone is how it ends; anything else it must not outlive. */
        if (r != -ENODATA && !error_is_disconnect(r)) {
                log_error_errno(r, "The VMM broke the control protocol and is killed");
                vmm_kill(vmm);
        }
        return 0;
}

static int vmm_on_process(LoopFd *source, uint32_t events)
{
        Vmm *vmm = CONTAINER_OF(source, Vmm, process_source);
        int status;

        if (waitpid(vmm->pid, &status, WNOHANG) != vmm->pid)
                return 0;
        vmm->pid = 0;
        loop_fd_remove(source);
        vmm->pidfd = fd_close(vmm->pidfd);
        /* What it said before it died counts. */
        while (vmm->control >= 0 && vmm_receive(vmm) >= 0)
                ;
        vmm_close_control(vmm);
        vmm_cancel_calls(vmm);
        vmm->ops->gone(vmm, status);
        return 0;
}

int vmm_start(Vmm *vmm, SpawnConfig *config)
{
        _cleanup_(fd_closep) int ours = FD_NONE, theirs = FD_NONE;
        int pair[2], r;

        assert(vmm->pid == 0);
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
                return errno_neg();
        ours = pair[0];
        theirs = pair[1];
        /* Ours alone: the VMM's end is a file description of its own. */
        r = fd_set_nonblock(ours, true);
        if (r < 0)
                return r;
        config->control = theirs;
        r = spawn_vmm(config, &vmm->pid, &vmm->pidfd);
        if (r < 0)
                return r;
        vmm->control = TAKE_FD(ours);
        r = loop_fd_add(vmm->loop, &vmm->control_source, vmm->control, EPOLLIN, vmm_on_control);
        if (r < 0)
                return r;
        return loop_fd_add(vmm->loop, &vmm->process_source, vmm->pidfd, EPOLLIN, vmm_on_process);
}

int vmm_call(Vmm *vmm, VmmCall *call, ControlMessage *message, const int *fds, unsigned n_fds,
             VmmCallDone done)
{
        uint8_t buffer[CONTROL_MESSAGE_SIZE_MAX];
        size_t size;
        int r;

        assert(list_is_empty(&call->link));
        if (vmm->control < 0)
                return -ECANCELED;
        if (++vmm->last_serial == 0)
                vmm->last_serial = 1;
        message->serial = vmm->last_serial;
        r = control_encode(message, buffer, sizeof(buffer), &size);
        if (r < 0)
                return r;
        /* EAGAIN here is a VMM that has not read for hundreds of messages: an error like others. */
        r = io_send(vmm->control, buffer, size, fds, n_fds);
        if (r < 0)
                return r;
        call->serial = message->serial;
        call->done = done;
        list_append(&vmm->calls, &call->link);
        return 0;
}

void vmm_kill(Vmm *vmm)
{
        if (vmm->pid > 0 && syscall(SYS_pidfd_send_signal, vmm->pidfd, SIGKILL, NULL, 0U) < 0)
                log_error_errno(errno_neg(), "Failed to kill the VMM");
}
