/* One virtual machine's life; see machine.h. */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "vmm/arch.h"
#include "vmm/machine.h"
#include "vmm/mem/guard.h"
#include "vmm/thread/thread.h"

ENUM_TABLE(machine_state, MachineState, MACHINE_STATE_MAX)
= {
        [MACHINE_EMPTY] = "empty",           [MACHINE_BROKEN] = "broken",
        [MACHINE_CONFIGURED] = "configured", [MACHINE_RUNNING] = "running",
        [MACHINE_PAUSING] = "pausing",       [MACHINE_PAUSED] = "paused",
        [MACHINE_ENDED] = "ended",
};

static const bool machine_transitions[MACHINE_STATE_MAX][MACHINE_STATE_MAX] = {
        [MACHINE_EMPTY] =
                {[MACHINE_BROKEN] = true, [MACHINE_CONFIGURED] = true, [MACHINE_ENDED] = true},
        [MACHINE_BROKEN] = {[MACHINE_ENDED] = true},
        [MACHINE_CONFIGURED] = {[MACHINE_RUNNING] = true, [MACHINE_ENDED] = true},
        [MACHINE_RUNNING] = {[MACHINE_PAUSING] = true, [MACHINE_ENDED] = true},
        [MACHINE_PAUSING] = {[MACHINE_PAUSED] = true, [MACHINE_ENDED] = true},
        [MACHINE_PAUSED] = {[MACHINE_RUNNING] = true, [MACHINE_ENDED] = true},
};

void machine_set_state(Machine *machine, MachineState state)
{
        assert(machine_transitions[machine->state][state]);
        log_debug("machine: %s -> %s", machine_state_to_string(machine->state),
                  machine_state_to_string(state));
        machine->state = state;
}

/* How often, and for how long, an access of a vCPU is tried that a device isn't ready for. */
#define MACHINE_RETRY_USEC  (10 * USEC_PER_MSEC)
#define MACHINE_RETRY_LIMIT (10 * USEC_PER_SEC)

static void machine_unlock_board(void *userdata)
{
        pthread_mutex_unlock(&((Machine *)userdata)->board_lock);
}

static void machine_lock_board(void *userdata)
{
        pthread_mutex_lock(&((Machine *)userdata)->board_lock);
}

void machine_wake(Machine *machine)
{
        uint64_t one = 1;

        if (write(machine->wake_fd, &one, sizeof(one)) < 0)
                log_warning_errno(errno_neg(), "can't wake the I/O thread");
}

void machine_tell_phase(Machine *machine, uint32_t id)
{
        MachineNews *news = &machine->news;
        uint64_t now = clock_now_usec();
        bool is_new = true;

        pthread_mutex_lock(&machine->news_lock);
        if (id >= CONTROL_PHASE_GUEST) {
                unsigned phase = (id - CONTROL_PHASE_GUEST) & 0xff;

                is_new = !(news->seen[phase / 8] & 1U << phase % 8);
                news->seen[phase / 8] |= (uint8_t)(1U << phase % 8);
        }
        if (is_new && news->n_phases < MACHINE_PHASES_MAX) {
                news->phases[news->n_phases].id = id;
                news->phases[news->n_phases++].usec = now;
        }
        pthread_mutex_unlock(&machine->news_lock);
        if (is_new)
                machine_wake(machine);
}

void machine_end(Machine *machine, ControlEnd reason, const char *format, ...)
{
        va_list arguments;

        pthread_mutex_lock(&machine->news_lock);
        if (!machine->news.end) {
                machine->news.end = reason;
                va_start(arguments, format);
                vsnprintf(machine->news.text, sizeof(machine->news.text), format, arguments);
                va_end(arguments);
        }
        pthread_mutex_unlock(&machine->news_lock);
        machine_wake(machine);
}

static void machine_fail(void *userdata, const char *what, int error)
{
        machine_end(userdata, CONTROL_END_DEVICE_ERROR, "%s failed: %s", what, strerror(-error));
}

