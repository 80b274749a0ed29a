/*
 * The agent protocol: what the host (uvm-shim) and the guest's agent say to each other.
 *
 * The control stream
 *
 *   The agent connects to port AGENT_PORT_CONTROL of the host (vsock CID 2) and sends HELLO; the
 *   host answers WELCOME. From then on frames (proto/frame.h) go both ways:
 *
 *     host → agent   requests (AGENT_REQUEST_*), ACK
 *     agent → host   REPLY (one for each request), events (AGENT_EVENT_*)
 *
 *   A request carries a fresh frame id, higher than every one before. Replies and events carry a
 *   sequence number, 1, 2, 3 …, as the first field of their payload; the host answers ACK with the
 *   highest it has taken in. Several requests may be under way; replies come in any order.
 *
 * When the stream breaks
 *
 *   The agent connects again. HELLO says the highest request id it has seen: the host sends again
 *   what is above. WELCOME says the highest sequence number the host has seen: the agent sends
 *   again what is above. A request whose id is not above the highest seen is a repetition and is
 *   dropped. So each request is carried out once, and no reply and no exit status is lost. A host
 *   without a memory of its own (a clone of a template) goes on from the numbers in HELLO.
 *
 * The streams of a process
 *
 *   Before a process runs the agent opens one connection to port AGENT_PORT_STREAM for each stream
 *   that its spec attaches, and sends the preamble; raw bytes follow.
 *
 *      0  u32  AGENT_STREAM_MAGIC
 *      4  u8   which (AgentStream)
 *      5  u8[3] zero
 *      8  u64  the token of the process, which the host chose
 *
 *   Half-closes carry the end of file: the host shuts down its side of stdin to close it; the agent
 *   shuts down stdout and stderr when the process's pipe has ended, or when the process has exited
 *   and what it had written by then has been sent (a child that still holds the pipe delays
 *   nothing). A terminal is one stream for both directions and stdin can't be closed on it.
 *   A START or EXEC that failed (no such program …) is answered by a REPLY with the fault and
 *   leaves no EXITED; a container whose START failed is stopped and has to be deleted. A CREATE
 *   that failed leaves nothing.
 *   EXITED comes when all output has been handed to the streams, and says how many bytes that was:
 *   the host waits for so many before it tells anyone.
 *
 * The end
 *
 *   SHUTDOWN ends all containers. The agent's last word is the event GOODBYE with a reason; once
 *   it is acknowledged the guest resets. A reset without a goodbye is a crash.
 *
 * Strings are u32 length + bytes without NUL; lists are u32 count + items; both bounded as the
 * fields say. A message that breaks a bound can neither be encoded nor decoded. All of it is
 * hostile to the host; to the agent the host is its master, but garbage is refused all the same.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/enum.h"

#include "proto/agent_network.h"
#include "proto/agent_report.h"
#include "proto/codec.h"

#define AGENT_VERSION      1
#define AGENT_PORT_CONTROL 1024
#define AGENT_PORT_STREAM  1025

#define AGENT_ID_MAX      64     /* a container's or process's id: name_is_valid() */
#define AGENT_PATH_MAX    4095   /* a path, and any short text */
#define AGENT_STRING_MAX  131071 /* an argument or environment variable: MAX_ARG_STRLEN of Linux */
#define AGENT_STRINGS_MAX 16384  /* arguments, environment variables */
#define AGENT_LIST_MAX    1024   /* any other list */
#define AGENT_SEED_MAX    256

