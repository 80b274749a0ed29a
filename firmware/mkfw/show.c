#include "mkfw/show.h"

#include <inttypes.h>
#include <stdio.h>

void show_text(const Firmware *firmware)
{
        printf("kernel      %s\n", firmware->label);
        printf("cmdline     %s\n", firmware->cmdline);
        printf("size        %" PRIu64 " bytes\n", firmware->image_size);
        printf("needs       %" PRIu64 " MiB of memory\n", (firmware->min_memory + 0xfffff) >> 20);
        printf("entry       0x%" PRIx64 "\n", firmware->entry);
        printf("page tables 0x%" PRIx64 "\n", firmware->cr3);
        printf("stack       0x%" PRIx64 "\n", firmware->stack);
        printf("hand-off    0x%" PRIx64 "\n\n", firmware->handoff);
        printf("%-8s %10s %10s %12s %12s\n", "SEGMENT", "ADDRESS", "OFFSET", "IN FILE",
               "IN MEMORY");
        for (unsigned i = 0; i < firmware->n_segments; i++) {
                const FirmwareSegment *segment = &firmware->segments[i];

                printf("%-8s 0x%08" PRIx64 " 0x%08" PRIx64 " %12" PRIu64 " %12" PRIu64 "\n",
                       firmware_kind_to_string(segment->kind), segment->gpa, segment->offset,
                       segment->file_size, segment->memory_size);
        }
}

/* The header's texts are printable ASCII (firmware_check): two characters need an escape. */
static void json_string(const char *name, const char *text)
{
        printf("  \"%s\": \"", name);
        for (; *text; text++) {
                if (*text == '"' || *text == '\\')
                        putchar('\\');
                putchar(*text);
        }
        printf("\",\n");
}

static void json_number(const char *name, uint64_t value)
{
        printf("  \"%s\": %" PRIu64 ",\n", name, value);
}

void show_json(const Firmware *firmware)
{
        printf("{\n");
        json_string("kernel", firmware->label);
        json_string("cmdline", firmware->cmdline);
        json_number("size", firmware->image_size);
        json_number("min_memory", firmware->min_memory);
        json_number("entry", firmware->entry);
        json_number("cr3", firmware->cr3);
        json_number("stack", firmware->stack);
        json_number("handoff", firmware->handoff);
        printf("  \"segments\": [\n");
        for (unsigned i = 0; i < firmware->n_segments; i++) {
                const FirmwareSegment *segment = &firmware->segments[i];

                printf("    {\"kind\": \"%s\", \"address\": %" PRIu64 ", \"offset\": %" PRIu64
                       ", \"file_size\": %" PRIu64 ", \"memory_size\": %" PRIu64 "}%s\n",
                       firmware_kind_to_string(segment->kind), segment->gpa, segment->offset,
                       segment->file_size, segment->memory_size,
                       i + 1 < firmware->n_segments ? "," : "");
        }
        printf("  ]\n}\n");
}
