/* What the child does between clone3() and execve(). */
#pragma once

#include "agent/launch.h"

/* Runs in the child, a copy of the agent: sets everything up, waits for GO, runs the program. */
__attribute__((noreturn)) void become_process(const Launch *launch, int channel);
