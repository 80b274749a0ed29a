/*
 * Between uvmd and uvm-shim: one SEQPACKET socket, one message a packet, little-endian.
 *
 *       0  u16  type (ShimType)
 *       2  u16  zero
 *       4  u32  serial: chosen by uvmd, not 0; a REPLY repeats it; 0 in all that is no reply
 *       8  the body, to the end of the packet
 *
 * Each message from uvmd is a request and is answered by exactly one REPLY with its serial, in any
 * order, unless the link ends first. What changes in the shim is told as it happens: STATE, PHASE,
 * PROCESS and AGENT_EVENT. A link begins with a snapshot: HELLO, then one PROCESS for each process
 * that the shim knows, then SYNCED; so an uvmd that comes back lacks nothing. A shim has one link:
 * a new connection to /run/uvm/ID/shim.sock (peer: the uid that started the shim) ends the one
 * before. When uvmd does not read, the shim ends the link rather than let its queue grow.
 *
 * How a link's life goes, seen from uvmd:
 *
 *      fork, exec "uvm-shim --id ID --fd 3"           <- HELLO (state waiting), SYNCED
 *      the scope's job is done
 *      LAUNCH + fds                                   <- REPLY: the VMM has jailed itself (created)
 *      ADD_DEVICE + fd, ADD_PROCESS, ATTACH + fds     <- REPLY each
 *      BOOT                                           <- STATE starting, PHASE …, STATE running,
 *                                                        REPLY: the agent is there, or the end
 *      AGENT_REQUEST create, start, exec …            <- REPLY with the agent's own answer
 *                                                     <- PROCESS exited (repeated until acknowledged)
 *      ACK_EXIT                                       <- REPLY; the record is gone
 *      STOP or KILL                                   <- STATE stopping, STATE stopped, REPLY
 *      close                                          <- the shim ends
 *
 * A shim ends when it has stopped, nobody is connected and every exit was acknowledged; before
 * LAUNCH when its link closes; and always once a SIGTERM or SIGRTMIN+4 has stopped it. Why it
 * stopped stays in /run/uvm/ID/end (ShimEndRecord).
 *
 * Both ends set SO_SNDBUF to SHIM_SOCKET_BUFFER, or the largest messages don't fit.
 *
 * Strings are cut to the sizes below by nobody: a longer one makes the message bad. A bad message
 * from uvmd ends the link. Pure; any thread; either side's input is hostile.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/enum.h"
#include "base/wire.h"

#include "proto/control.h"
#include "proto/frame.h"
#include "proto/throttle.h"

#define SHIM_HEADER_SIZE   8
#define SHIM_PAYLOAD_MAX   FRAME_PAYLOAD_MAX /* of an AGENT_REQUEST, REPLY or AGENT_EVENT */
#define SHIM_MESSAGE_MAX   (SHIM_PAYLOAD_MAX + 4096)
#define SHIM_SOCKET_BUFFER 212992 /* the kernel doubles it; allowed to everybody */
#define SHIM_PROCESSES_MAX 1024   /* known to one shim, exited ones with no ACK_EXIT too */
#define SHIM_CLIENTS_MAX   64     /* attached at a time, over all processes */
#define SHIM_CONSOLE_SIZE  16384
#define SHIM_STOP_USEC     (5 * 1000000ULL) /* scaled by UVM_TIME_SCALE */

#define SHIM_NAME_MAX    64
#define SHIM_HOST_MAX    64
#define SHIM_CMDLINE_MAX 1024
#define SHIM_PATH_MAX    255
#define SHIM_TEXT_MAX    1024
#define SHIM_TAG_MAX     32

typedef enum ShimType {
        /* uvmd → shim */
        SHIM_LAUNCH = 1,
        SHIM_ADD_DEVICE,
        SHIM_REMOVE_DEVICE,
        SHIM_BOOT, /* no body; a process's start can follow at once: it waits for the agent */
        SHIM_PAUSE,
        SHIM_RESUME,
        SHIM_AGENT_REQUEST,
        SHIM_ADD_PROCESS,
        SHIM_ATTACH,
        SHIM_ACK_EXIT,
        SHIM_STOP,
        SHIM_KILL,        /* no body; answered when stopped */
        SHIM_GET_STATS,   /* no body; the REPLY's payload is a ShimStats */
        SHIM_GET_CONSOLE, /* no body; the REPLY's payload is the console's tail, raw bytes */
        SHIM_ADD_BIND,
        SHIM_REMOVE_BIND,
        SHIM_SET_THROTTLE,
        SHIM_SET_VCPUS,
        SHIM_RESIZE,
        SHIM_SET_LINK,

        /* shim → uvmd */
        SHIM_REPLY = 64,
        SHIM_HELLO,
        SHIM_SYNCED, /* no body: the snapshot is complete */
        SHIM_STATE,
        SHIM_PHASE,
        SHIM_PROCESS,
        SHIM_AGENT_EVENT,
        SHIM_MEMORY,
        SHIM_VCPUS,
} ShimType;