/* Frame types. The ranges tell the direction. */
typedef enum AgentType {
        AGENT_HELLO = 1,   /* agent → host, AgentHello: first on each connection */
        AGENT_WELCOME = 2, /* host → agent, AgentWelcome: its answer */
        AGENT_REPLY = 3,   /* agent → host, AgentReply; frame id: of the request */
        AGENT_ACK = 4,     /* host → agent, AgentAck */

        /* host → agent; what the payload is, and the REPLY's payload if it has one */
        AGENT_REQUEST_PING = 16,      /* (empty) */
        AGENT_REQUEST_CREATE = 17,    /* AgentCreate: all but running the program */
        AGENT_REQUEST_START = 18,     /* AgentContainer: run it */
        AGENT_REQUEST_DELETE = 19,    /* AgentContainer: EBUSY until all exits are told */
        AGENT_REQUEST_EXEC = 20,      /* AgentExec */
        AGENT_REQUEST_SIGNAL = 21,    /* AgentSignal */
        AGENT_REQUEST_RESIZE = 22,    /* AgentResize */
        AGENT_REQUEST_STATS = 23,     /* AgentContainer → AgentStats */
        AGENT_REQUEST_PROCESSES = 24, /* AgentContainer → AgentProcesses */
        AGENT_REQUEST_PLUG = 25,      /* AgentSlot: bind the driver; answers when it is there */
        AGENT_REQUEST_UNPLUG = 26,    /* AgentSlot: unbind it; the slot may be emptied then */
        AGENT_REQUEST_SHUTDOWN = 27,  /* AgentShutdown: answered at once, GOODBYE follows */
        AGENT_REQUEST_MOUNT = 28,     /* AgentAddMount: into a container that is there */
        AGENT_REQUEST_UNMOUNT = 29,   /* AgentRemoveMount: its device may be unplugged then */
        AGENT_REQUEST_COPY = 30,      /* AgentCopy → AgentCopied */
        AGENT_REQUEST_DIFF = 31,      /* AgentDiff → AgentChanges */
        AGENT_REQUEST_NETWORK = 32,   /* AgentNetwork: of one network device */
        AGENT_REQUEST_RESOLVER = 33,  /* AgentResolver: names, for all containers */
        AGENT_REQUEST_CPUS = 34,      /* AgentCpus → AgentCpus: how many are online now */
        AGENT_REQUEST_UPDATE = 35,    /* AgentUpdate: limits of a container */
        AGENT_REQUEST_SET_TIME = 36,  /* AgentTime: the host's clock has jumped */
        AGENT_REQUEST_STOP_COPY = 37, /* AgentContainer: a COPY of it ends soon, with ECANCELED */
        AGENT_REQUEST_ROUTING = 38,   /* AgentRouting: of the network as a whole */

        /* agent → host */
        AGENT_EVENT_EXITED = 64,  /* AgentExited */
        AGENT_EVENT_OOM = 65,     /* AgentOom */
        AGENT_EVENT_GOODBYE = 66, /* AgentGoodbye */
} AgentType;

/* "create", "exited" …; "unknown" for a number that is none. */
const char *agent_type_to_string(uint16_t type);

typedef struct AgentHello {
        uint32_t version;       /* AGENT_VERSION */
        char *agent;            /* the agent's own version, "0.1.0" */
        char *kernel;           /* uname -r */
        char *boot_id;          /* /proc/sys/kernel/random/boot_id */
        uint64_t mem_total;     /* bytes: MemTotal */
        uint64_t mem_free;      /* bytes: MemFree, now */
        uint64_t uptime_usec;   /* CLOCK_BOOTTIME */
        uint32_t last_request;  /* highest request id seen; 0: none */
        uint64_t last_sequence; /* highest sequence number given; 0: none */
} AgentHello;

typedef struct AgentWelcome {
        uint32_t version;       /* AGENT_VERSION, or the agent hangs up */
        uint64_t realtime_usec; /* the host's clock, since 1970; 0: leave the guest's alone */
        char *hostname;         /* of the machine; "": leave it */
        uint64_t last_sequence; /* highest sequence number the host has seen */
        uint8_t *seed;          /* for the guest's random number generator */
        uint32_t seed_size;     /* 0 to AGENT_SEED_MAX */
} AgentWelcome;

