#include "proto/firmware.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/wire.h"

static const uint8_t firmware_magic[8] = {'u', 'V', 'M', '-', 'F', 'W', '\r', '\n'};

enum {
        FIRMWARE_VERSION = 1,
        FIRMWARE_CHECKSUM_AT = 16,
        FIRMWARE_SEGMENTS_AT = 128,
        FIRMWARE_SEGMENT_SIZE = 40,
        FIRMWARE_CMDLINE_AT = FIRMWARE_SEGMENTS_AT + FIRMWARE_SEGMENTS_MAX * FIRMWARE_SEGMENT_SIZE,
        FIRMWARE_LABEL_AT = FIRMWARE_CMDLINE_AT + 4 + FIRMWARE_CMDLINE_MAX,
        FIRMWARE_TEXT_END = FIRMWARE_LABEL_AT + 4 + FIRMWARE_LABEL_MAX + 1,
};

/* The checksum of IEEE 802.3 over the page with the checksum's own bytes taken as zero. */
static uint32_t firmware_checksum(const uint8_t page[FIRMWARE_HEADER_SIZE])
{
        uint32_t crc = UINT32_MAX;

        for (size_t i = 0; i < FIRMWARE_HEADER_SIZE; i++) {
                if (i < FIRMWARE_CHECKSUM_AT || i >= FIRMWARE_CHECKSUM_AT + 4)
                        crc ^= page[i];
                for (unsigned bit = 0; bit < 8; bit++)
                        crc = (crc >> 1) ^ (crc & 1 ? UINT32_C(0xedb88320) : 0);
        }
        return ~crc;
}

static bool bytes_are_zero(const uint8_t *bytes, size_t size)
{
        for (size_t i = 0; i < size; i++)
                if (bytes[i] != 0)
                        return false;
        return true;
}

static uint64_t page_up(uint64_t size)
{
        return (size + FIRMWARE_PAGE_SIZE - 1) & ~(uint64_t)(FIRMWARE_PAGE_SIZE - 1);
}

static bool page_aligned(uint64_t value)
{
        return value % FIRMWARE_PAGE_SIZE == 0;
}

static bool text_is_printable(const char *text, size_t size)
{
        for (size_t i = 0; i < size; i++)
                if (text[i] < ' ' || text[i] > '~')
                        return false;
        return true;
}

/* A text at @at of at most @max bytes; what lies behind its end must be zero. */
static int text_decode(const uint8_t *page, size_t at, size_t max, char *ret)
{
        WireReader reader = wire_reader(page + at, 4 + max);
        size_t size = wire_get_u32(&reader);
        const uint8_t *bytes;

        if (size > max)
                return FIRMWARE_E_TEXT;
        bytes = wire_get_bytes(&reader, max);
        if (!text_is_printable((const char *)bytes, size))
                return FIRMWARE_E_TEXT;
        if (!bytes_are_zero(bytes + size, max - size))
                return FIRMWARE_E_RESERVED;
        memcpy(ret, bytes, size);
        ret[size] = '\0';
        return 0;
}

static int segment_decode(const uint8_t *bytes, FirmwareSegment *ret)
{
        WireReader reader = wire_reader(bytes, FIRMWARE_SEGMENT_SIZE);
        uint32_t kind, reserved;

        ret->gpa = wire_get_u64(&reader);
        ret->offset = wire_get_u64(&reader);
        ret->file_size = wire_get_u64(&reader);
        ret->memory_size = wire_get_u64(&reader);
        kind = wire_get_u32(&reader);
        reserved = wire_get_u32(&reader);
        if (reserved != 0)
                return FIRMWARE_E_RESERVED;
        /* A kind is for people only, so that a new one need not be a new version. */
        ret->kind = kind < FIRMWARE_KIND_MAX_ ? (FirmwareKind)kind : FIRMWARE_KIND_OTHER;
        return 0;
}

