/* Names of resource limits as podman and docker take them: "nofile", "core" … */
#pragma once

/* RLIMIT_* of Linux, or -EINVAL. */
int rlimit_from_string(const char *name);