typedef struct AgentAck {
        uint64_t sequence; /* all up to and with this one have been taken in */
} AgentAck;

typedef struct AgentReply {
        uint64_t sequence;
        uint32_t code;     /* 0: done; else a positive errno of Linux */
        uint8_t exit_code; /* CREATE, START, EXEC: what a shell would answer: 0, 125, 126 or 127 */
        char *text;        /* for people, when code is not 0 */
        uint8_t *payload;  /* as the request's comment says */
        uint32_t payload_size;
} AgentReply;

/*
 * A container's specification.
 */

typedef enum AgentMountType {
        AGENT_MOUNT_9P,     /* source: the tag of a virtio-9p device; subpath inside it */
        AGENT_MOUNT_BIND,   /* source: a path in the container (from before later mounts) */
        AGENT_MOUNT_TMPFS,  /* options: "size=64m,mode=1777" as mount(8) takes them */
        AGENT_MOUNT_PROC,   /* of the container's pid namespace */
        AGENT_MOUNT_SYSFS,  /* read-only unless the container's network is its own */
        AGENT_MOUNT_DEV,    /* a tmpfs with the usual device nodes and links */
        AGENT_MOUNT_DEVPTS, /* a new instance */
        AGENT_MOUNT_MQUEUE, /* of the container's ipc namespace */
        AGENT_MOUNT_CGROUP, /* cgroup2, rooted at the container's cgroup namespace */
        AGENT_MOUNT_BLOCK,  /* source: the serial of a virtio-blk device, fs: what is on it */
        AGENT_MOUNT_DEVICE, /* source: likewise; target: the device node to make for it */
        AGENT_MOUNT_MAX_,
} AgentMountType;
ENUM_DECLARE(agent_mount_type, AgentMountType);

/* How the guest caches a 9p tree: "loose" only for what nobody else changes. */
typedef enum AgentCache {
        AGENT_CACHE_NONE,
        AGENT_CACHE_MMAP,
        AGENT_CACHE_LOOSE,
        AGENT_CACHE_MAX_,
} AgentCache;
ENUM_DECLARE(agent_cache, AgentCache);

/* Flags of a mount; the names are mount(8)'s. */
#define AGENT_MOUNT_READ_ONLY   (1u << 0)
#define AGENT_MOUNT_NOSUID      (1u << 1)
#define AGENT_MOUNT_NODEV       (1u << 2)
#define AGENT_MOUNT_NOEXEC      (1u << 3)
#define AGENT_MOUNT_NOATIME     (1u << 4)
#define AGENT_MOUNT_RECURSIVE   (1u << 5) /* bind: with what is mounted below */
#define AGENT_MOUNT_NOSYMFOLLOW (1u << 6)
#define AGENT_MOUNT_FLAGS       ((1u << 7) - 1)

/*
 * One 9p device can be mounted once: the first use of a tag in a machine decides about cache and
 * msize, later ones (of other containers, or with other subpaths) share that mount.
 */
typedef struct AgentMount {
        AgentMountType type;
        char *source;
        char *subpath; /* 9P: below the tag's root, no leading slash; "": the root itself */
        char *target;  /* absolute, in the container; made if missing (a file for a file) */
        char *options; /* TMPFS, BLOCK: for the file system; ignored otherwise */
        char *fs;      /* BLOCK: its type, "ext4" */
        uint32_t flags;
        AgentCache cache; /* 9P */
        uint32_t msize;   /* 9P: bytes, at most 512000; 0: that */
} AgentMount;

/* What lies over a root file system and takes the writes. */
typedef enum AgentUpper {
        AGENT_UPPER_NONE,   /* writes go to the root file system itself, unless it is read-only */
        AGENT_UPPER_MEMORY, /* an overlay in the guest's memory, gone with the container */
        AGENT_UPPER_BLOCK,  /* an overlay on an ext4 file system on a virtio-blk device */
        AGENT_UPPER_MAX_,
} AgentUpper;
ENUM_DECLARE(agent_upper, AgentUpper);

