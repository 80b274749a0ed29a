/* Loading the firmware image; see load.h. The image is hostile; proto/firmware.c checks its header.
 */
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "vmm/load.h"

#define LOAD_STACK_SIZE (64 * 1024)

struct Load {
        const GuestMemory *memory;
        int fd;
        Firmware firmware;
        uint8_t page[FIRMWARE_HEADER_SIZE];

        /* The thread's, until it was joined. */
        pthread_t thread;
        bool has_thread;
        int result;
};

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

static int load_header(Load *load, char *ret_text, size_t text_size)
{
        struct stat status;
        size_t size;
        int r;

        if (fstat(load->fd, &status) < 0)
                return errno_neg();
        size = MIN((size_t)status.st_size, sizeof(load->page));
        r = read_full_at(load->fd, load->page, size, 0);
        if (r < 0)
                return r;
        r = firmware_decode(load->page, size, (uint64_t)status.st_size, &load->firmware);
        if (r == 0)
                return 0;
        snprintf(ret_text, text_size, "the firmware image can't be used: %s", firmware_strerror(r));
        return -ENOEXEC;
}

/* All that the image fills must be memory. */
static int load_check_memory(const Load *load, char *ret_text, size_t text_size)
{
        const Firmware *firmware = &load->firmware;
        bool fits = guest_memory_span(load->memory, firmware->handoff, HANDOFF_SIZE) != NULL;

        for (unsigned i = 0; i < firmware->n_segments && fits; i++)
                fits = guest_memory_span(load->memory, firmware->segments[i].gpa,
                                         firmware->segments[i].memory_size) != NULL;
        if (fits && firmware->min_memory <= guest_memory_size(load->memory))
                return 0;
        snprintf(ret_text, text_size, "the firmware image needs at least %llu MiB of memory",
                 (unsigned long long)((firmware->min_memory + (1 << 20) - 1) >> 20));
        return -ENOMEM;
}

/* What the file doesn't fill is zero already: the memory is fresh. */
static int load_segments(const Load *load)
{
        for (unsigned i = 0; i < load->firmware.n_segments; i++) {
                const FirmwareSegment *segment = &load->firmware.segments[i];
                void *host = guest_memory_span(load->memory, segment->gpa, segment->memory_size);
                int r = read_full_at(load->fd, host, segment->file_size, segment->offset);

                if (r < 0)
                        return r;
        }
        return 0;
}

static void *load_thread(void *userdata)
{
        Load *load = userdata;

        prctl(PR_SET_NAME, "loader");
        load->result = load_segments(load);
        return NULL;
}

/* Without a thread it is done at once: that costs time and nothing else. */
static void load_start(Load *load)
{
        pthread_attr_t attributes;

        pthread_attr_init(&attributes);
        pthread_attr_setstacksize(&attributes, LOAD_STACK_SIZE);
        load->has_thread = pthread_create(&load->thread, &attributes, load_thread, load) == 0;
        pthread_attr_destroy(&attributes);
        if (!load->has_thread)
                load->result = load_segments(load);
}

static void load_join(Load *load)
{
        if (load->has_thread)
                pthread_join(load->thread, NULL);
        load->has_thread = false;
}

int load_begin(const GuestMemory *memory, int fd, Load **ret, char *ret_text, size_t text_size)
{
        _cleanup_(load_freep) Load *load = calloc(1, sizeof(*load));
        int r;

        if (!load)
                return -ENOMEM;
        load->memory = memory;
        load->fd = fd;
        r = load_header(load, ret_text, text_size);
        if (r == 0)
                r = load_check_memory(load, ret_text, text_size);
        if (r < 0)
                return r;
        load_start(load);
        *ret = TAKE_PTR(load);
        return 0;
}

static int load_handoff(const Load *load, const Handoff *handoff, char *ret_text, size_t text_size)
{
        uint8_t *page = guest_memory_span(load->memory, load->firmware.handoff, HANDOFF_SIZE);
        int r = handoff_encode(handoff, load->firmware.cmdline, page);

        if (r == -E2BIG)
                snprintf(ret_text, text_size, "the kernel command line is too long");
        else if (r < 0)
                snprintf(ret_text, text_size, "the firmware can't be told about this machine");
        return r;
}

int load_finish(Load *load, const Handoff *handoff, ArchStart *ret, char *ret_text,
                size_t text_size)
{
        int r;

        load_join(load);
        if (load->result < 0) {
                snprintf(ret_text, text_size, "can't read the firmware image: %s",
                         strerror(-load->result));
                return load->result;
        }
        r = load_handoff(load, handoff, ret_text, text_size);
        if (r < 0)
                return r;
        *ret = (ArchStart){
                .entry = load->firmware.entry,
                .stack = load->firmware.stack,
                .page_tables = load->firmware.cr3,
                .handoff = load->firmware.handoff,
        };
        return 0;
}

Load *load_free(Load *load)
{
        if (!load)
                return NULL;
        load_join(load);
        free(load);
        return NULL;
}
