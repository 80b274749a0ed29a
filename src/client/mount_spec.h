/*
 * What people write for a mount, as podman and docker take it:
 *
 *      -v HOST|VOLUME:GUEST[:OPTION[,OPTION…]]
 *      -v GUEST                       (a volume that has no name)
 *      --disk PATH[:GUEST[:FS]][:OPTION[,OPTION…]]
 *      TARGET:bps=SIZE,iops=N…        (a throttle: no mount, only its target and limits)
 *      --mount type=TYPE,source=…,target=…[,KEY[=VALUE]…]
 *
 * Pure. A source that begins with '/' or '.' is a path of the host.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

typedef struct MountSpec {
        char *text; /* owned; the strings below point into it */
        const char *type;
        const char *source; /* NULL: not given; of a volume: a new one without a name */
        const char *target;
        const char *cache, *file_system, *serial;
        char *options; /* owned; of tmpfs and block */
        bool read_only, nosuid, nodev, noexec, nocopy;
        uint64_t bytes, bytes_burst, ops, ops_burst;
} MountSpec;

/* 0; -EINVAL with one sentence in *ret_error (free() it); or -ENOMEM. */
int mount_spec_parse_volume(MountSpec *spec, const char *text, char **ret_error);
int mount_spec_parse_mount(MountSpec *spec, const char *text, char **ret_error);
int mount_spec_parse_disk(MountSpec *spec, const char *text, char **ret_error);
int mount_spec_parse_throttle(MountSpec *spec, const char *text, char **ret_error);
void mount_spec_done(MountSpec *spec);
