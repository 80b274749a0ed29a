/*
 * Lays stub, kernel and initial RAM disk out in one firmware image. Pure but for memory; borrows
 * all bytes that it is given until the layout is freed.
 *
 * In memory the initial RAM disk follows the kernel's last page, so that the image fills as little
 * as it can. In the file each part starts on a page.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "proto/firmware.h"

typedef struct LayoutInput {
        const uint8_t *stub; /* the stub's flat binary (stub/image.h) */
        size_t stub_size;
        const uint8_t *kernel; /* vmlinux */
        size_t kernel_size;
        const uint8_t *initrd;
        size_t initrd_size;  /* 0: none */
        const char *cmdline; /* NULL: LAYOUT_CMDLINE */
        const char *label;   /* NULL: the version that the kernel states */
} LayoutInput;

/*
 * The kernel's command line unless the user gives one:
 *   console=ttyS0   the board's only console
 *   quiet           warnings and worse go to it: each character is an exit
 *   reboot=k,f      port 0x64, the board's orderly way out (a triple fault is a crash), and no
 *                   quiescing of what ends with it
 *   panic=-1        a panic resets at once, the monitor reports it
 *   noreplace-smp   lock prefixes stay: a sixth of a boot's time for nothing when vCPUs are plugged
 *   dummy.numdummies=0  no network interface that nobody asked for
 *   memory_hotplug.online_policy=auto-movable
 *                   memory that is plugged can be emptied again, up to three times what the kernel has
 *                   for itself; more than that is for its own use, too
 */
#define LAYOUT_CMDLINE                                           \
        "console=ttyS0 quiet reboot=k,f panic=-1 noreplace-smp " \
        "dummy.numdummies=0 memory_hotplug.online_policy=auto-movable"

typedef struct Layout {
        Firmware firmware;
        uint8_t header[FIRMWARE_HEADER_SIZE];
        uint8_t *stub;                               /* filled in; owned */
        const uint8_t *bytes[FIRMWARE_SEGMENTS_MAX]; /* of each segment; borrowed */
} Layout;

typedef enum LayoutError {
        LAYOUT_E_KERNEL = 1, /* layout.detail is an ELF_E_* */
        LAYOUT_E_IMAGE,      /* layout.detail is a FIRMWARE_E_* */
        LAYOUT_E_CMDLINE,    /* longer than FIRMWARE_CMDLINE_MAX */
        LAYOUT_E_STUB,       /* not a stub that this version can fill in */
} LayoutError;

/* 0, -ENOMEM or LAYOUT_E_* (with @ret_detail where it has one). */
int layout_make(const LayoutInput *input, Layout *ret, int *ret_detail);
void layout_done(Layout *layout);
