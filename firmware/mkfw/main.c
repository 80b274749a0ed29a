/* uvm-mkfw: makes a firmware image out of a kernel and an initial RAM disk, or shows one. */
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "config.h"
#include "mkfw/elf.h"
#include "mkfw/file.h"
#include "mkfw/layout.h"
#include "mkfw/show.h"

/* No image can be larger: FIRMWARE_MEMORY_LIMIT bounds what it fills. */
#define INPUT_MAX ((size_t)FIRMWARE_MEMORY_LIMIT)

/* The stub's flat binary, linked in by stub/build.sh. */
extern const uint8_t stub_binary[], stub_binary_end[];

typedef struct Options {
        const char *kernel;
        const char *initrd;
        const char *output;
        const char *cmdline;
        const char *append;
        const char *label;
        const char *image; /* of --show */
        bool show;
        bool json;
} Options;

static int fail(const char *path, const char *reason)
{
        fprintf(stderr, "uvm-mkfw: %s: %s\n", path, reason);
        return EXIT_FAILURE;
}

static int usage_error(const char *message)
{
        fprintf(stderr, "uvm-mkfw: %s\nTry 'uvm-mkfw --help'.\n", message);
        return EXIT_FAILURE;
}

static void help(void)
{
        printf("Usage: uvm-mkfw --kernel VMLINUX --initrd CPIO [OPTION]... -o IMAGE\n"
               "       uvm-mkfw --show [--format json] IMAGE\n\n"
               "Make a firmware image for uVM, or show what is in one.\n\n"
               "  -k, --kernel=FILE    an uncompressed kernel (vmlinux)\n"
               "  -i, --initrd=FILE    initial RAM disk\n"
               "  -o, --output=FILE    where to write the image\n"
               "  -c, --cmdline=TEXT   kernel command line instead of the default one\n"
               "                       (%s)\n"
               "  -a, --append=TEXT    add to the kernel command line\n"
               "  -l, --label=TEXT     what the image is called; default: the kernel's version\n"
               "  -s, --show           check an image and show what is in it\n"
               "      --format=FORMAT  of --show: text or json\n"
               "  -h, --help           show this help\n"
               "      --version        show the version\n",
               LAYOUT_CMDLINE);
}

static int image_show(const Options *options)
{
        _cleanup_(freep) uint8_t *data = NULL;
        size_t size;
        Firmware firmware;
        int r;

        r = file_read(options->image, INPUT_MAX, &data, &size);
        if (r < 0)
                return fail(options->image, strerror(-r));
        r = firmware_decode(data, size, size, &firmware);
        if (r != 0)
                return fail(options->image, firmware_strerror(r));
        if (options->json)
                show_json(&firmware);
        else
                show_text(&firmware);
        return fflush(stdout) == 0 ? EXIT_SUCCESS : fail("standard output", strerror(errno));
}

static int layout_fail(const Options *options, int r, int detail)
{
        switch (r) {
        case LAYOUT_E_KERNEL:
                return fail(options->kernel, elf_strerror(detail));
        case LAYOUT_E_IMAGE:
                return fail(options->output, firmware_strerror(detail));
        case LAYOUT_E_CMDLINE:
                return fail("command line", "longer than 1024 bytes");
        case LAYOUT_E_STUB:
                return fail("built-in stub", "does not fit this program");
        default:
                return fail(options->output, strerror(-r));
        }
}

static int image_write(const Options *options, const LayoutInput *input)
{
        _cleanup_(layout_done) Layout layout = {};
        int r, detail = 0;

        r = layout_make(input, &layout, &detail);
        if (r != 0)
                return layout_fail(options, r, detail);
        r = file_write_image(options->output, &layout);
        if (r < 0)
                return fail(options->output, strerror(-r));
        return EXIT_SUCCESS;
}

static int image_make(const Options *options)
{
        _cleanup_(freep) uint8_t *kernel = NULL;
        _cleanup_(freep) uint8_t *initrd = NULL;
        _cleanup_(freep) char *cmdline = NULL;
        LayoutInput input = {
                .stub = stub_binary,
                .stub_size = (size_t)(stub_binary_end - stub_binary),
                .label = options->label,
        };
        int r;

        r = file_read(options->kernel, INPUT_MAX, &kernel, &input.kernel_size);
        if (r < 0)
                return fail(options->kernel, strerror(-r));
        r = file_read(options->initrd, INPUT_MAX, &initrd, &input.initrd_size);
        if (r < 0)
                return fail(options->initrd, strerror(-r));
        if (input.initrd_size == 0)
                return fail(options->initrd, "empty");
        input.kernel = kernel;
        input.initrd = initrd;
        if (asprintf(&cmdline, "%s%s%s", options->cmdline ?: LAYOUT_CMDLINE,
                     options->append ? " " : "", options->append ?: "") < 0) {
                cmdline = NULL;
                return fail("command line", strerror(ENOMEM));
        }
        input.cmdline = cmdline;
        return image_write(options, &input);
}

enum { OPTION_FORMAT = 256, OPTION_VERSION };

static const struct option long_options[] = {
        {"kernel", required_argument, NULL, 'k'},
        {"initrd", required_argument, NULL, 'i'},
        {"output", required_argument, NULL, 'o'},
        {"cmdline", required_argument, NULL, 'c'},
        {"append", required_argument, NULL, 'a'},
        {"label", required_argument, NULL, 'l'},
        {"show", no_argument, NULL, 's'},
        {"format", required_argument, NULL, OPTION_FORMAT},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, OPTION_VERSION},
        {},
};

static int format_parse(const char *text, bool *ret_json)
{
        if (strcmp(text, "json") != 0 && strcmp(text, "text") != 0)
                return -EINVAL;
        *ret_json = strcmp(text, "json") == 0;
        return 0;
}

/* Where an option's argument goes; NULL for those without one. */
static const char **option_text(Options *options, int option)
{
        switch (option) {
        case 'k':
                return &options->kernel;
        case 'i':
                return &options->initrd;
        case 'o':
                return &options->output;
        case 'c':
                return &options->cmdline;
        case 'a':
                return &options->append;
        case 'l':
                return &options->label;
        default:
                return NULL;
        }
}

/* Returns true if the program is to end with *@ret_status. */
static bool options_parse(int argc, char **argv, Options *options, int *ret_status)
{
        int option;

        while ((option = getopt_long(argc, argv, "k:i:o:c:a:l:sh", long_options, NULL)) >= 0) {
                const char **text = option_text(options, option);

                *ret_status = EXIT_SUCCESS;
                if (text) {
                        *text = optarg;
                } else if (option == 's') {
                        options->show = true;
                } else if (option == 'h') {
                        help();
                        return true;
                } else if (option == OPTION_VERSION) {
                        printf("uvm-mkfw %s\n", UVM_VERSION);
                        return true;
                } else if (option != OPTION_FORMAT || format_parse(optarg, &options->json) < 0) {
                        *ret_status = usage_error(option == OPTION_FORMAT
                                                          ? "--format takes text or json"
                                                          : "unknown option or missing argument");
                        return true;
                }
        }
        return false;
}

int main(int argc, char **argv)
{
        Options options = {};
        int status;

        if (options_parse(argc, argv, &options, &status))
                return status;
        if (options.show && optind < argc)
                options.image = argv[optind++];
        if (optind < argc)
                return usage_error("unexpected argument");
        if (options.show && !options.image)
                return usage_error("--show needs an image");
        if (options.show)
                return image_show(&options);
        if (!options.kernel || !options.initrd || !options.output)
                return usage_error("--kernel, --initrd and --output are needed");
        return image_make(&options);
}
