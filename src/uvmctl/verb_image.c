/* uvmctl image import, list, rm. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "client/json.h"
#include "client/late.h"
#include "client/table.h"
#include "uvmctl/listing.h"
#include "uvmctl/verbs.h"

/* The caller opens what the caller names: uvmd never sees a path. */
static int open_source(const char *path)
{
        int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        struct stat status;

        if (fd < 0) {
                client_warn("cannot open %s: %s", path, strerror(errno));
                return FD_NONE;
        }
        if (fstat(fd, &status) < 0 || (!S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode))) {
                client_warn("%s is neither a directory nor a file", path);
                return fd_close(fd);
        }
        return fd;
}

static int import(int argc, char **argv)
{
        enum { OPT_FORMAT = 256, OPT_TAG };
        static const struct option options[] = {
                {"format", required_argument, NULL, OPT_FORMAT},
                {"tag", required_argument, NULL, OPT_TAG},
                {0},
        };
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL, *reply = NULL;
        _cleanup_(fd_closep) int source = FD_NONE;
        _cleanup_(freep) char *what = NULL;
        const char *format = "auto", *tag = NULL, *id;
        int option, r;

        while ((option = getopt_long(argc, argv, "", options, NULL)) >= 0) {
                if (option == OPT_FORMAT)
                        format = optarg;
                else if (option == OPT_TAG)
                        tag = optarg;
                else
                        return verb_usage_error(&verb_image_import, "unknown option");
        }
        if (optind + 2 != argc)
                return verb_usage_error(&verb_image_import, "which name, and from where?");
        source = open_source(argv[optind + 1]);
        if (source < 0)
                return CLIENT_EXIT_FAILED;
        r = client_bus_open(&bus);
        if (!r)
                r = client_message_new(bus, CLIENT_MANAGER_PATH, CLIENT_MANAGER, "ImportImage",
                                       &message);
        if (r)
                return r;
        r = sd_bus_message_append(message, "shs", argv[optind], source, format);
        if (r >= 0)
                r = tag ? sd_bus_message_append(message, "a{sv}", 1, "Tag", "s", tag)
                        : sd_bus_message_append(message, "a{sv}", 0);
        if (r < 0)
                return client_fail_errno(r, "cannot make the call");
        if (asprintf(&what, "Importing %s …", argv[optind]) < 0)
                what = NULL;
        r = client_send_late(bus, message, what, &reply);
        if (r)
                return r;
        if (sd_bus_message_read(reply, "s", &id) < 0)
                return client_fail("uvmd's answer can't be read");
        puts(id);
        return 0;
}

static void print_images(json_object *images)
{
        static const char *const heads[] = {"NAME", "IMAGE ID", "CREATED", "SIZE", NULL};
        _cleanup_(table_freep) Table *table = table_new(heads);
        char text[TABLE_TEXT_MAX];

        for (size_t i = 0; i < json_object_array_length(images); i++) {
                json_object *image = json_object_array_get_idx(images, i);

                table_row(table);
                table_cell(table, "%s", client_json_string(image, "Name"));
                table_cell(table, "%.16s", client_json_string(image, "Id"));
                table_cell(table, "%s",
                           table_format_ago((uint64_t)client_json_int(image, "Created"), text));
                table_cell(table, "%s",
                           table_format_bytes((uint64_t)client_json_int(image, "Size"), text));
        }
        table_print(table, true);
}

static int list(int argc, char **argv)
{
        ListingOptions options;
        int r = listing_parse(&verb_image_list, argc, argv, &options);

        return r ? r : listing_run("ListImages", &options, "Id", print_images);
}

static int rm(int argc, char **argv)
{
        return listing_remove(&verb_image_rm, argc, argv, "RemoveImage", "which image?");
}

const Verb verb_image_import = {
        .name = "image import",
        .arguments = "[OPTION…] NAME PATH",
        .summary = "make an image from a directory, tar, OCI layout or docker archive",
        .help = "      --format FORMAT   auto, directory, tar, oci-layout or docker-archive\n"
                "      --tag TAG         which image of a layout or archive with several\n",
        .run = import,
};

const Verb verb_image_list = {
        .name = "image list",
        .arguments = "[OPTION…]",
        .summary = "list images",
        .help = "  -q, --quiet           ids only\n"
                "      --format FORMAT   table or json\n",
        .run = list,
};

const Verb verb_image_rm = {
        .name = "image rm",
        .arguments = "[-f] IMAGE…",
        .summary = "remove images",
        .help = "  -f, --force   although containers use them\n",
        .run = rm,
};
