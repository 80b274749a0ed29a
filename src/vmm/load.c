/* Loading the firmware image; see load.h. The image is hostile; proto/firmware.c checks its header.
 */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "vmm/load.h"

/* Room for the header's decoded form, which is too big for a stack frame. */
typedef struct Load {
        Firmware firmware;
        uint8_t page[FIRMWARE_HEADER_SIZE];
} Load;

static int read_full_at(int fd, void *buffer, size_t size, uint64_t offset)
{
        uint8_t *at = buffer;

        while (size > 0) {
                ssize_t n = pread(fd, at, size, (off_t)offset);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return errno_neg();
                if (n == 0)
                        return -ENODATA; /* cut since its size was taken */
                at += n;
                size -= (size_t)n;
                offset += (uint64_t)n;
        }
        return 0;
}

static int load_header(Load *load, int fd, char *ret_text, size_t text_size)
{
        struct stat status;
        size_t size;
        int r;

        if (fstat(fd, &status) < 0)
                return errno_neg();
        size = MIN((size_t)status.st_size, sizeof(load->page));
        r = read_full_at(fd, load->page, size, 0);
        if (r < 0)
                return r;
        r = firmware_decode(load->page, size, (uint64_t)status.st_size, &load->firmware);
        if (r == 0)
                return 0;
        snprintf(ret_text, text_size, "the firmware image can't be used: %s", firmware_strerror(r));
        return -ENOEXEC;
}

/* What the file doesn't fill is zero already: the memory is fresh. */
static int load_segments(const GuestMemory *memory, const Firmware *firmware, int fd,
                         char *ret_text, size_t text_size)
{
        for (unsigned i = 0; i < firmware->n_segments; i++) {
                const FirmwareSegment *segment = &firmware->segments[i];
                void *host = guest_memory_span(memory, segment->gpa, segment->memory_size);
                int r;

                if (!host) {
                        snprintf(ret_text, text_size,
                                 "the firmware image does not fit into memory");
                        return -ENOMEM;
                }
                r = read_full_at(fd, host, segment->file_size, segment->offset);
                if (r < 0) {
                        snprintf(ret_text, text_size, "can't read the firmware image: %s",
                                 strerror(-r));
                        return r;
                }
        }
        return 0;
}

static int load_handoff(const GuestMemory *memory, const Firmware *firmware, const Handoff *handoff,
                        char *ret_text, size_t text_size)
{
        uint8_t *page = guest_memory_span(memory, firmware->handoff, HANDOFF_SIZE);
        int r;

        if (!page) {
                snprintf(ret_text, text_size, "the firmware image does not fit into memory");
                return -ENOMEM;
        }
        r = handoff_encode(handoff, firmware->cmdline, page);
        if (r == -E2BIG)
                snprintf(ret_text, text_size, "the kernel command line is too long");
        else if (r < 0)
                snprintf(ret_text, text_size, "the firmware can't be told about this machine");
        return r;
}

int load_firmware(const GuestMemory *memory, int fd, const Handoff *handoff, ArchStart *ret,
                  char *ret_text, size_t text_size)
{
        _cleanup_(freep) Load *load = calloc(1, sizeof(*load));
        Firmware *firmware;
        int r;

        if (!load)
                return -ENOMEM;
        r = load_header(load, fd, ret_text, text_size);
        if (r < 0)
                return r;
        firmware = &load->firmware;
        if (firmware->min_memory > guest_memory_size(memory)) {
                snprintf(ret_text, text_size,
                         "the firmware image needs at least %llu MiB of memory",
                         (unsigned long long)((firmware->min_memory + (1 << 20) - 1) >> 20));
                return -ENOMEM;
        }
        r = load_segments(memory, firmware, fd, ret_text, text_size);
        if (r == 0)
                r = load_handoff(memory, firmware, handoff, ret_text, text_size);
        if (r < 0)
                return r;
        *ret = (ArchStart){
                .entry = firmware->entry,
                .stack = firmware->stack,
                .page_tables = firmware->cr3,
                .handoff = firmware->handoff,
        };
        return 0;
}
