/* The end of the machine; see shutdown.h. */
#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

#include "agent/cgroup.h"
#include "agent/container.h"
#include "agent/guest.h"
#include "agent/release.h"
#include "agent/shutdown.h"
#include "agent/worker.h"

/* After SIGKILL only a stream whose reader is stuck can keep a process: it is given up then. */
#define KILL_LIMIT_USEC (3 * USEC_PER_SEC)
#define SYNC_LIMIT_USEC (10 * USEC_PER_SEC)
/* The host may have gone before the goodbye. */
#define LEAVE_LIMIT_USEC (2 * USEC_PER_SEC)

static void shutdown_leave(Guest *guest);

static void arm(Guest *guest, uint64_t usec, LoopTimerHandler handler)
{
        loop_timer_arm(guest->loop, &guest->shutdown.timer, clock_now_usec() + usec, handler);
}

static Guest *guest_of(LoopTimer *timer)
{
        return CONTAINER_OF(timer, Guest, shutdown.timer);
}

static bool is_empty(const Guest *guest)
{
        for (List *item = guest->containers.next; item != &guest->containers; item = item->next)
                if (container_is_busy(LIST_ENTRY(item, Container, link)))
                        return false;
        return true;
}

static int on_leave_limit(LoopTimer *timer)
{
        log_warning("the host has not acknowledged the goodbye");
        loop_stop(guest_of(timer)->loop, 0);
        return 0;
}

static void shutdown_leave(Guest *guest)
{
        AgentGoodbye goodbye = {.reason = AGENT_GOODBYE_SHUTDOWN};

        guest->shutdown.phase = SHUTDOWN_LEAVING;
        arm(guest, LEAVE_LIMIT_USEC, on_leave_limit);
        link_send_goodbye(&guest->link, &goodbye);
}

static int on_sync_limit(LoopTimer *timer)
{
        log_warning("not all of the containers' data could be written in time");
        shutdown_leave(guest_of(timer));
        return 0;
}

/*
 * What lies on disks is unmounted, so that their journals are clean: when the last processes that
 * were killed have gone, and with them the containers' mounts. What can't be is written at least.
 */
static int sync_run(void *argument, int output)
{
        Guest *guest = argument;
        CodecStrings names = {};
        int r = 0;

        list_for_each (item, &guest->containers)
                if (guest->cgroup_root >= 0)
                        cgroup_remove(LIST_ENTRY(item, Container, link)->id);
        if (shares_all(&guest->shares, &names) == 0)
                r = release_names(guest->state, &names);
        sync();
        return r;
}

static void sync_done(void *context, int r, int output)
{
        Guest *guest = context;

        if (r < 0)
                log_warning_errno(r, "cannot unmount a device");
        if (guest->shutdown.phase == SHUTDOWN_SYNCING)
                shutdown_leave(guest);
}

static void shutdown_sync(Guest *guest)
{
        guest->shutdown.phase = SHUTDOWN_SYNCING;
        arm(guest, SYNC_LIMIT_USEC, on_sync_limit);
        if (worker_start(guest->loop, sync_run, guest, sync_done, guest) < 0)
                shutdown_leave(guest);
}

static int on_kill_limit(LoopTimer *timer)
{
        log_warning("some processes' output could not be delivered");
        shutdown_sync(guest_of(timer));
        return 0;
}

static int on_grace_over(LoopTimer *timer)
{
        Guest *guest = guest_of(timer);

        guest->shutdown.phase = SHUTDOWN_KILLING;
        arm(guest, KILL_LIMIT_USEC, on_kill_limit);
        list_for_each (item, &guest->containers)
                container_kill(LIST_ENTRY(item, Container, link));
        return 0;
}

/* The first process of each container is told; it decides what becomes of the others. A pid
 * namespace's first process ignores what it has no handler for: that is what SIGKILL is for. One
 * that waits to be started has no program to be told. */
static void terminate_all(Guest *guest)
{
        AgentSignal signal = {.process = (char *)"", .signal = SIGTERM};

        list_for_each (item, &guest->containers) {
                Container *container = LIST_ENTRY(item, Container, link);

                if (container->state == CONTAINER_CREATED)
                        container_kill(container);
                else
                        container_signal(container, &signal);
        }
}

void shutdown_begin(Guest *guest, uint64_t grace_usec)
{
        uint64_t now = clock_now_usec(), deadline;

        if (__builtin_add_overflow(now, grace_usec, &deadline))
                deadline = UINT64_MAX;
        switch (guest->shutdown.phase) {
        case SHUTDOWN_NOT_ASKED:
                guest->shutdown.phase = SHUTDOWN_TERMINATING;
                terminate_all(guest);
                break;
        case SHUTDOWN_TERMINATING:
                if (deadline >= guest->shutdown.timer.deadline_usec)
                        return;
                break;
        case SHUTDOWN_KILLING:
        case SHUTDOWN_SYNCING:
        case SHUTDOWN_LEAVING:
        case SHUTDOWN_PHASE_MAX_:
                return;
        }
        loop_timer_arm(guest->loop, &guest->shutdown.timer, deadline, on_grace_over);
        shutdown_check(guest);
}

bool shutdown_has_begun(const Guest *guest)
{
        return guest->shutdown.phase != SHUTDOWN_NOT_ASKED;
}

void shutdown_check(Guest *guest)
{
        switch (guest->shutdown.phase) {
        case SHUTDOWN_TERMINATING:
        case SHUTDOWN_KILLING:
                if (is_empty(guest))
                        shutdown_sync(guest);
                break;
        case SHUTDOWN_NOT_ASKED:
        case SHUTDOWN_SYNCING:
        case SHUTDOWN_LEAVING:
        case SHUTDOWN_PHASE_MAX_:
                break;
        }
}

void shutdown_on_settled(Guest *guest)
{
        if (guest->shutdown.phase == SHUTDOWN_LEAVING)
                loop_stop(guest->loop, 0);
}