int machine_new_iothread(Machine *machine, const char *name, IoThread **ret)
{
        return iothread_new(name, machine_fail, machine, ret);
}

/* Takes the news and leaves none, but the end: that stays the last word. */
static MachineNews machine_take_news(Machine *machine)
{
        MachineNews news;

        pthread_mutex_lock(&machine->news_lock);
        news = machine->news;
        machine->news.n_phases = 0;
        pthread_mutex_unlock(&machine->news_lock);
        return news;
}

/* Joins all vCPU threads. The board lock is free meanwhile, for one may wait for it. */
static void machine_join(Machine *machine)
{
        pthread_mutex_lock(&machine->gate_lock);
        atomic_fetch_or(&machine->gate, MACHINE_GATE_END);
        pthread_cond_broadcast(&machine->gate_changed);
        pthread_mutex_unlock(&machine->gate_lock);
        pthread_cond_broadcast(&machine->access_done);
        machine_unlock_board(machine);
        for (unsigned i = 0; i < machine->n_vcpus; i++)
                vcpu_join(&machine->vcpus[i]);
        machine_lock_board(machine);
}

static unsigned machine_count_parked(Machine *machine)
{
        unsigned n;

        pthread_mutex_lock(&machine->gate_lock);
        n = machine->n_parked;
        pthread_mutex_unlock(&machine->gate_lock);
        return n;
}

static void machine_serve_accesses(Machine *machine);

static int machine_on_retry(LoopTimer *timer)
{
        machine_serve_accesses(CONTAINER_OF(timer, Machine, retry));
        return 0;
}

/* Some access has to wait for a device's own thread, or for its requests: looks again soon. */
static void machine_retry_accesses(Machine *machine)
{
        uint64_t now = clock_now_usec();

        if (machine->retry_end_usec == 0)
                machine->retry_end_usec = now + machine->retry_limit_usec;
        if (now >= machine->retry_end_usec)
                machine_end(machine, CONTROL_END_DEVICE_ERROR,
                            "the guest resets a device whose requests to the host do not end");
        else
                loop_timer_arm(machine->loop, &machine->retry, now + MACHINE_RETRY_USEC,
                               machine_on_retry);
}

static void machine_serve_accesses(Machine *machine)
{
        bool waits = false;

        for (unsigned i = 0; i < machine->n_vcpus; i++) {
                int r = vcpu_serve_access(&machine->vcpus[i]);

                if (r == -EAGAIN)
                        waits = true;
                else if (r < 0)
                        machine_fail(machine, "a device", r);
        }
        pthread_cond_broadcast(&machine->access_done);
        loop_timer_cancel(&machine->retry);
        if (waits)
                machine_retry_accesses(machine);
        else
                machine->retry_end_usec = 0;
}

static int machine_on_wake(LoopFd *source, uint32_t events)
{
        Machine *machine = CONTAINER_OF(source, Machine, wake);
        MachineNews news;
        uint64_t n;

        if (read(machine->wake_fd, &n, sizeof(n)) < 0 && errno != EAGAIN)
                return errno_neg();
        machine_serve_accesses(machine);
        if (guard_was_hit())
                machine_end(machine, CONTROL_END_DEVICE_ERROR,
                            "the guest unplugged memory that its devices were using");
        news = machine_take_news(machine);
        for (unsigned i = 0; i < news.n_phases; i++)
                machine->events.phase(machine->events.userdata, news.phases[i].id,
                                      news.phases[i].usec);
        if (machine->state == MACHINE_PAUSING &&
            machine_count_parked(machine) == machine->n_vcpus) {
                machine_set_state(machine, MACHINE_PAUSED);
                machine->events.paused(machine->events.userdata);
        }
        if (news.end && machine->state != MACHINE_ENDED) {
                machine_join(machine);
                if (machine->console.fd >= 0)
                        console_flush(&machine->console);
                machine_set_state(machine, MACHINE_ENDED);
                machine->events.ended(machine->events.userdata, news.end, news.text);
        }
        return 0;
}

