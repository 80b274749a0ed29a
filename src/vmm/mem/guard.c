/* Accesses to unplugged memory; see guard.h. The handler only uses what is safe in one. */
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/error.h"
#include "vmm/mem/guard.h"

static atomic_uintptr_t guard_start, guard_end;
static atomic_int guard_event_fd;
static atomic_bool guard_hit;

static void guard_restore(int signal_number)
{
        struct sigaction action = {.sa_handler = SIG_DFL};

        /* The instruction runs again, and this time it is the end. */
        (void)sigaction(signal_number, &action, NULL);
}

static void guard_on_fault(int signal_number, siginfo_t *info, void *context)
{
        uintptr_t at = (uintptr_t)info->si_addr, page = (uintptr_t)sysconf(_SC_PAGESIZE);
        int saved_errno = errno;
        uint64_t one = 1;
        ssize_t n = -1;

        if (at >= atomic_load(&guard_start) && at < atomic_load(&guard_end) &&
            mprotect((void *)(at / page * page), page, PROT_READ | PROT_WRITE) == 0) {
                atomic_store(&guard_hit, true);
                n = write(atomic_load(&guard_event_fd), &one, sizeof(one));
        }
        if (n < 0)
                guard_restore(signal_number);
        errno = saved_errno;
}

int guard_init(void *start, size_t size, int event_fd)
{
        struct sigaction action = {.sa_sigaction = guard_on_fault, .sa_flags = SA_SIGINFO};

        atomic_store(&guard_hit, false);
        atomic_store(&guard_event_fd, event_fd);
        atomic_store(&guard_start, (uintptr_t)start);
        atomic_store(&guard_end, (uintptr_t)start + size);
        return sigaction(SIGSEGV, &action, NULL) < 0 ? errno_neg() : 0;
}

void guard_done(void)
{
        if (atomic_load(&guard_end) == 0)
                return;
        atomic_store(&guard_start, 0);
        atomic_store(&guard_end, 0);
        guard_restore(SIGSEGV);
}

bool guard_was_hit(void)
{
        return atomic_load(&guard_hit);
}
