/* Children of the agent: clone3(2) and waiting by pidfd. */
#pragma once

#include <stdint.h>
#include <sys/types.h>

typedef struct SpawnStatus {
        uint8_t exit_code; /* 128 + signal if a signal ended it */
        uint8_t signal;
} SpawnStatus;

/*
 * Forks with @namespaces (CLONE_NEW*) into the cgroup @cgroup_fd (FD_NONE: ours). 0, and like
 * fork() twice: in the child *ret_pid is 0 and no pidfd is given. Or -errno.
 */
int spawn_fork(uint64_t namespaces, int cgroup_fd, pid_t *ret_pid, int *ret_pidfd);

/* Reaps the child. 0, -EAGAIN: it hasn't ended, another -errno. */
int spawn_wait(int pidfd, SpawnStatus *ret);
