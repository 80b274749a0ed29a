/*
 * A custom firmware image comes as a caller's fd. It is copied beside the sandbox's record: reading it
 * may block, and the sandbox must start again when the caller and its file are long gone.
 */
#pragma once

#include "uvmd/sandbox.h"

#define FIRMWARE_COPY_MAX (256ULL << 20) /* bytes */

/*
 * Copies the image that the sandbox's configuration holds, checks its header and answers @call with
 * the sandbox's path; if that fails the sandbox is removed and the call answered with why. 0 or
 * -errno (the caller answers then; the sandbox is removed).
 */
int firmware_copy(Sandbox *sandbox, sd_bus_message *call);
