/*
 * Exports: a directory or file as a detached mount that a sandbox's monitor can serve, without
 * set-user-id programs and device nodes in effect on the host. There is no ".." to climb from it, and
 * it goes when its fd is closed.
 *
 * Whose ids its files have:
 *   range     the tree's ids 0 to 65,535 are the sandbox's range: a container's ids are the files'
 *   single    the tree's one id of the caller is the range's first: root in a container is the caller,
 *             and no file can be made that belongs to anybody else
 *   identity  as they are, for a monitor that maps all ids to themselves (SHIM_LAUNCH_IDENTITY)
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "uvmd/worker.h"

typedef enum ExportMap {
        EXPORT_MAP_RANGE,
        EXPORT_MAP_SINGLE,
        EXPORT_MAP_IDENTITY,
} ExportMap;

/* What a file is, whatever its name: as statx(2) has it. */
typedef struct ExportFile {
        uint64_t device, inode;
        uint64_t born, born_nsec; /* 0: the file system doesn't say */
} ExportFile;

typedef struct ExportOptions {
        int source;        /* borrowed; FD_NONE: @path is opened in the host's mount namespace */
        bool detached;     /* @source is what an earlier probe's answer had */
        const char *path;  /* absolute; also for what is said to people */
        ExportFile expect; /* with @path: what it must be; inode 0: anything */
        pid_t caller;      /* whose mount namespace @source is of; 0: uvmd's own */
        ExportMap map;
        uint32_t range_base;
        uint32_t uid; /* single, and the caller's: it must be @caller's */
        uint32_t gid; /* single; with a caller it is found out */
        bool read_only;
        bool probe; /* finds out, and keeps the source for later */
} ExportOptions;

/* What a worker has found out. */
typedef struct ExportFound {
        ExportFile file;
        bool directory; /* else a regular file: nothing else is exported */
        bool mappable;  /* its file system, and all mounted below it, can map ids */
        bool endless;   /* its file system may never answer: FUSE, network */
        uint32_t gid;   /* the caller's own group; 0 without a caller */
} ExportFound;

/*
 * Starts a worker that makes the export. Its answer's payload is for export_read_found(), with one fd:
 * the export, or of a probe the detached mount, nothing mapped yet. 0 or -errno. @options must live until the worker runs: it is forked in here.
 */
int export_start(Worker **ret, sd_event *event, const ExportOptions *options, WorkerHandler handler,
                 void *userdata);

/* 0 or -EBADMSG. */
int export_read_found(const uint8_t *payload, size_t size, ExportFound *ret);

/* In a worker: such an answer. 0 or -errno. */
int export_answer_found(int socket, const ExportFound *found, const int *fds, unsigned n_fds);
