/*
 * The transient scope of a sandbox: uvm-ID.scope. It is made with the shim's pid in it and is over
 * when its last process is; systemd keeps it loaded for our reference (AddRef) until its result was
 * read, then forgets it. All calls to systemd are asynchronous.
 */
#pragma once

#include <systemd/sd-bus.h>

#include "base/cleanup.h"
#include "uvmd/configuration.h"

typedef struct Unit Unit;

/* @r 0 or a negative errno with @error. */
typedef void (*UnitHandler)(void *userdata, int r, const sd_bus_error *error);

/* The scope is over. @result: systemd's ("success", "timeout", "oom-kill" …), "" when unknown.
 * @memory_max: what it could use, UINT64_MAX for any, 0 when unknown. */
typedef void (*UnitEndHandler)(void *userdata, const char *result, uint64_t memory_max);

typedef struct UnitStats {
        uint64_t cpu_nsec, memory, tasks; /* UINT64_MAX: unknown */
        uint64_t read_bytes, write_bytes, read_ops, write_ops;
        const char *control_group; /* its path; NULL: unknown; borrowed */
        const char *result;        /* as of UnitEndHandler; borrowed */
        UnitLimits limits;         /* that the unit has now, tidied; borrowed */
} UnitStats;
typedef void (*UnitStatsHandler)(void *userdata, const UnitStats *stats);

/* @name is "uvm-ID.scope". No handler is called any more once the unit is freed. 0 or -errno. */
int unit_new(Unit **ret, sd_bus *bus, const char *name, void *userdata);
Unit *unit_free(Unit *unit);
DEFINE_CLEANUP(Unit *, unit_free)

/* Makes the scope with @pid in it; @handler is called when systemd's job is done. 0 or -errno. */
int unit_start(Unit *unit, const SandboxConfig *config, const char *description, pid_t pid,
               UnitHandler handler);

/* Takes a reference on a scope that an earlier uvmd made. 0 or -errno. */
int unit_adopt(Unit *unit);

/*
 * Waits until the scope is over and reads its result. What is left in it after @limit_usec is
 * killed. Also right for a scope that never came to be. 0 or -errno.
 */
int unit_await_end(Unit *unit, uint64_t limit_usec, UnitEndHandler handler);

/* SIGKILL to every process of it, now; errors are logged. */
void unit_kill(Unit *unit);

/* Answered even after the unit was freed. 0 or -errno; @handler isn't called then. */
int unit_get_stats(Unit *unit, UnitStatsHandler handler, void *userdata);

/* Changes limits of a unit that is there; what isn't given stays. Answered even after the unit was
 * freed. 0 or -errno; @handler isn't called then. */
int unit_set_limits(Unit *unit, const UnitLimits *limits, UnitHandler handler, void *userdata);