typedef struct AgentRoot {
        AgentMountType type; /* 9P; BIND: a directory of the guest (tests) */
        char *source;
        char *subpath;
        AgentCache cache;
        uint32_t msize;
        bool read_only; /* the container sees a read-only root */
        AgentUpper upper;
        uint64_t upper_size; /* MEMORY: bytes; 0: the kernel's default, half of the memory */
        char *upper_source;  /* BLOCK: the device's serial */
} AgentRoot;

/* Namespaces of its own; what is not set is the machine's, shared with its other containers. The
 * mount namespace always is its own. */
#define AGENT_NAMESPACE_PID    (1u << 0)
#define AGENT_NAMESPACE_IPC    (1u << 1)
#define AGENT_NAMESPACE_UTS    (1u << 2)
#define AGENT_NAMESPACE_CGROUP (1u << 3)
#define AGENT_NAMESPACE_NET    (1u << 4) /* nothing but an own loopback */
#define AGENT_NAMESPACE_FLAGS  ((1u << 5) - 1)

/* Limits of the container's cgroup on one disk; 0 is none: io.max of the kernel. */
typedef struct AgentIoLimit {
        char *serial; /* of a virtio-blk device; "": every one that there is */
        uint64_t read_bytes, write_bytes, read_ops, write_ops; /* a second */
} AgentIoLimit;

/* Limits of the container's cgroup; 0 is none. */
typedef struct AgentLimits {
        uint64_t memory;      /* bytes: memory.max */
        uint64_t memory_high; /* bytes: memory.high */
        uint64_t memory_low;  /* bytes: memory.low */
        char *cpuset;         /* "0-1,3": cpuset.cpus; "": all */
        uint32_t io_weight;   /* 1 to 10000: io.weight */
        AgentIoLimit *io;
        uint32_t n_io;
        uint64_t pids;       /* pids.max */
        uint64_t cpu_quota;  /* µs in each period: cpu.max */
        uint64_t cpu_period; /* µs, 1000 to 1000000; 0: 100000 */
        uint32_t cpu_weight; /* 1 to 10000: cpu.weight */
} AgentLimits;

typedef struct AgentContainerSpec {
        AgentRoot root;
        AgentMount *mounts; /* in this order; the host gives all, also /proc, /dev … */
        uint32_t n_mounts;
        char *hostname; /* with AGENT_NAMESPACE_UTS; "": the machine's */
        uint32_t namespaces;
        CodecStrings masked_paths;   /* made unreadable; those that don't exist are skipped */
        CodecStrings readonly_paths; /* likewise */
        CodecStrings sysctls;        /* "net.ipv4.ip_forward=1" */
        AgentLimits limits;
} AgentContainerSpec;

/*
 * A process's specification.
 */

typedef struct AgentRlimit {
        uint32_t resource; /* RLIMIT_* of Linux */
        uint64_t soft;     /* UINT64_MAX: unlimited */
        uint64_t hard;
} AgentRlimit;

/* Sets of capabilities: bit n is capability n of linux/capability.h. */
typedef struct AgentCapabilities {
        uint64_t bounding;
        uint64_t effective;
        uint64_t permitted;
        uint64_t inheritable;
        uint64_t ambient;
} AgentCapabilities;

/* What podman and docker give by default: CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL,
 * NET_BIND_SERVICE, SETFCAP, SETGID, SETPCAP, SETUID, SYS_CHROOT. */
#define AGENT_CAPABILITIES_DEFAULT UINT64_C(0x800405fb)

/* What is attached. Unattached streams are /dev/null. With a terminal stdin, stdout and stderr
 * are the terminal, and the other three flags say nothing. */
#define AGENT_ATTACH_STDIN  (1u << 0)
#define AGENT_ATTACH_STDOUT (1u << 1)
#define AGENT_ATTACH_STDERR (1u << 2)
#define AGENT_ATTACH_TTY    (1u << 3)
#define AGENT_ATTACH_FLAGS  ((1u << 4) - 1)