/* The fixed part: everything before the segment table but the magic and the checksum. */
static int fixed_decode(const uint8_t *page, Firmware *firmware)
{
        WireReader reader = wire_reader(page, FIRMWARE_SEGMENTS_AT);

        wire_get_bytes(&reader, sizeof(firmware_magic));
        if (wire_get_u32(&reader) != FIRMWARE_VERSION)
                return FIRMWARE_E_VERSION;
        if (wire_get_u32(&reader) != FIRMWARE_ARCH_X86_64)
                return FIRMWARE_E_ARCH;
        if (wire_get_u32(&reader) != firmware_checksum(page))
                return FIRMWARE_E_CHECKSUM;
        firmware->n_segments = wire_get_u32(&reader);
        firmware->image_size = wire_get_u64(&reader);
        firmware->entry = wire_get_u64(&reader);
        firmware->cr3 = wire_get_u64(&reader);
        firmware->stack = wire_get_u64(&reader);
        firmware->handoff = wire_get_u64(&reader);
        firmware->min_memory = wire_get_u64(&reader);
        if (!bytes_are_zero(page + reader.at, wire_left(&reader)))
                return FIRMWARE_E_RESERVED;
        return firmware->n_segments > FIRMWARE_SEGMENTS_MAX ? FIRMWARE_E_SEGMENTS : 0;
}

static int segments_decode(const uint8_t *page, Firmware *firmware)
{
        const uint8_t *at = page + FIRMWARE_SEGMENTS_AT;

        for (unsigned i = 0; i < firmware->n_segments; i++, at += FIRMWARE_SEGMENT_SIZE) {
                int r = segment_decode(at, &firmware->segments[i]);
                if (r != 0)
                        return r;
        }
        return bytes_are_zero(at, (size_t)(page + FIRMWARE_CMDLINE_AT - at)) ? 0
                                                                             : FIRMWARE_E_RESERVED;
}

int firmware_decode(const void *data, size_t size, uint64_t image_size, Firmware *ret)
{
        const uint8_t *page = data;
        Firmware firmware = {};
        int r;

        /* "Not a firmware image" says more than "cut short" about a small file of another kind. */
        if (size < sizeof(firmware_magic) ||
            memcmp(page, firmware_magic, sizeof(firmware_magic)) != 0)
                return FIRMWARE_E_MAGIC;
        if (size < FIRMWARE_HEADER_SIZE || image_size < FIRMWARE_HEADER_SIZE)
                return FIRMWARE_E_SHORT;
        r = fixed_decode(page, &firmware);
        if (r == 0)
                r = segments_decode(page, &firmware);
        if (r == 0)
                r = text_decode(page, FIRMWARE_CMDLINE_AT, FIRMWARE_CMDLINE_MAX, firmware.cmdline);
        if (r == 0)
                r = text_decode(page, FIRMWARE_LABEL_AT, FIRMWARE_LABEL_MAX, firmware.label);
        if (r != 0)
                return r;
        if (!bytes_are_zero(page + FIRMWARE_TEXT_END, FIRMWARE_HEADER_SIZE - FIRMWARE_TEXT_END))
                return FIRMWARE_E_RESERVED;
        if (firmware.image_size != image_size)
                return firmware.image_size > image_size ? FIRMWARE_E_SHORT : FIRMWARE_E_SIZE;
        r = firmware_check(&firmware);
        if (r != 0)
                return r;
        *ret = firmware;
        return 0;
}

static int segment_check(const FirmwareSegment *segment, uint64_t image_size)
{
        if (!page_aligned(segment->gpa) || !page_aligned(segment->offset))
                return FIRMWARE_E_ALIGNMENT;
        if (segment->memory_size == 0 || segment->memory_size > FIRMWARE_MEMORY_LIMIT ||
            segment->gpa > FIRMWARE_MEMORY_LIMIT - segment->memory_size ||
            segment->file_size > segment->memory_size)
                return FIRMWARE_E_MEMORY;
        if (segment->offset < FIRMWARE_HEADER_SIZE || segment->offset > image_size ||
            segment->file_size > image_size - segment->offset)
                return FIRMWARE_E_FILE;
        return 0;
}

