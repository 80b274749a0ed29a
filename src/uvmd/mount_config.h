/*
 * What AttachVolume takes (dbus/org.uvm1.Container.xml), and what is found out about a source when it
 * is attached. Both are recorded by their option tables.
 */
#pragma once

#include "base/enum.h"
#include "proto/agent.h"
#include "proto/throttle.h"
#include "uvmd/options.h"

#define MOUNT_TARGET_MAX 4095

typedef enum MountKind {
        MOUNT_BIND,   /* a directory or file of the host */
        MOUNT_VOLUME, /* a named volume */
        MOUNT_TMPFS,
        MOUNT_BLOCK, /* a disk: a file or block device of the host */
        MOUNT_KIND_MAX_,
} MountKind;
ENUM_DECLARE(mount_kind, MountKind);

typedef struct MountConfig {
        char *type;   /* a MountKind */
        char *target; /* absolute, without "." and ".." and double slashes */
        int source;   /* owned; FD_NONE once the source was attached or in a record */
        char *source_path;
        char *volume;
        bool read_only, nosuid, nodev, noexec, nocopy;
        char *cache; /* an AgentCache; NULL: by kind */
        char *file_system;
        char *options;
        char *serial;
        uint64_t bytes, bytes_burst, ops, ops_burst;
} MountConfig;

/* Who attached it and what it was: a source that is opened again must be the same. */
typedef struct MountOrigin {
        uint32_t uid, gid;        /* of the caller */
        uint64_t device;          /* st_dev */
        uint64_t inode;           /* st_ino */
        uint64_t born, born_nsec; /* birth time; 0: the file system has none */
        bool directory;
        bool identity;  /* its file system can't map ids */
        bool anonymous; /* its volume was made for it, and nobody named it */
} MountOrigin;

extern const Option mount_options[];
extern const size_t mount_options_n;
extern const Option mount_origin_options[];
extern const size_t mount_origin_options_n;

/* Whether something may be mounted there: an absolute path without ".", ".." and empty components. */
bool mount_target_is_valid(const char *text);

void mount_config_init(MountConfig *config);
void mount_config_done(MountConfig *config);

/* What the table can't say: which options a type needs and takes. 0 or -EINVAL with @error. */
int mount_config_check(const MountConfig *config, sd_bus_error *error);

/* A configuration that was checked. */
MountKind mount_config_kind(const MountConfig *config);
ThrottleLimits mount_config_throttle(const MountConfig *config);
