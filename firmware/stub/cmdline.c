#include "stub/cmdline.h"

typedef struct Text {
        char *out;
        size_t left; /* with room for the NUL */
        bool full;
} Text;

static void text_put(Text *text, const char *string)
{
        for (; *string; string++) {
                if (text->left <= 1) {
                        text->full = true;
                        return;
                }
                *text->out++ = *string;
                text->left--;
        }
        *text->out = '\0';
}

static void text_put_number(Text *text, uint64_t value, unsigned base)
{
        char digits[21];
        char *at = digits + sizeof(digits);

        *--at = '\0';
        do {
                *--at = "0123456789abcdef"[value % base];
                value /= base;
        } while (value > 0);
        text_put(text, at);
}

bool cmdline_build(char *out, size_t size, const char *base, const HandoffBlock *block)
{
        Text text = {.out = out, .left = size};

        text_put(&text, base);
        text_put(&text, " maxcpus=");
        text_put_number(&text, block->cpus, 10);
        for (uint32_t i = 0; i < block->n_slots; i++) {
                text_put(&text, " virtio_mmio.device=");
                text_put_number(&text, HANDOFF_SLOT_WINDOW, 10);
                text_put(&text, "@0x");
                text_put_number(&text, block->slots_base + (uint64_t)i * block->slots_stride, 16);
                text_put(&text, ":");
                text_put_number(&text, block->slot_gsis[i], 10);
        }
        if (block->cmdline_length > 0) {
                text_put(&text, " ");
                text_put(&text, block->cmdline);
        }
        return !text.full;
}