/* Whether the pages of [@a, @a + @a_size) and [@b, @b + @b_size) meet; a and b are page aligned. */
static bool ranges_overlap(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size)
{
        return a < b + page_up(b_size) && b < a + page_up(a_size);
}

/* Whether [@gpa, @gpa + @size) lies in one segment. */
static bool segments_hold(const Firmware *firmware, uint64_t gpa, uint64_t size)
{
        for (unsigned i = 0; i < firmware->n_segments; i++) {
                const FirmwareSegment *segment = &firmware->segments[i];

                if (gpa >= segment->gpa && size <= segment->memory_size &&
                    gpa - segment->gpa <= segment->memory_size - size)
                        return true;
        }
        return false;
}

static int start_check(const Firmware *firmware)
{
        if (!page_aligned(firmware->cr3) || firmware->stack % 16 != 0)
                return FIRMWARE_E_ALIGNMENT;
        if (!segments_hold(firmware, firmware->entry, 1) ||
            !segments_hold(firmware, firmware->cr3, FIRMWARE_PAGE_SIZE) || firmware->stack == 0 ||
            !segments_hold(firmware, firmware->stack - 1, 1))
                return FIRMWARE_E_START;
        return 0;
}

static int texts_check(const Firmware *firmware)
{
        size_t cmdline = strnlen(firmware->cmdline, sizeof(firmware->cmdline));
        size_t label = strnlen(firmware->label, sizeof(firmware->label));

        if (cmdline > FIRMWARE_CMDLINE_MAX || !text_is_printable(firmware->cmdline, cmdline) ||
            label > FIRMWARE_LABEL_MAX || !text_is_printable(firmware->label, label))
                return FIRMWARE_E_TEXT;
        return 0;
}

int firmware_check(const Firmware *firmware)
{
        uint64_t end = firmware->handoff + FIRMWARE_PAGE_SIZE;
        int r;

        if (firmware->n_segments == 0 || firmware->n_segments > FIRMWARE_SEGMENTS_MAX)
                return FIRMWARE_E_SEGMENTS;
        if (!page_aligned(firmware->handoff))
                return FIRMWARE_E_ALIGNMENT;
        if (firmware->handoff > FIRMWARE_MEMORY_LIMIT - FIRMWARE_PAGE_SIZE)
                return FIRMWARE_E_MEMORY;
        for (unsigned i = 0; i < firmware->n_segments; i++) {
                const FirmwareSegment *segment = &firmware->segments[i];

                r = segment_check(segment, firmware->image_size);
                if (r != 0)
                        return r;
                if (ranges_overlap(segment->gpa, segment->memory_size, firmware->handoff,
                                   FIRMWARE_PAGE_SIZE))
                        return FIRMWARE_E_OVERLAP;
                for (unsigned j = 0; j < i; j++)
                        if (ranges_overlap(segment->gpa, segment->memory_size,
                                           firmware->segments[j].gpa,
                                           firmware->segments[j].memory_size))
                                return FIRMWARE_E_OVERLAP;
                end = MAX(end, segment->gpa + page_up(segment->memory_size));
        }
        r = start_check(firmware);
        if (r != 0)
                return r;
        if (firmware->min_memory < end)
                return FIRMWARE_E_NEEDS;
        return texts_check(firmware);
}

static void text_encode(uint8_t *page, size_t at, size_t max, const char *text)
{
        WireWriter writer = wire_writer(page + at, 4 + max);

        wire_put_string(&writer, text);
}

