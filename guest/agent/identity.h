/*
 * Who a process in a container is: user, groups, capabilities, limits. Used by the child that will
 * become the process, inside the container's root.
 */
#pragma once

#include <stdint.h>

#include "proto/agent.h"

#include "agent/fault.h"
#include "agent/passwd.h"

#define IDENTITY_GROUPS_MAX 1024

typedef struct Identity {
        uint32_t uid;
        uint32_t gid;
        uint32_t groups[IDENTITY_GROUPS_MAX];
        unsigned n_groups;
        char home[PASSWD_HOME_MAX + 1];
} Identity;

/*
 * Looks up "name|uid[:group|gid]" and the additional groups in the container's own files. An id
 * that is in no file is taken as it is. 0 or -errno with @fault filled in.
 */
int identity_resolve(const AgentProcessSpec *spec, Identity *ret, Fault *fault);

/*
 * The agent protects itself from the out-of-memory killer and its children must not: the first
 * thing to do in one, while the machine's /proc is in sight. 0 or -errno with @fault filled in.
 */
int identity_set_oom_score(int32_t score, Fault *fault);

/*
 * Becomes it: limits, mask, groups, user, capabilities, no_new_privs. Irrevocable; the working
 * directory and the program are the caller's. 0 or -errno with @fault filled in.
 */
int identity_assume(const AgentProcessSpec *spec, const Identity *identity, Fault *fault);
