/*
 * LAUNCH: everything that needs root, then the end of being root, then the VMM's configuration.
 *
 *   uvmd's LAUNCH -> end file, memory.events, shim.sock, journal -> clone the VMM -> drop rights
 *   the VMM's READY -> CONFIGURE, vsock device, ports 1024 and 1025 -> created
 *
 * See sandbox.h.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"

#include "proto/handoff.h"
#include "shim/cgroup.h"
#include "shim/privilege.h"
#include "shim/sandbox.h"
#include "shim/shimlog.h"

/* A VMM that does not come up within this long never will. */
#define LAUNCH_LIMIT_USEC (10 * USEC_PER_SEC)
/* The VMM's vsock is its own: no CID is shared with other machines. */
#define LAUNCH_GUEST_CID 3

/* The steps that the VMM answers to, in this order. */
typedef enum LaunchStep {
        LAUNCH_CONFIGURE,
        LAUNCH_VSOCK,
        LAUNCH_LISTEN_CONTROL,
        LAUNCH_LISTEN_STREAM,
        LAUNCH_STEPS,
} LaunchStep;

static void launch_step_message(const Sandbox *sandbox, LaunchStep step, ControlMessage *ret)
{
        const ShimLaunch *launch = &sandbox->launch;

        switch (step) {
        case LAUNCH_CONFIGURE:
                *ret = (ControlMessage){
                        .type = CONTROL_CONFIGURE,
                        .configure =
                                {
                                        .memory_bytes = launch->memory,
                                        .memory_max_bytes = launch->memory_max,
                                        .flags = launch->flags & SHIM_LAUNCH_MERGE_PAGES
                                                         ? CONTROL_CONFIGURE_MERGE_PAGES
                                                         : 0,
                                        .vcpus = launch->vcpus,
                                        .max_vcpus = launch->max_vcpus,
                                        .slots = launch->slots,
                                },
                };
                memcpy(ret->configure.cmdline, launch->cmdline, sizeof(launch->cmdline));
                break;
        case LAUNCH_VSOCK:
                *ret = (ControlMessage){
                        .type = CONTROL_ADD_DEVICE,
                        .add_device =
                                {
                                        .slot = CONTROL_SLOT_ANY,
                                        .kind = CONTROL_DEVICE_VSOCK,
                                        .vsock.guest_cid = LAUNCH_GUEST_CID,
                                },
                };
                break;
        case LAUNCH_LISTEN_CONTROL:
        case LAUNCH_LISTEN_STREAM:
                *ret = (ControlMessage){
                        .type = CONTROL_VSOCK_LISTEN,
                        .vsock_listen.port = step == LAUNCH_LISTEN_CONTROL ? AGENT_PORT_CONTROL
                                                                           : AGENT_PORT_STREAM,
                };
                break;
        case LAUNCH_STEPS:
                break;
        }
}

static void launch_next(Sandbox *sandbox);

static void launch_on_answer(VmmCall *call, int error, const ControlMessage *answer,
                             const uint8_t *raw, size_t raw_size)
{
        Sandbox *sandbox = CONTAINER_OF(call, Sandbox, launch_call);

        /* Cancelled: the VMM is gone, and that is dealt with elsewhere. */
        if (error == -ECANCELED)
                return;
        if (error < 0 || answer->type != CONTROL_REPLY) {
                sandbox_refuse(sandbox, error < 0 ? answer->reply.text : "it gave no answer");
                return;
        }
        sandbox->launch_step++;
        launch_next(sandbox);
}

/* The VMM's end of the console is a stream that it writes to without blocking. */
static int launch_open_console(Sandbox *sandbox, int *ret_theirs)
{
        int pair[2], r;

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
                return errno_neg();
        r = console_open(&sandbox->console, sandbox->loop, pair[0], &sandbox->journal);
        if (r < 0) {
                fd_close(pair[1]);
                return r;
        }
        *ret_theirs = pair[1];
        return 0;
}

static int launch_send_step(Sandbox *sandbox, LaunchStep step)
{
        _cleanup_(fd_closep) int console = FD_NONE;
        ControlMessage message;
        int fds[3], r = 0;

        launch_step_message(sandbox, step, &message);
        if (step == LAUNCH_CONFIGURE)
                r = launch_open_console(sandbox, &console);
        if (r < 0)
                return r;
        fds[0] = sandbox->kvm_fd;
        fds[1] = sandbox->firmware_fd;
        fds[2] = console;
        r = vmm_call(&sandbox->vmm, &sandbox->launch_call, &message, fds,
                     step == LAUNCH_CONFIGURE ? ELEMENTSOF(fds) : 0, launch_on_answer);
        if (step == LAUNCH_CONFIGURE) {
                sandbox->kvm_fd = fd_close(sandbox->kvm_fd);
                sandbox->firmware_fd = fd_close(sandbox->firmware_fd);
        }
        return r;
}

static void launch_next(Sandbox *sandbox)
{
        int r;

        if (sandbox->launch_step == LAUNCH_STEPS) {
                sandbox_set_state(sandbox, SHIM_CREATED);
                return;
        }
        r = launch_send_step(sandbox, (LaunchStep)sandbox->launch_step);
        if (r < 0) {
                log_error_errno(r, "Failed to configure the VMM");
                sandbox_refuse(sandbox, strerrordesc_np(-r));
        }
}

