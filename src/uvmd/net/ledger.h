/*
 * What is owed to the host for a sandbox's place in a network: one file for each, written before anything
 * is made and removed once all of it is gone, so that whoever comes after a crash can take it back:
 *
 *      STATEDIR/networks/ID.INTERFACE.json     what was asked for, and how far it came
 *      STATEDIR/networks/ID.INTERFACE.lock     held by whoever works on it, programs included
 *
 * Used in workers only. The files are root's; they are checked all the same.
 */
#pragma once

#include <json-c/json.h>
#include <systemd/sd-bus.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "proto/agent_network.h"

typedef struct Ledger {
        char id[ID_SIZE + 1];               /* of the sandbox */
        char interface[AGENT_NAME_MAX + 1]; /* in its namespace */
        const char *instance;               /* of uvmd, borrowed: who writes */
        char *path;                         /* without ".json" and ".lock" */
        int lock;                           /* programs inherit it */
        json_object *entry;                 /* NULL: nothing is owed */
} Ledger;

/*
 * Opens it and waits for its lock: programs that an earlier worker has left behind hold it until they
 * end. Reads the entry if there is one; one that makes no sense is put aside. 0 or -errno.
 */
int ledger_open(Ledger *ledger, const char *state_dir, const char *instance, const char *id,
                const char *interface);
void ledger_close(Ledger *ledger);

/* Waits until nobody else changes what all networks share. An fd that holds it, programs inherit it; or -errno. */
int ledger_lock_host(const Ledger *ledger);

/* Whether this very uvmd has written the entry. */
bool ledger_is_own(const Ledger *ledger);

/* Takes @entry over and writes it; it is on disk when this returns. 0 or -errno. */
int ledger_write(Ledger *ledger, json_object *entry);

/* Writes the entry again with @value (taken over) under @key. 0 or -errno. */
int ledger_update(Ledger *ledger, const char *key, json_object *value);

/* Nothing is owed any more. 0 or -errno. */
int ledger_clear(Ledger *ledger);

/* Calls @visit for each place that something is owed for. 0, or what @visit returned below 0. */
int ledger_each(const char *state_dir,
                int (*visit)(const char *id, const char *interface, void *userdata),
                void *userdata);