#define AGENT_UMASK_DEFAULT 0022

typedef struct AgentProcessSpec {
        uint64_t token; /* names its streams; fresh for each process */
        uint32_t attach;
        uint16_t rows, columns; /* of the terminal; 0: unknown */
        CodecStrings argv;      /* at least one */
        CodecStrings env;    /* "NAME=value"; PATH, HOME and (terminal) TERM are added if missing */
        char *cwd;           /* absolute; "": / */
        char *user;          /* "name|uid[:group|gid]", looked up in the container; "": root */
        CodecStrings groups; /* additional ones, name or gid */
        AgentCapabilities capabilities;
        AgentRlimit *rlimits;
        uint32_t n_rlimits;
        bool no_new_privileges;
        int32_t oom_score_adj; /* -1000 to 1000 */
        uint32_t umask;        /* 0 to 0777 */
} AgentProcessSpec;

/*
 * Requests.
 */

typedef struct AgentCreate {
        char *container;
        AgentContainerSpec spec;
        AgentProcessSpec process; /* its id is "" in all other messages */
} AgentCreate;

/* START, DELETE, STATS, PROCESSES. STATS of "" is the whole machine. */
typedef struct AgentContainer {
        char *container;
} AgentContainer;

typedef struct AgentExec {
        char *container;
        char *process; /* fresh in the container */
        AgentProcessSpec spec;
} AgentExec;

typedef struct AgentSignal {
        char *container;
        char *process;   /* "": the container's own */
        uint32_t signal; /* 1 to 64; 0 only asks whether it is there */
        bool all;        /* every process in the container; @process is "" */
} AgentSignal;

typedef struct AgentResize {
        char *container;
        char *process;
        uint16_t rows, columns;
} AgentResize;

typedef struct AgentSlot {
        uint32_t slot; /* of virtio-mmio: 0 to 255 */
} AgentSlot;

/*
 * A mount for a container that was created, in its mount namespace, as if the specification had had
 * it: 9P, BIND (the source is looked up now), TMPFS, BLOCK or DEVICE; others are EOPNOTSUPP. ESRCH:
 * the container has ended. UNMOUNT takes the last that was mounted at @target by a specification or
 * a MOUNT (ENOENT: none was). EBUSY while something in the container uses it, or holds its device in
 * a mount namespace of its own. The device of a 9P or BLOCK mount is free when the answer comes,
 * unless other mounts use it; likewise when a container was deleted.
 */
typedef struct AgentAddMount {
        char *container;
        AgentMount mount;
} AgentAddMount;

typedef struct AgentRemoveMount {
        char *container;
        char *target;
} AgentRemoveMount;

/* Flags of a copy. */
#define AGENT_COPY_OUT    (1u << 0) /* from the container to the transfer device; else into it */
#define AGENT_COPY_INTO   (1u << 1) /* in: where @path is a directory, to @name below it */
#define AGENT_COPY_ROOT   (1u << 2) /* the root file system alone, without what is mounted on it */
#define AGENT_COPY_FOLLOW (1u << 3) /* out: where @path is a symbolic link, what it leads to */
#define AGENT_COPY_FLAGS  ((1u << 4) - 1)

/*
 * Copies one file or tree, with owners, modes, times, extended attributes, hard links, holes and
 * special files, between a created or running container and a 9p device that is plugged in for it.
 * Out: what @path is in the container becomes @name in the device's root; with @name "" the contents
 * of the directory @path go there. In: the reverse; @path's directory must exist, directories that
 * exist are merged, other files replaced. Paths are looked up with the container's root as "/".
 * A directory @path that exists keeps its own attributes when the contents of another go there; the
 * device's root takes those of @path. Device nodes can't be made over 9p (EPERM); attributes that the
 * file system there doesn't know are left out. The device is mounted for the copy alone (EBUSY: it
 * is in use) and free when the answer comes.
 * Answered when it is done: ENOENT, ENOTDIR, EISDIR (a file over a directory) …, ENOSPC, EINTR: the
 * container has ended; ECANCELED: STOP_COPY; what was copied by then stays, but no half of a file. The
 * text names the file.
 */
