/*
 * The VMM's process: cloned into new user, mount, pid, net, ipc and uts namespaces by a shim that is
 * still root, as src/vmm/jail/jail.h asks. The VMM jails itself from there.
 *
 * Blocks until the program runs or its start has failed, a few milliseconds; at that time there is
 * nothing else to do.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct SpawnConfig {
        const char *program; /* absolute path of uvm-vmm */
        uint32_t range_base; /* host ids that become 0 … range_size - 1 in the namespace */
        uint32_t range_size;
        bool identity; /* all host ids as they are, instead of the range */
        int control;   /* the VMM's end of the control socket; borrowed */
} SpawnConfig;

/* 0 with the pid and a pidfd (CLOEXEC), or -errno: of the step in the child that failed, too, in which
 * case the child has been waited for. */
int spawn_vmm(const SpawnConfig *config, pid_t *ret_pid, int *ret_pidfd);
