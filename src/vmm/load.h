/* Putting a firmware image and the hand-off block into guest memory. I/O thread. */
#pragma once

#include "proto/firmware.h"
#include "proto/handoff.h"
#include "vmm/arch.h"
#include "vmm/mem/memory.h"

/*
 * Reads the segments of the image @fd into place and writes @handoff where the image wants it. 0 and
 * where the boot vCPU starts; or -errno with the reason for people in @ret_text (@text_size bytes):
 * -ENOEXEC the image is damaged or not one, -ENOMEM too little memory for it, -E2BIG the command
 * line is too long.
 */
int load_firmware(const GuestMemory *memory, int fd, const Handoff *handoff, ArchStart *ret,
                  char *ret_text, size_t text_size);