typedef struct AgentCopy {
        char *container;
        char *tag;  /* of the 9p device */
        char *name; /* a single component of its root, or "" */
        char *path; /* absolute */
        uint32_t flags;
} AgentCopy;

/* What a container's writable layer changes of its root file system, in the order of a walk, from
 * the @skip-th on: of a created or running container. EOPNOTSUPP: it has no layer of its own. */
typedef struct AgentDiff {
        char *container;
        uint32_t skip;
} AgentDiff;

/* Brings CPUs 0 to @cpus - 1 online and takes those above offline; answers how many are online also
 * when some could not (EBUSY, ETIMEDOUT). */
typedef struct AgentCpus {
        uint32_t cpus; /* 1 to 256 */
} AgentCpus;

/* Limits of a created or running container: as if CREATE had said so. */
typedef struct AgentUpdate {
        char *container;
        AgentLimits limits;
} AgentUpdate;

typedef struct AgentTime {
        uint64_t realtime_usec; /* CLOCK_REALTIME of the host */
} AgentTime;

typedef struct AgentShutdown {
        uint64_t grace_usec; /* between SIGTERM and SIGKILL */
} AgentShutdown;

/*
 * Replies' payloads.
 */

typedef struct AgentCopied {
        uint64_t files; /* of any type, directories too */
        uint64_t bytes; /* of contents */
} AgentCopied;

typedef enum AgentChangeKind {
        AGENT_CHANGE_MODIFIED,
        AGENT_CHANGE_ADDED,
        AGENT_CHANGE_DELETED,
        AGENT_CHANGE_MAX_,
} AgentChangeKind;
ENUM_DECLARE(agent_change_kind, AgentChangeKind);

typedef struct AgentChange {
        AgentChangeKind kind;
        char *path; /* absolute */
} AgentChange;

typedef struct AgentChanges {
        AgentChange *changes;
        uint32_t n_changes;
        bool more; /* ask again with skip + n_changes */
} AgentChanges;

/*
 * Events.
 */

typedef struct AgentExited {
        uint64_t sequence;
        char *container;
        char *process;
        uint8_t exit_code;      /* of exit(); 128 + signal if a signal killed it */
        uint8_t signal;         /* the one that killed it, or 0 */
        bool oom;               /* the container ran out of memory before */
        uint64_t stdout_bytes;  /* sent on stdout, or on the terminal */
        uint64_t stderr_bytes;  /* sent on stderr */
        uint64_t realtime_usec; /* when, by the guest's clock */
} AgentExited;

typedef struct AgentOom {
        uint64_t sequence;
        char *container;
        uint64_t kills; /* processes killed for it so far */
} AgentOom;

typedef enum AgentGoodbyeReason {
        AGENT_GOODBYE_SHUTDOWN, /* as requested */
        AGENT_GOODBYE_FAILED,   /* the agent can't go on; @text says why */
        AGENT_GOODBYE_MAX_,
} AgentGoodbyeReason;
ENUM_DECLARE(agent_goodbye_reason, AgentGoodbyeReason);

typedef struct AgentGoodbye {
        uint64_t sequence;
        AgentGoodbyeReason reason;
        char *text;
} AgentGoodbye;

/*
 * Three functions for each message. @payload is a frame's payload (or a reply's).
 *
 *   int agent_hello_encode(const AgentHello *message, void *payload, size_t capacity, size_t *ret)
 *           0 and the size; -ENOBUFS: longer than @capacity (FRAME_PAYLOAD_MAX is a good one);
 *           -EINVAL: a field breaks its bound
 *   int agent_hello_decode(const void *payload, size_t size, AgentHello *ret)
 *           0 (free what it owns with agent_hello_done()), or -EBADMSG and *ret is all zero
 *   void agent_hello_done(AgentHello *message)
 *           also for messages that were filled by hand with malloc()ed fields
 */