/* waiting → created → starting → running ⇄ paused → stopping → stopped; each but waiting may go to
 * stopping or stopped at once. */
typedef enum ShimState {
        SHIM_WAITING, /* at the barrier: no LAUNCH yet */
        SHIM_CREATED, /* the VMM is there and has jailed itself; no vCPU has run */
        SHIM_STARTING,
        SHIM_RUNNING,
        SHIM_PAUSED,
        SHIM_STOPPING,
        SHIM_STOPPED, /* the VMM has been waited for */
        SHIM_STATE_MAX_,
} ShimState;
ENUM_DECLARE(shim_state, ShimState);

/* Why it stopped; the names are those of org.uvm1.Sandbox.Reason ("" for none). */
typedef enum ShimReason {
        SHIM_REASON_NONE,
        SHIM_REASON_EXITED,       /* the main process had exited (SHIM_PROCESS_MAIN) */
        SHIM_REASON_POWEROFF,     /* the guest said goodbye: somebody in it asked for poweroff */
        SHIM_REASON_STOPPED,      /* STOP, SIGTERM, SIGRTMIN+4 */
        SHIM_REASON_KILLED,       /* KILL, or a signal to the VMM that was not ours */
        SHIM_REASON_PANIC,        /* of the guest's kernel */
        SHIM_REASON_CRASH,        /* triple fault, reset without a goodbye, KVM error, VMM's end */
        SHIM_REASON_OOM,          /* the sandbox's memory limit on the host */
        SHIM_REASON_BOOT_FAILED,  /* it ended before the agent's hello */
        SHIM_REASON_BOOT_TIMEOUT, /* no hello from the agent within the limit */
        SHIM_REASON_MAX_,
} ShimReason;
ENUM_DECLARE(shim_reason, ShimReason);

/* Moments of a boot, in CLOCK_MONOTONIC µs; the names are those of Sandbox.BootTimestamps. "start"
 * and "scope" are uvmd's own. */
typedef enum ShimPhase {
        SHIM_PHASE_VMM_EXEC,  /* the VMM's process was cloned */
        SHIM_PHASE_VMM_READY, /* it has jailed itself */
        SHIM_PHASE_FIRST_RUN, /* the first KVM_RUN */
        SHIM_PHASE_STUB,      /* the firmware stub's first instructions */
        SHIM_PHASE_KERNEL,    /* the stub is done, the kernel is next */
        SHIM_PHASE_AGENT,     /* the agent's hello */
        SHIM_PHASE_RUNNING,   /* BOOT was answered */
        SHIM_PHASE_MAX_,
} ShimPhase;
ENUM_DECLARE(shim_phase, ShimPhase);

typedef enum ShimFlags {
        SHIM_LAUNCH_IDENTITY = 1 << 0, /* map all ids to themselves (root's file systems that can't
                                          be id-mapped) instead of the range */
        SHIM_LAUNCH_MERGE_PAGES = 1 << 1, /* CONTROL_CONFIGURE_MERGE_PAGES */
        SHIM_PROCESS_TTY = 1 << 0,        /* one bidirectional stream */
        SHIM_PROCESS_STDIN = 1 << 1,   /* has a standard input; else the agent gives it /dev/null */
        SHIM_PROCESS_JOURNAL = 1 << 2, /* its output goes to the journal */
        SHIM_PROCESS_MAIN = 1 << 3,    /* when it exits the machine is shut down */
        SHIM_ATTACH_PRIMARY = 1 << 0,  /* the process waits for this client rather than lose output;
                                          the end of its input is the end of the process's input */
        SHIM_DEVICE_READ_ONLY = 1 << 0, /* p9, block */
        SHIM_DEVICE_VHOST = 1 << 1,     /* net: as many fds of /dev/vhost-net as of the tap */
        SHIM_BIND_READ_ONLY = 1 << 0,
} ShimFlags;

/* ------------------------------------------------------------------ uvmd → shim */

/* LAUNCH carries exactly these fds, in this order. */
enum {
        SHIM_LAUNCH_FD_RUN_DIR,  /* /run/uvm/ID, opened O_DIRECTORY */
        SHIM_LAUNCH_FD_KVM,      /* /dev/kvm */
        SHIM_LAUNCH_FD_FIRMWARE, /* the image, read-only */
        SHIM_LAUNCH_FDS,
};

