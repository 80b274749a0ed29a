#include "mkfw/layout.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/wire.h"
#include "mkfw/elf.h"
#include "stub/image.h"

_Static_assert(STUB_CMDLINE_MAX == FIRMWARE_CMDLINE_MAX, "the stub takes what the header takes");

/* What a kernel needs besides its image and the unpacked initial RAM disk to reach its first
 * process: page structures, per-CPU data, slabs, stacks. Measured, with some room. */
#define LAYOUT_WORKING_MEMORY (UINT64_C(6) << 20)

static uint64_t page_up(uint64_t size)
{
        return (size + FIRMWARE_PAGE_SIZE - 1) & ~(uint64_t)(FIRMWARE_PAGE_SIZE - 1);
}

/* Appends a segment behind the others in the file. */
static void segment_add(Layout *layout, FirmwareKind kind, uint64_t gpa, const uint8_t *bytes,
                        uint64_t file_size, uint64_t memory_size)
{
        Firmware *firmware = &layout->firmware;
        unsigned i = firmware->n_segments++;

        layout->bytes[i] = bytes;
        firmware->segments[i] = (FirmwareSegment){
                .gpa = gpa,
                .offset = page_up(firmware->image_size),
                .file_size = file_size,
                .memory_size = memory_size,
                .kind = kind,
        };
        firmware->image_size = firmware->segments[i].offset + file_size;
}

static uint64_t memory_end(const Firmware *firmware)
{
        uint64_t end = 0;

        for (unsigned i = 0; i < firmware->n_segments; i++)
                end = MAX(end,
                          firmware->segments[i].gpa + page_up(firmware->segments[i].memory_size));
        return end;
}

/* "Linux 6.1.192-uvm" out of the banner in the kernel's read-only data. */
static void label_find(const uint8_t *kernel, size_t size, char ret[FIRMWARE_LABEL_MAX + 1])
{
        static const char banner[] = "Linux version ";
        const uint8_t *at = memmem(kernel, size, banner, sizeof(banner) - 1);
        const uint8_t *end = kernel + size;
        char version[64];
        size_t n = 0;

        if (!at) {
                strcpy(ret, "unknown kernel");
                return;
        }
        for (at += sizeof(banner) - 1; at<end && * at> ' ' && *at <= '~'; at++)
                if (n < sizeof(version) - 1)
                        version[n++] = (char)*at;
        version[n] = '\0';
        snprintf(ret, FIRMWARE_LABEL_MAX + 1, "Linux %s", version);
}

static int stub_decode(const uint8_t *stub, size_t size, StubImage *ret)
{
        WireReader reader = wire_reader(stub, size);
        const uint8_t *magic = wire_get_bytes(&reader, sizeof(ret->magic));

        if (!magic || memcmp(magic, STUB_MAGIC, sizeof(ret->magic)) != 0 ||
            wire_get_u32(&reader) != STUB_VERSION || size < sizeof(*ret))
                return LAYOUT_E_STUB;
        ret->memory_size = wire_get_u32(&reader);
        ret->base = wire_get_u64(&reader);
        ret->entry = wire_get_u64(&reader);
        ret->cr3 = wire_get_u64(&reader);
        ret->stack = wire_get_u64(&reader);
        ret->handoff = wire_get_u64(&reader);
        return reader.bad ? LAYOUT_E_STUB : 0;
}

/* Takes a copy of the stub as the image's first segment; its fields are filled in at the end. */
static int stub_add(Layout *layout, const LayoutInput *input)
{
        Firmware *firmware = &layout->firmware;
        StubImage stub;
        int r;

        r = stub_decode(input->stub, input->stub_size, &stub);
        if (r != 0)
                return r;
        layout->stub = malloc(input->stub_size);
        if (!layout->stub)
                return -ENOMEM;
        memcpy(layout->stub, input->stub, input->stub_size);
        firmware->entry = stub.entry;
        firmware->cr3 = stub.cr3;
        firmware->stack = stub.stack;
        firmware->handoff = stub.handoff;
        segment_add(layout, FIRMWARE_KIND_STUB, stub.base, layout->stub, input->stub_size,
                    stub.memory_size);
        return 0;
}

static void stub_fill(uint8_t *stub, uint64_t entry, uint64_t initrd, uint64_t initrd_size,
                      const char *cmdline)
{
        const size_t at = offsetof(StubImage, kernel_entry);
        WireWriter writer = wire_writer(stub + at, sizeof(StubImage) - at);

        wire_put_u64(&writer, entry);
        wire_put_u64(&writer, initrd);
        wire_put_u64(&writer, initrd_size);
        wire_put_bytes(&writer, cmdline, strlen(cmdline) + 1);
}

static int texts_add(Layout *layout, const LayoutInput *input)
{
        const char *cmdline = input->cmdline ?: LAYOUT_CMDLINE;

        if (strlen(cmdline) > FIRMWARE_CMDLINE_MAX)
                return LAYOUT_E_CMDLINE;
        strcpy(layout->firmware.cmdline, cmdline);
        if (input->label)
                snprintf(layout->firmware.label, sizeof(layout->firmware.label), "%s",
                         input->label);
        else
                label_find(input->kernel, input->kernel_size, layout->firmware.label);
        return 0;
}

static void parts_add(Layout *layout, const LayoutInput *input, const ElfKernel *kernel)
{
        Firmware *firmware = &layout->firmware;
        uint64_t initrd;

        for (unsigned i = 0; i < kernel->n_loads; i++) {
                const ElfLoad *load = &kernel->loads[i];

                segment_add(layout, FIRMWARE_KIND_KERNEL, load->gpa, input->kernel + load->offset,
                            load->file_size, load->memory_size);
        }
        initrd = memory_end(firmware);
        if (input->initrd_size > 0)
                segment_add(layout, FIRMWARE_KIND_INITRD, initrd, input->initrd, input->initrd_size,
                            input->initrd_size);
        stub_fill(layout->stub, kernel->entry, initrd, input->initrd_size, firmware->cmdline);
        firmware->min_memory = memory_end(firmware) + page_up(input->initrd_size) +
                               LAYOUT_WORKING_MEMORY;
}

int layout_make(const LayoutInput *input, Layout *ret, int *ret_detail)
{
        _cleanup_(layout_done) Layout layout = {.firmware.image_size = FIRMWARE_HEADER_SIZE};
        ElfKernel kernel;
        int r;

        r = elf_decode(input->kernel, input->kernel_size, &kernel);
        if (r != 0) {
                *ret_detail = r;
                return LAYOUT_E_KERNEL;
        }
        r = texts_add(&layout, input);
        if (r != 0)
                return r;
        r = stub_add(&layout, input);
        if (r != 0)
                return r;
        parts_add(&layout, input, &kernel);
        r = firmware_encode(&layout.firmware, layout.header);
        if (r != 0) {
                *ret_detail = r;
                return LAYOUT_E_IMAGE;
        }
        *ret = layout;
        layout.stub = NULL;
        return 0;
}

void layout_done(Layout *layout)
{
        free(layout->stub);
        layout->stub = NULL;
}