int machine_init(Machine *machine, Loop *loop, const MachineEvents *events)
{
        int r;

        *machine = (Machine){
                .events = *events,
                .vm = {.kvm_fd = FD_NONE, .vm_fd = FD_NONE},
                .console = {.fd = FD_NONE, .timer_fd = FD_NONE},
                .serial_fd = FD_NONE,
                .retry_limit_usec = clock_limit_usec(MACHINE_RETRY_LIMIT),
        };
        pthread_mutex_init(&machine->board_lock, NULL);
        pthread_mutex_init(&machine->gate_lock, NULL);
        pthread_mutex_init(&machine->news_lock, NULL);
        pthread_cond_init(&machine->access_done, NULL);
        pthread_cond_init(&machine->gate_changed, NULL);
        r = thread_prepare_process();
        if (r < 0)
                return r;
        machine->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (machine->wake_fd < 0)
                return errno_neg();
        r = loop_fd_add(loop, &machine->wake, machine->wake_fd, EPOLLIN, machine_on_wake);
        if (r < 0) {
                fd_close(machine->wake_fd);
                return r;
        }
        machine->loop = loop;
        machine_lock_board(machine);
        loop_set_wait_hooks(loop, machine_unlock_board, machine_lock_board, machine);
        return 0;
}

int machine_done(Machine *machine)
{
        int r;

        if (!machine->loop)
                return 0;
        machine_join(machine);
        loop_set_wait_hooks(machine->loop, NULL, NULL, NULL);
        loop_timer_cancel(&machine->retry);
        r = virtio_slots_done(&machine->slots);
        if (r < 0)
                return r;
        for (unsigned i = 0; machine->vcpus && i < machine->max_vcpus; i++)
                vcpu_done(&machine->vcpus[i]);
        free(machine->vcpus);
        machine->serial_fd = fd_close(machine->serial_fd);
        console_done(&machine->console);
        kvm_vm_close(&machine->vm);
        guard_done();
        guest_memory_done(&machine->memory);
        loop_fd_remove(&machine->wake);
        machine->wake_fd = fd_close(machine->wake_fd);
        machine_unlock_board(machine);
        machine->loop = NULL;
        return 0;
}

bool machine_has_board(const Machine *machine)
{
        return machine->state >= MACHINE_CONFIGURED && machine->state < MACHINE_ENDED;
}

int machine_start(Machine *machine)
{
        if (machine->state != MACHINE_CONFIGURED)
                return -EINVAL;
        machine_set_state(machine, MACHINE_RUNNING);
        for (unsigned i = 0; i < machine->n_vcpus; i++) {
                int r = vcpu_start(&machine->vcpus[i]);

                if (r < 0)
                        return r;
        }
        return 0;
}

int machine_pause(Machine *machine)
{
        if (machine->state != MACHINE_RUNNING)
                return -EINVAL;
        machine_set_state(machine, MACHINE_PAUSING);
        atomic_fetch_or(&machine->gate, MACHINE_GATE_PAUSE);
        for (unsigned i = 0; i < machine->n_vcpus; i++)
                vcpu_kick(&machine->vcpus[i]);
        /* One that has not left its last pause yet stays parked and says nothing. */
        machine_wake(machine);
        return 0;
}

int machine_resume(Machine *machine)
{
        if (machine->state != MACHINE_PAUSED)
                return -EINVAL;
        for (unsigned i = 0; i < machine->n_vcpus; i++)
                arch_vcpu_resume(&machine->vcpus[i].kvm);
        machine_set_state(machine, MACHINE_RUNNING);
        pthread_mutex_lock(&machine->gate_lock);
        atomic_fetch_and(&machine->gate, ~MACHINE_GATE_PAUSE);
        pthread_cond_broadcast(&machine->gate_changed);
        pthread_mutex_unlock(&machine->gate_lock);
        return 0;
}
