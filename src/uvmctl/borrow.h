/*
 * A container whose files are wanted: where its sandbox does not run it is started, without the
 * container, and stopped again.
 */
#pragma once

#include "client/objects.h"

typedef struct Borrow {
        sd_bus *bus;
        Objects *objects;
        Object container;
        const char *name;    /* as it is called */
        const char *sandbox; /* object path, borrowed */
        bool started;
} Borrow;

/* A status, reported. @lasting: what is done is meant to outlive the machine. */
int borrow_open(Borrow *borrow, const char *name, bool lasting);

/* Stops what was started, unless somebody has started the container meanwhile. Harmless on one that
 * was not opened. */
void borrow_done(Borrow *borrow);

/* A call to the container, which may take as long as it takes; @message is one of
 * borrow_message(). A status. */
int borrow_message(const Borrow *borrow, const char *member, sd_bus_message **ret);
int borrow_send(const Borrow *borrow, sd_bus_message *message, const char *what,
                sd_bus_message **ret_reply);

/*
 * CopyOut to, CopyIn from @name of @directory. The containers' paths are absolute. A status.
 */
int borrow_copy_out(const Borrow *borrow, int directory, const char *path, const char *name,
                    bool follow, bool root_only);
int borrow_copy_in(const Borrow *borrow, int directory, const char *name, const char *path,
                   bool into);