static void launch_on_ready(Vmm *vmm)
{
        Sandbox *sandbox = CONTAINER_OF(vmm, Sandbox, vmm);

        if (sandbox->phases[SHIM_PHASE_VMM_READY] != 0)
                return;
        sandbox_set_phase(sandbox, SHIM_PHASE_VMM_READY, clock_now_usec());
        launch_next(sandbox);
}

static void launch_on_phase(Vmm *vmm, uint32_t id, uint64_t usec)
{
        Sandbox *sandbox = CONTAINER_OF(vmm, Sandbox, vmm);

        if (id == CONTROL_PHASE_FIRST_RUN)
                sandbox_set_phase(sandbox, SHIM_PHASE_FIRST_RUN, usec);
        else if (id == CONTROL_PHASE_GUEST + HANDOFF_PHASE_STUB)
                sandbox_set_phase(sandbox, SHIM_PHASE_STUB, usec);
        else if (id == CONTROL_PHASE_GUEST + HANDOFF_PHASE_KERNEL)
                sandbox_set_phase(sandbox, SHIM_PHASE_KERNEL, usec);
}

static void launch_on_accepted(Vmm *vmm, uint32_t port, int fd)
{
        Sandbox *sandbox = CONTAINER_OF(vmm, Sandbox, vmm);

        if (port == AGENT_PORT_CONTROL)
                agent_link_connect(&sandbox->agent, fd);
        else if (port == AGENT_PORT_STREAM)
                incoming_add(&sandbox->incoming, fd);
        else
                fd_close(fd);
}

static void launch_on_memory(Vmm *vmm, uint32_t slot, uint64_t requested, uint64_t actual)
{
        Sandbox *sandbox = CONTAINER_OF(vmm, Sandbox, vmm);
        ShimMessage message = {
                .type = SHIM_MEMORY,
                .memory = {.slot = slot, .requested = requested, .actual = actual},
        };

        link_send(&sandbox->link, &message);
}

const VmmOps sandbox_vmm_ops = {
        .ready = launch_on_ready,
        .phase = launch_on_phase,
        .accepted = launch_on_accepted,
        .memory = launch_on_memory,
        .gone = sandbox_on_vmm_gone,
};

static int launch_open_journal(Sandbox *sandbox)
{
        char *fields = NULL;
        int r;

        r = journal_field_append(&fields, "UVM_SANDBOX", sandbox->id);
        if (r >= 0)
                r = journal_field_append(&fields, "UVM_NAME", sandbox->launch.name);
        if (r >= 0)
                r = journal_field_append(&fields, "UVM_OWNER", sandbox->launch.owner);
        if (r < 0) {
                free(fields);
                return r;
        }
        shimlog_name(sandbox->launch.name, sandbox->launch.owner);
        journal_done(&sandbox->journal);
        journal_init(&sandbox->journal, sandbox->loop, JOURNAL_SOCKET, fields);
        return 0;
}

/* The files that need rights: those of the runtime directory, the cgroup's, the journal's. */
static int launch_open_files(Sandbox *sandbox, int run_dir)
{
        int r;

        sandbox->end_fd = openat(run_dir, "end",
                                 O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (sandbox->end_fd < 0)
                return errno_neg();
        sandbox->memory_events = cgroup_open_memory_events();
        sandbox->oom_kills = cgroup_oom_kills(sandbox->memory_events);
        r = link_listen(&sandbox->link, run_dir);
        return r < 0 ? r : launch_open_journal(sandbox);
}

static int launch_start_vmm(Sandbox *sandbox)
{
        const ShimLaunch *launch = &sandbox->launch;
        bool identity = launch->flags & SHIM_LAUNCH_IDENTITY;
        SpawnConfig config = {
                .program = launch->vmm,
                .range_base = launch->range_base,
                .range_size = launch->range_size,
                .identity = identity,
        };
        int r;

        sandbox_set_phase(sandbox, SHIM_PHASE_VMM_EXEC, clock_now_usec());
        r = vmm_start(&sandbox->vmm, &config);
        return r < 0 ? r : privilege_drop(launch->range_base, identity);
}

/* The shim takes the first id of the range: root's own is no range. */
static bool launch_is_sane(const ShimLaunch *launch)
{
        uint32_t end;

        return !(launch->flags & ~(uint32_t)(SHIM_LAUNCH_IDENTITY | SHIM_LAUNCH_MERGE_PAGES)) &&
               (launch->memory_max == 0 || launch->memory_max >= launch->memory) &&
               launch->range_base > 0 && launch->range_size > 0 &&
               !__builtin_add_overflow(launch->range_base, launch->range_size, &end) &&
               launch->vmm[0] == '/' && launch->vcpus > 0 && launch->vcpus <= launch->max_vcpus;
}

int sandbox_launch(Sandbox *sandbox, const ShimLaunch *launch, int *fds)
{
        _cleanup_(fd_closep) int run_dir = FD_NONE;
        int r;

        if (!launch_is_sane(launch))
                return -EINVAL;
        sandbox->launch = *launch;
        sandbox->vcpus = sandbox->online = launch->vcpus;
        run_dir = TAKE_FD(fds[SHIM_LAUNCH_FD_RUN_DIR]);
        sandbox->kvm_fd = TAKE_FD(fds[SHIM_LAUNCH_FD_KVM]);
        sandbox->firmware_fd = TAKE_FD(fds[SHIM_LAUNCH_FD_FIRMWARE]);
        r = launch_open_files(sandbox, run_dir);
        if (r >= 0)
                r = launch_start_vmm(sandbox);
        if (r < 0)
                return r;
        sandbox_limit_start(sandbox, LAUNCH_LIMIT_USEC);
        return 0;
}