typedef struct ShimLaunch {
        uint32_t flags;      /* SHIM_LAUNCH_* */
        uint32_t range_base; /* the sandbox's host ids: shim and VMM run as the first of them */
        uint32_t range_size;
        uint32_t vcpus;
        uint32_t max_vcpus;
        uint32_t slots;      /* virtio-mmio slots */
        uint64_t memory;     /* bytes that the guest boots with */
        uint64_t memory_max; /* with what a MEM device may add; 0: no more */
        uint64_t boot_usec;  /* BOOT → the agent's hello; the shim scales it (clock_limit_usec) */
        uint64_t stop_usec;  /* grace for the containers after SIGTERM or the main exit; as above */
        char vmm[SHIM_PATH_MAX + 1];        /* the program uvm-vmm */
        char cmdline[SHIM_CMDLINE_MAX + 1]; /* appended to the guest kernel's */
        char hostname[SHIM_HOST_MAX + 1];   /* the guest's */
        char name[SHIM_NAME_MAX + 1];       /* for the journal: UVM_NAME */
        char owner[SHIM_NAME_MAX + 1];      /* for the journal: UVM_OWNER */
} ShimLaunch;

typedef enum ShimDeviceKind {
        SHIM_DEVICE_P9 = 1,  /* one fd: the root of the tree, a detached mount */
        SHIM_DEVICE_RNG,     /* no fd */
        SHIM_DEVICE_BINDS,   /* no fd: p9 with a root directory whose entries come by ADD_BIND */
        SHIM_DEVICE_BLOCK,   /* one fd: a regular file or block device, open as the flags say */
        SHIM_DEVICE_NET,     /* fds: as of ControlAddDevice.net */
        SHIM_DEVICE_BALLOON, /* no fd */
        SHIM_DEVICE_MEM,     /* no fd */
} ShimDeviceKind;

/*
 * Before BOOT the device is there when the guest boots; later it is plugged in and the REPLY comes
 * when the agent has bound its driver. The REPLY's value is the slot. When it fails there is no device:
 * one that the guest didn't take in time (-ETIMEDOUT) is taken back as soon as it answers.
 */
typedef struct ShimAddDevice {
        uint32_t kind; /* ShimDeviceKind */
        uint32_t flags;
        char tag[SHIM_TAG_MAX + 1]; /* p9, binds: mount tag; block: serial, at most 20 bytes */
        ThrottleLimits throttle;    /* p9, binds, block, net (TRANSMIT); all 0: none */
        /* net, else all 0; as in ControlAddDevice.net */
        uint8_t mac[CONTROL_MAC_SIZE];
        uint16_t mtu;
        uint32_t queues;
        ThrottleLimits receive;
} ShimAddDevice;

/* An entry of a BINDS device; ADD_BIND has one fd: a detached mount of a directory or a file. The
 * VMM's refusals are the REPLY's: -EEXIST, -ENOENT, -EINVAL. */
typedef struct ShimBind {
        uint32_t slot;
        uint32_t flags; /* SHIM_BIND_*; REMOVE_BIND: 0 */
        char name[SHIM_NAME_MAX + 1];
} ShimBind;

/* Of a device that is there; all 0 takes it away. */
typedef struct ShimSetThrottle {
        uint32_t slot;
        uint32_t direction; /* ThrottleDirection */
        ThrottleLimits limits;
} ShimSetThrottle;

/*
 * How many vCPUs the guest is to have, 1 to max_vcpus: made and brought up, or taken offline and
 * ended. The REPLY's value is how many there are now, also when it fails: -ETIMEDOUT the guest
 * doesn't do it, or the agent's errno with its text; -EBUSY: it has not answered an earlier one. Only
 * while the sandbox runs.
 */
typedef struct ShimSetVcpus {
        uint32_t vcpus;
} ShimSetVcpus;

/* As CONTROL_RESIZE: what a MEM device is to have plugged, a BALLOON to hold. SHIM_MEMORY follows. */
typedef struct ShimResize {
        uint32_t slot;
        uint64_t bytes;
} ShimResize;

typedef struct ShimSetLink {
        uint32_t slot;
        bool up;
} ShimSetLink;

/* The guest must have unmounted it; the agent unbinds its driver first. When it fails the device is
 * where it was: -ETIMEDOUT the guest doesn't answer; -EBUSY it still has not, asked before. */
typedef struct ShimRemoveDevice {
        uint32_t slot;
} ShimRemoveDevice;