#define AGENT_MESSAGE_DECLARE(name, type)                                              \
        int agent_##name##_encode(const type *message, void *payload, size_t capacity, \
                                  size_t *ret_size);                                   \
        int agent_##name##_decode(const void *payload, size_t size, type *ret);        \
        void agent_##name##_done(type *message)

AGENT_MESSAGE_DECLARE(hello, AgentHello);
AGENT_MESSAGE_DECLARE(welcome, AgentWelcome);
AGENT_MESSAGE_DECLARE(ack, AgentAck);
AGENT_MESSAGE_DECLARE(reply, AgentReply);
AGENT_MESSAGE_DECLARE(create, AgentCreate);
AGENT_MESSAGE_DECLARE(container, AgentContainer);
AGENT_MESSAGE_DECLARE(exec, AgentExec);
AGENT_MESSAGE_DECLARE(signal, AgentSignal);
AGENT_MESSAGE_DECLARE(resize, AgentResize);
AGENT_MESSAGE_DECLARE(slot, AgentSlot);
AGENT_MESSAGE_DECLARE(add_mount, AgentAddMount);
AGENT_MESSAGE_DECLARE(remove_mount, AgentRemoveMount);
AGENT_MESSAGE_DECLARE(copy, AgentCopy);
AGENT_MESSAGE_DECLARE(copied, AgentCopied);
AGENT_MESSAGE_DECLARE(diff, AgentDiff);
AGENT_MESSAGE_DECLARE(changes, AgentChanges);
AGENT_MESSAGE_DECLARE(network, AgentNetwork);
AGENT_MESSAGE_DECLARE(routing, AgentRouting);
AGENT_MESSAGE_DECLARE(resolver, AgentResolver);
AGENT_MESSAGE_DECLARE(cpus, AgentCpus);
AGENT_MESSAGE_DECLARE(update, AgentUpdate);
AGENT_MESSAGE_DECLARE(time, AgentTime);
AGENT_MESSAGE_DECLARE(shutdown, AgentShutdown);
AGENT_MESSAGE_DECLARE(stats, AgentStats);
AGENT_MESSAGE_DECLARE(processes, AgentProcesses);
AGENT_MESSAGE_DECLARE(exited, AgentExited);
AGENT_MESSAGE_DECLARE(oom, AgentOom);
AGENT_MESSAGE_DECLARE(goodbye, AgentGoodbye);

/* The two specifications alone: what uvmd hands to the shim is passed on unread. */
AGENT_MESSAGE_DECLARE(container_spec, AgentContainerSpec);
AGENT_MESSAGE_DECLARE(process_spec, AgentProcessSpec);

/*
 * The stream preamble.
 */

#define AGENT_STREAM_MAGIC  0x734d5675u /* "uVMs" */
#define AGENT_PREAMBLE_SIZE 16

typedef enum AgentStream {
        AGENT_STREAM_STDIN,  /* host → process */
        AGENT_STREAM_STDOUT, /* process → host */
        AGENT_STREAM_STDERR, /* process → host */
        AGENT_STREAM_TTY,    /* both */
        AGENT_STREAM_MAX_,
} AgentStream;
ENUM_DECLARE(agent_stream, AgentStream);

typedef struct AgentPreamble {
        AgentStream which;
        uint64_t token;
} AgentPreamble;

void agent_preamble_encode(const AgentPreamble *preamble, uint8_t data[AGENT_PREAMBLE_SIZE]);
/* 0 or -EBADMSG. */
int agent_preamble_decode(const uint8_t data[AGENT_PREAMBLE_SIZE], AgentPreamble *ret);
