/* What the kinds of transfers do differently, for transfer.c. */
#pragma once

#include "base/enum.h"
#include "proto/agent.h"
#include "proto/shim.h"
#include "uvmd/transfer.h"
#include "uvmd/worker.h"

typedef enum TransferState {
        TRANSFER_WAITING, /* for the container to be in the guest */
        TRANSFER_EXPORTING,
        TRANSFER_PLUGGING,
        TRANSFER_ASKING,
        TRANSFER_UNPLUGGING,
        TRANSFER_STATE_MAX_,
} TransferState;
ENUM_DECLARE(transfer_state, TransferState);

typedef enum TransferKind {
        TRANSFER_IN,
        TRANSFER_OUT,
        TRANSFER_COMMIT,
        TRANSFER_CHANGES,
} TransferKind;

/* Of one answer to GetChanges: more are LimitExceeded. */
#define TRANSFER_CHANGES_MAX       200000
#define TRANSFER_CHANGES_BYTES_MAX (16U << 20)

struct Transfer {
        Container *container;
        TransferKind kind;
        TransferState state;
        TransferCaller caller;
        uint32_t number; /* of the device; unique in the sandbox */
        uint32_t flags;  /* AGENT_COPY_* */
        int directory;   /* until it is exported */
        char *name;      /* in the directory */
        char *path;      /* in the container */
        uint32_t slot;

        Worker *worker;
        sd_bus_track *track;
        sd_bus_message *call; /* NULL: the caller has left */
        int failure;
        sd_bus_error error;

        AgentCopied copied;

        /* changes */
        char **kinds, **paths; /* strv.h */
        size_t n_changes, n_bytes;
        bool more;

        /* commit */
        char *image;
        char stage[IMPORTER_STAGE_SIZE]; /* of the image store; filled by the guest */
        ImporterOptions options;
};

/* Whether one can be made now. 0 or -errno with @error. */
int transfer_check(const Container *container, sd_bus_error *error);

/* Starts one like @template: container, kind, caller, flags; of directory, name and path it has copies;
 * what a commit has it takes, also when it fails. 0 or -errno with @error. */
int transfer_start(Transfer **ret, Transfer *template, sd_bus_message *call, sd_bus_error *error);

/* Asks the agent, and again for more. */
void transfer_ask(Transfer *transfer);

void transfer_tag(const Transfer *transfer, char tag[SHIM_TAG_MAX + 1]);

/* The request to the agent. 0 or -errno. */
int transfer_encode(const Transfer *transfer, void *buffer, size_t size, uint32_t *ret_type,
                    size_t *ret_size);

/* Its answer. 0 or -errno with @error. */
int transfer_read_answer(Transfer *transfer, const ShimReply *reply, sd_bus_error *error);

/* Answers the call after it has worked; or passes it on. 0 or -errno with @error. */
int transfer_answer(Transfer *transfer, sd_bus_error *error);

void transfer_commit_done(Transfer *transfer);
void transfer_changes_done(Transfer *transfer);