/*
 * Passes one request of src/proto/agent.h to the guest. It waits while the guest boots or the link
 * to the agent is broken; it is answered when the agent answers, or with -ECANCELED when the guest
 * ends. The REPLY's payload is an AgentReply. @process: what a successful answer makes running
 * (START, EXEC), 0 for requests that start nothing.
 */
typedef struct ShimAgentRequest {
        uint64_t process;
        uint32_t type; /* AGENT_REQUEST_*; the shim's own are -EPERM: PLUG, UNPLUG, SHUTDOWN, CPUS,
                          SET_TIME */
        const uint8_t *payload; /* borrowed */
        size_t payload_size;
} ShimAgentRequest;

/*
 * Makes a process known before the agent is asked to create it: @process is the token with which
 * its streams come in (AgentProcessSpec.token), chosen by uvmd, not 0, unique in the sandbox. The
 * spec must attach stdout and stderr, and stdin or the terminal as the flags say.
 * REPLY: -EEXIST token or ids are in use, -ENOSPC too many.
 */
typedef struct ShimAddProcess {
        uint64_t process;
        uint32_t flags;                       /* SHIM_PROCESS_* */
        char container_id[SHIM_NAME_MAX + 1]; /* the agent's; the journal's UVM_CONTAINER */
        char process_id[SHIM_NAME_MAX + 1]; /* the agent's, "" for a container's own; UVM_PROCESS */
        char container[SHIM_NAME_MAX + 1];  /* its name: UVM_CONTAINER_NAME */
        char identifier[SHIM_NAME_MAX + 1]; /* SYSLOG_IDENTIFIER */
} ShimAddProcess;

typedef enum ShimStream {
        SHIM_STDIN,
        SHIM_STDOUT,
        SHIM_STDERR,
        SHIM_TTY,
        SHIM_STREAM_MAX_,
} ShimStream;
ENUM_DECLARE(shim_stream, ShimStream);

/*
 * One client's ends, unix stream sockets or pipes; the shim owns them from here and makes them
 * non-blocking. @streams has bit 1 << ShimStream for each fd, in the order of the enum: any of stdin,
 * stdout and stderr, or the tty alone. shutdown(SHUT_WR) by the client is the end of its input; a
 * socket that is closed means that the client has gone, and the process goes on without it. (A pipe
 * can't tell the two apart: its end is the end of input.) After the process's exit the shim closes
 * its ends when all output has been handed over.
 * REPLY: -EBUSY there is a primary client already, -ENOENT no such process, -EINVAL the streams are
 * not those of the process, -ENOTSOCK a fd is something else, -EMFILE too many clients.
 */
typedef struct ShimAttach {
        uint64_t process;
        uint32_t flags; /* SHIM_ATTACH_* */
        uint32_t streams;
} ShimAttach;

/* Drops the record of a process that has exited or failed, or was added and never started; -EBUSY
 * while it runs. */
typedef struct ShimAckExit {
        uint64_t process;
} ShimAckExit;

/* A clean shutdown by the agent, which gives the containers @grace_usec (unscaled) between SIGTERM
 * and SIGKILL; a guest that isn't done SHIM_STOP_USEC later is killed. Answered when stopped. */
typedef struct ShimStop {
        uint64_t grace_usec;
} ShimStop;

/* ------------------------------------------------------------------ shim → uvmd */

/*
 * @error: 0 or a negative errno of the shim's or VMM's, with @text for people. The agent's own
 * refusals are not errors here: they are in its answer, which is the payload of the REPLY.
 */
typedef struct ShimReply {
        int32_t error;
        uint32_t value;               /* what the request returns as a number; 0 where nothing is */
        char text[SHIM_TEXT_MAX + 1]; /* "" when @error is 0 */
        const uint8_t *payload;       /* borrowed */
        size_t payload_size;
} ShimReply;

/* Also the body of STATE. */
typedef struct ShimStatus {
        ShimState state;
        ShimReason reason;            /* when stopping or stopped */
        char text[SHIM_TEXT_MAX + 1]; /* the same in a sentence, with the console's last lines */
} ShimStatus;

typedef struct ShimHello {
        ShimStatus status;
        uint32_t shim_pid;
        uint32_t vmm_pid;                 /* 0 before LAUNCH and once it was waited for */
        uint64_t phases[SHIM_PHASE_MAX_]; /* 0: not reached */
} ShimHello;

typedef struct ShimPhaseEvent {
        ShimPhase phase;
        uint64_t usec;
} ShimPhaseEvent;