static void segment_encode(uint8_t *at, const FirmwareSegment *segment)
{
        WireWriter writer = wire_writer(at, FIRMWARE_SEGMENT_SIZE);

        wire_put_u64(&writer, segment->gpa);
        wire_put_u64(&writer, segment->offset);
        wire_put_u64(&writer, segment->file_size);
        wire_put_u64(&writer, segment->memory_size);
        wire_put_u32(&writer, segment->kind);
}

int firmware_encode(const Firmware *firmware, uint8_t page[FIRMWARE_HEADER_SIZE])
{
        WireWriter writer = wire_writer(page, FIRMWARE_SEGMENTS_AT);
        int r;

        r = firmware_check(firmware);
        if (r != 0)
                return r;
        memset(page, 0, FIRMWARE_HEADER_SIZE);
        wire_put_bytes(&writer, firmware_magic, sizeof(firmware_magic));
        wire_put_u32(&writer, FIRMWARE_VERSION);
        wire_put_u32(&writer, FIRMWARE_ARCH_X86_64);
        wire_put_u32(&writer, 0);
        wire_put_u32(&writer, firmware->n_segments);
        wire_put_u64(&writer, firmware->image_size);
        wire_put_u64(&writer, firmware->entry);
        wire_put_u64(&writer, firmware->cr3);
        wire_put_u64(&writer, firmware->stack);
        wire_put_u64(&writer, firmware->handoff);
        wire_put_u64(&writer, firmware->min_memory);
        for (unsigned i = 0; i < firmware->n_segments; i++)
                segment_encode(page + FIRMWARE_SEGMENTS_AT + i * FIRMWARE_SEGMENT_SIZE,
                               &firmware->segments[i]);
        text_encode(page, FIRMWARE_CMDLINE_AT, FIRMWARE_CMDLINE_MAX, firmware->cmdline);
        text_encode(page, FIRMWARE_LABEL_AT, FIRMWARE_LABEL_MAX, firmware->label);
        writer = wire_writer(page + FIRMWARE_CHECKSUM_AT, 4);
        wire_put_u32(&writer, firmware_checksum(page));
        return 0;
}

const char *firmware_strerror(int error)
{
        static const char *const texts[FIRMWARE_E_MAX_] = {
                [FIRMWARE_E_SHORT] = "the file is cut short",
                [FIRMWARE_E_MAGIC] = "this is not a firmware image",
                [FIRMWARE_E_VERSION] = "its format version is not supported",
                [FIRMWARE_E_ARCH] = "it was made for another architecture",
                [FIRMWARE_E_CHECKSUM] = "its header is damaged (checksum)",
                [FIRMWARE_E_SIZE] = "the file is longer than its header says",
                [FIRMWARE_E_RESERVED] = "a reserved field of its header is not zero",
                [FIRMWARE_E_SEGMENTS] = "it has no segments or more than 32",
                [FIRMWARE_E_ALIGNMENT] = "an address or offset in its header is not aligned",
                [FIRMWARE_E_FILE] = "one of its segments lies outside the file",
                [FIRMWARE_E_MEMORY] = "one of its segments does not fit into the first GiB of RAM",
                [FIRMWARE_E_OVERLAP] = "its segments overlap in memory",
                [FIRMWARE_E_START] = "its entry, page tables or stack lie outside its segments",
                [FIRMWARE_E_NEEDS] = "it states less memory than its segments fill",
                [FIRMWARE_E_TEXT] = "its command line or label is too long or not printable",
        };

        if (error <= 0 || error >= FIRMWARE_E_MAX_)
                return "unknown error";
        return texts[error];
}

const char *firmware_kind_to_string(FirmwareKind kind)
{
        static const char *const names[FIRMWARE_KIND_MAX_] = {
                [FIRMWARE_KIND_OTHER] = "other",
                [FIRMWARE_KIND_STUB] = "stub",
                [FIRMWARE_KIND_KERNEL] = "kernel",
                [FIRMWARE_KIND_INITRD] = "initrd",
        };

        return kind < FIRMWARE_KIND_MAX_ ? names[kind] : "other";
}
