/*
 * Putting a firmware image and the hand-off block into guest memory. Reading the segments takes about
 * as long as making the machine in KVM, so a thread of its own does it meanwhile.
 *
 *   load_begin()   checks the header, starts the reading     I/O thread
 *   load_finish()  waits for it, writes the hand-off block   I/O thread
 */
#pragma once

#include <pthread.h>

#include "proto/firmware.h"
#include "proto/handoff.h"
#include "vmm/arch.h"
#include "vmm/mem/memory.h"

typedef struct Load Load;

/*
 * Starts to load the image @fd, which is borrowed until load_finish() or load_free(), into @memory. 0,
 * or -errno with the reason for people in @ret_text (@text_size bytes; maybe empty): -ENOEXEC the
 * image is damaged or not one, -ENOMEM too little memory for it.
 */
int load_begin(const GuestMemory *memory, int fd, Load **ret, char *ret_text, size_t text_size);

/* 0 and where the boot vCPU starts, or as load_begin(); -E2BIG: the command line is too long. */
int load_finish(Load *load, const Handoff *handoff, ArchStart *ret, char *ret_text,
                size_t text_size);

/* Waits for the thread. Accepts NULL; returns NULL. */
Load *load_free(Load *load);
DEFINE_CLEANUP(Load *, load_free)