typedef enum ShimProcessState {
        SHIM_PROCESS_ADDED,
        SHIM_PROCESS_STARTING, /* the agent was asked */
        SHIM_PROCESS_RUNNING,
        SHIM_PROCESS_FAILED, /* the agent could not start it: @code is 125, 126 or 127 */
        SHIM_PROCESS_EXITED, /* and all its output has been handed over */
        SHIM_PROCESS_STATE_MAX_,
} ShimProcessState;
ENUM_DECLARE(shim_process_state, ShimProcessState);

/* On each change of state; all of them after HELLO. */
typedef struct ShimProcess {
        uint64_t process;
        ShimProcessState state;
        int32_t code;           /* failed and exited: 0–255, 128 + n for signal n; else -1 */
        bool oom;               /* the guest's kernel killed it for want of memory */
        bool lost;              /* the guest ended under it: @code is 137 and nobody saw its exit */
        bool has_primary;       /* a primary client is attached */
        uint64_t started_usec;  /* CLOCK_REALTIME of the host, 0: not yet */
        uint64_t finished_usec; /* the same */
} ShimProcess;

/* What the agent tells of its own accord and the shim has no use for itself. */
typedef struct ShimAgentEvent {
        uint32_t type;          /* AgentType */
        const uint8_t *payload; /* borrowed */
        size_t payload_size;
} ShimAgentEvent;

/* The guest gave or took memory; as CONTROL_MEMORY. */
typedef struct ShimMemory {
        uint32_t slot;
        uint64_t requested;
        uint64_t actual;
} ShimMemory;

/* The guest has answered a SET_VCPUS behind its time, when nobody waited any more: what there is now. */
typedef struct ShimVcpus {
        uint32_t online;
} ShimVcpus;

/* The VMM's message CONTROL_STATS (src/proto/control.h) and the agent's AgentReply with the whole
 * machine's AgentStats, each as it came in. One is empty when that side can't answer. */
typedef struct ShimStats {
        const uint8_t *vmm;
        size_t vmm_size;
        const uint8_t *agent;
        size_t agent_size;
} ShimStats;

/*
 * The file "end" in the sandbox's runtime directory: u32 size of what follows the checksum, u32
 * CRC-32 (IEEE 802.3) of it, then reason (u32), i32 wait status of the VMM, u64 CLOCK_REALTIME µs,
 * text (string). Written by one pwrite(); empty while the sandbox has not stopped.
 */
typedef struct ShimEndRecord {
        ShimReason reason;
        int32_t vmm_status; /* as waitpid() gives it */
        uint64_t usec;
        char text[SHIM_TEXT_MAX + 1];
} ShimEndRecord;
#define SHIM_END_SIZE_MAX (8 + 4 + 4 + 8 + 4 + SHIM_TEXT_MAX)

/* ------------------------------------------------------------------ codec */

typedef struct ShimMessage {
        ShimType type;
        uint32_t serial;
        union {
                ShimLaunch launch;
                ShimAddDevice add_device;
                ShimRemoveDevice remove_device;
                ShimBind add_bind, remove_bind;
                ShimSetThrottle set_throttle;
                ShimSetVcpus set_vcpus;
                ShimResize resize;
                ShimSetLink set_link;
                ShimAgentRequest agent_request;
                ShimAddProcess add_process;
                ShimAttach attach;
                ShimAckExit ack_exit;
                ShimStop stop;
                ShimReply reply;
                ShimHello hello;
                ShimStatus state;
                ShimPhaseEvent phase;
                ShimProcess process;
                ShimAgentEvent agent_event;
                ShimMemory memory;
                ShimVcpus vcpus;
        };
} ShimMessage;

/*
 * Encodes into @buffer (SHIM_MESSAGE_MAX always suffices for a legal message). 0 and the size, or
 * -ENOBUFS.
 */
int shim_encode(const ShimMessage *message, void *buffer, size_t size, size_t *ret_size);

/*
 * Decodes one packet; what is borrowed points into @data. 0, or -EBADMSG: cut short, bytes left over,
 * an unknown type, an enum out of range, a string too long or with a NUL in it.
 */
int shim_decode(const void *data, size_t size, ShimMessage *ret);

/* The same two for a ShimStats (payload of the REPLY to GET_STATS) and the file "end". */
int shim_stats_encode(const ShimStats *stats, void *buffer, size_t size, size_t *ret_size);
int shim_stats_decode(const void *data, size_t size, ShimStats *ret);
int shim_end_encode(const ShimEndRecord *record, void *buffer, size_t size, size_t *ret_size);
int shim_end_decode(const void *data, size_t size, ShimEndRecord *ret);
