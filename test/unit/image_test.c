/*
 * Images: archives' names, layers over layers, hostile entries, and what the manifests say. As root
 * owners and device nodes are checked too.
 */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "test/unit.h"
#include "uvmd/errors.h"
#include "uvmd/image/bundle.h"
#include "uvmd/image/entry_name.h"
#include "uvmd/image/layer.h"
#include "uvmd/image/oci_config.h"
#include "uvmd/image/walk.h"

/* ------------------------------------------------------------------ a place to unpack to */

static char place[] = "/tmp/uvm-image-test-XXXXXX";

static int place_open(void)
{
        int fd;

        strcpy(place + sizeof(place) - 7, "XXXXXX");
        unit_assert(mkdtemp(place));
        fd = open(place, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        unit_assert(fd >= 0);
        return fd;
}

static void place_close(int fd)
{
        close(fd);
        unit_assert_int(walk_remove(AT_FDCWD, place), 0);
}

/* ------------------------------------------------------------------ archives in memory */

typedef struct Maker {
        struct archive *archive;
        char bytes[1 << 20];
        size_t size;
} Maker;

static Maker maker;

static void maker_open_as(bool compressed)
{
        maker.archive = archive_write_new();
        archive_write_set_format_pax(maker.archive);
        if (compressed)
                archive_write_add_filter_gzip(maker.archive);
        archive_write_set_bytes_in_last_block(maker.archive, 1);
        archive_write_open_memory(maker.archive, maker.bytes, sizeof(maker.bytes), &maker.size);
}

static void maker_open(void)
{
        maker_open_as(true);
}

typedef struct Item {
        const char *name;
        mode_t mode;
        const char *text; /* data, or the target of a link */
        bool hardlink;
        long uid;
} Item;

static void maker_add(Item item)
{
        struct archive_entry *entry = archive_entry_new();
        mode_t type = item.mode & S_IFMT;

        archive_entry_set_pathname(entry, item.name);
        archive_entry_set_mode(entry, item.mode);
        archive_entry_set_uid(entry, item.uid ? item.uid : (long)getuid());
        archive_entry_set_gid(entry, item.uid ? item.uid : (long)getgid());
        archive_entry_set_mtime(entry, 1000000, 0);
        if (item.hardlink)
                archive_entry_set_hardlink(entry, item.text);
        else if (type == S_IFLNK)
                archive_entry_set_symlink(entry, item.text);
        else if (type == S_IFREG)
                archive_entry_set_size(entry, (la_int64_t)strlen(item.text));
        if (type == S_IFCHR)
                archive_entry_set_rdev(entry, makedev(1, 3));
        unit_assert(archive_write_header(maker.archive, entry) >= ARCHIVE_WARN);
        if (type == S_IFREG && !item.hardlink)
                archive_write_data(maker.archive, item.text, strlen(item.text));
        archive_entry_free(entry);
}

/* Applies what was made; the name of the error, or NULL. */
static const char *maker_apply(int root, bool whiteouts)
{
        static char name[64];
        sd_bus_error error = SD_BUS_ERROR_NULL;
        struct archive *reader = bundle_reader_new();
        LayerTotals totals = {0};
        int r;

        archive_write_free(maker.archive);
        unit_assert_int(archive_read_open_memory(reader, maker.bytes, maker.size), ARCHIVE_OK);
        r = layer_apply(reader, root, whiteouts, &totals, &error);
        archive_read_free(reader);
        unit_assert_int(r < 0, sd_bus_error_is_set(&error));
        snprintf(name, sizeof(name), "%s", error.name ? error.name : "");
        sd_bus_error_free(&error);
        return r < 0 ? name : NULL;
}

static bool exists(int root, const char *name)
{
        return faccessat(root, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

#define FILE_MODE (S_IFREG | 0644)
#define DIR_MODE  (S_IFDIR | 0755)
#define LINK_MODE (S_IFLNK | 0777)

/* ------------------------------------------------------------------ tests */

static void check_name(const char *name, int error, const char *normal)
{
        char out[ENTRY_NAME_MAX];

        unit_assert_int(entry_name_check(name, out), error);
        if (!error)
                unit_assert_string(out, normal);
}

static void test_names(void)
{
        char long_name[300], deep[1024] = "";

        check_name("./a//b/./c/", 0, "a/b/c");
        check_name(".", 0, "");
        check_name("", 0, "");
        check_name("...", 0, "...");
        check_name("/etc/passwd", ENTRY_NAME_E_ABSOLUTE, NULL);
        check_name("a/../b", ENTRY_NAME_E_DOTDOT, NULL);
        check_name("..", ENTRY_NAME_E_DOTDOT, NULL);
        memset(long_name, 'x', sizeof(long_name));
        long_name[299] = 0;
        check_name(long_name, ENTRY_NAME_E_LONG, NULL);
        for (int i = 0; i < ENTRY_DEPTH_MAX + 1; i++)
                strcat(deep, "a/");
        check_name(deep, ENTRY_NAME_E_LONG, NULL);
        unit_assert_int(entry_name_kind("a/.wh.b"), ENTRY_WHITEOUT);
        unit_assert_int(entry_name_kind("a/.wh..wh..opq"), ENTRY_OPAQUE);
        unit_assert_int(entry_name_kind(".wh..wh.plnk"), ENTRY_IGNORED);
        unit_assert_int(entry_name_kind("a/.wh...."), ENTRY_WHITEOUT);
        unit_assert_int(entry_name_kind("a/.wh..."), ENTRY_IGNORED);
        unit_assert_int(entry_name_kind("a/.wh.."), ENTRY_IGNORED);
        unit_assert_int(entry_name_kind("a/wh.b"), ENTRY_PLAIN);
}

static void test_plain(void)
{
        int root = place_open();
        struct stat a, b;

        maker_open();
        maker_add((Item){.name = "./", .mode = S_IFDIR | 0711});
        maker_add((Item){.name = "bin/", .mode = DIR_MODE});
        maker_add((Item){.name = "bin/sh", .mode = S_IFREG | 04755, .text = "#!"});
        maker_add((Item){.name = "bin/ash", .text = "bin/sh", .mode = FILE_MODE, .hardlink = true});
        maker_add((Item){.name = "lib", .mode = LINK_MODE, .text = "/usr/lib"});
        maker_add((Item){.name = "lib/x", .mode = FILE_MODE, .text = "in usr/lib"});
        maker_add((Item){.name = "run/fifo", .mode = S_IFIFO | 0600});
        maker_add((Item){.name = "\xc3\xa4", .mode = FILE_MODE, .text = "utf-8"});
        unit_assert(!maker_apply(root, false));
        unit_assert_int(fstat(root, &a), 0);
        unit_assert_int(a.st_mode & 07777, 0711);
        unit_assert_int(fstatat(root, "bin/sh", &a, 0), 0);
        unit_assert_int(fstatat(root, "bin/ash", &b, 0), 0);
        unit_assert_int(a.st_mode & 07777, 04755);
        unit_assert_int(a.st_ino, b.st_ino);
        unit_assert_int(a.st_mtime, 1000000);
        unit_assert_int(fstatat(root, "bin", &a, 0), 0);
        unit_assert_int(a.st_mtime, 1000000);
        unit_assert(exists(root, "usr/lib/x"));
        unit_assert(exists(root, "run/fifo"));
        unit_assert(exists(root, "\xc3\xa4"));
        place_close(root);
}

static void test_root_only(void)
{
        int root;
        struct stat status;

        if (geteuid() != 0) {
                printf("# owners and device nodes need root: not checked\n");
                return;
        }
        root = place_open();
        maker_open();
        maker_add((Item){.name = "null", .mode = S_IFCHR | 0666, .uid = 1234});
        unit_assert(!maker_apply(root, false));
        unit_assert_int(fstatat(root, "null", &status, 0), 0);
        unit_assert_int(status.st_uid, 1234);
        unit_assert_int(status.st_rdev, makedev(1, 3));
        maker_open();
        maker_add((Item){.name = "x", .mode = FILE_MODE, .text = "", .uid = 65536});
        unit_assert(maker_apply(root, false));
        place_close(root);
}

static void test_layers(void)
{
        int root = place_open();

        maker_open();
        maker_add((Item){.name = "a/one", .mode = FILE_MODE, .text = "1"});
        maker_add((Item){.name = "a/two", .mode = FILE_MODE, .text = "1"});
        maker_add((Item){.name = "b/one", .mode = FILE_MODE, .text = "1"});
        maker_add((Item){.name = "c/deep/er", .mode = FILE_MODE, .text = "1"});
        maker_add((Item){.name = "d", .mode = FILE_MODE, .text = "1"});
        unit_assert(!maker_apply(root, true));
        maker_open();
        maker_add((Item){.name = "a/.wh.one", .mode = FILE_MODE, .text = ""});
        maker_add((Item){.name = "b/new", .mode = FILE_MODE, .text = "2"});
        maker_add((Item){.name = "b/.wh..wh..opq", .mode = FILE_MODE, .text = ""});
        maker_add((Item){.name = ".wh.c", .mode = FILE_MODE, .text = ""});
        maker_add((Item){.name = "d", .mode = DIR_MODE});
        unit_assert(!maker_apply(root, true));
        unit_assert(!exists(root, "a/one") && exists(root, "a/two"));
        unit_assert(!exists(root, "b/one") && exists(root, "b/new"));
        unit_assert(!exists(root, "c") && exists(root, "d/."));
        unit_assert(!exists(root, "a/.wh.one") && !exists(root, "b/.wh..wh..opq"));
        /* A plain root file system may have files of such names. */
        maker_open();
        maker_add((Item){.name = "a/.wh.two", .mode = FILE_MODE, .text = "plain"});
        unit_assert(!maker_apply(root, false));
        unit_assert(exists(root, "a/.wh.two") && exists(root, "a/two"));
        place_close(root);
}

/* Each must be refused, and nothing outside be touched. */
static void check_hostile(Item first, Item second)
{
        int root = place_open(), inner;
        const char *error;

        unit_assert_int(mkdirat(root, "root", 0755), 0);
        inner = openat(root, "root", O_RDONLY | O_DIRECTORY);
        maker_open();
        maker_add(first);
        if (second.name)
                maker_add(second);
        error = maker_apply(inner, true);
        unit_assert(error);
        unit_assert_string(error, ERROR_BAD_ARCHIVE);
        unit_assert(!exists(root, "evil"));
        close(inner);
        place_close(root);
}

static void test_hostile(void)
{
        Item none = {0};

        check_hostile((Item){.name = "/evil", .mode = FILE_MODE, .text = "x"}, none);
        check_hostile((Item){.name = "../evil", .mode = FILE_MODE, .text = "x"}, none);
        check_hostile((Item){.name = "a", .mode = LINK_MODE, .text = ".."},
                      (Item){.name = "a/evil", .mode = FILE_MODE, .text = "x"});
        check_hostile((Item){.name = "a", .mode = LINK_MODE, .text = "b/../../"},
                      (Item){.name = "a/evil", .mode = FILE_MODE, .text = "x"});
        check_hostile((Item){.name = "a", .mode = LINK_MODE, .text = "a"},
                      (Item){.name = "a/evil", .mode = FILE_MODE, .text = "x"});
        check_hostile((Item){.name = "a", .mode = FILE_MODE, .text = "x"},
                      (Item){.name = "a/evil", .mode = FILE_MODE, .text = "x"});
        check_hostile((Item){.name = "h", .mode = FILE_MODE, .text = "../evil", .hardlink = true},
                      none);
        check_hostile((Item){.name = "h", .mode = FILE_MODE, .text = "/evil", .hardlink = true},
                      none);
        check_hostile((Item){.name = "h", .mode = FILE_MODE, .text = "nothing", .hardlink = true},
                      none);
        check_hostile((Item){.name = ".", .mode = FILE_MODE, .text = "x"}, none);
        check_hostile((Item){.name = "s", .mode = LINK_MODE, .text = "/"},
                      (Item){.name = "s/../evil", .mode = FILE_MODE, .text = "x"});
}

/* An absolute link stays inside, as it would in a container. */
static void test_absolute_link(void)
{
        int root = place_open(), inner;

        unit_assert_int(mkdirat(root, "root", 0755), 0);
        inner = openat(root, "root", O_RDONLY | O_DIRECTORY);
        maker_open();
        maker_add((Item){.name = "s", .mode = LINK_MODE, .text = "/tmp/deep"});
        maker_add((Item){.name = "s/file", .mode = FILE_MODE, .text = "x"});
        unit_assert(!maker_apply(inner, true));
        unit_assert(exists(inner, "tmp/deep/file"));
        close(inner);
        place_close(root);
}

static void test_cut_short(void)
{
        int root = place_open();
        sd_bus_error error = SD_BUS_ERROR_NULL;
        struct archive *reader = bundle_reader_new();
        LayerTotals totals = {0};
        char text[65536];

        for (size_t i = 0; i + 1 < sizeof(text); i++)
                text[i] = (char)('a' + (i * i * 31 + i / 7) % 23);
        text[sizeof(text) - 1] = 0;
        maker_open_as(false);
        maker_add((Item){.name = "a", .mode = FILE_MODE, .text = text});
        archive_write_free(maker.archive);
        unit_assert_int(archive_read_open_memory(reader, maker.bytes, maker.size / 2), ARCHIVE_OK);
        unit_assert(layer_apply(reader, root, true, &totals, &error) < 0);
        unit_assert_string(error.name, ERROR_BAD_ARCHIVE);
        sd_bus_error_free(&error);
        archive_read_free(reader);
        place_close(root);
}

static json_object *json(const char *text)
{
        json_object *object = oci_json_parse(text, strlen(text));

        unit_assert(object);
        return object;
}

static void test_docker_manifest(void)
{
        static const char one[] = "[{\"Config\":\"c.json\",\"RepoTags\":[\"a:1\"],"
                                  "\"Layers\":[\"l1/layer.tar\",\"l2/layer.tar\"]}]";
        sd_bus_error error = SD_BUS_ERROR_NULL;
        json_object *manifests = json(one);
        OciImage image;

        unit_assert_int(oci_image_from_docker(manifests, NULL, &image, &error), 0);
        unit_assert_string(image.config, "c.json");
        unit_assert_string(image.layers[1], "l2/layer.tar");
        unit_assert(!image.layers[2]);
        oci_image_done(&image);
        unit_assert_int(oci_image_from_docker(manifests, "a:1", &image, &error), 0);
        oci_image_done(&image);
        unit_assert(oci_image_from_docker(manifests, "b:1", &image, &error) < 0);
        sd_bus_error_free(&error);
        json_object_put(manifests);
        manifests = json("[{\"Layers\":[1]}]");
        unit_assert(oci_image_from_docker(manifests, NULL, &image, &error) < 0);
        sd_bus_error_free(&error);
        json_object_put(manifests);
}

#define DIGEST "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void test_oci_index(void)
{
        json_object *index = json(
                "{\"manifests\":[{\"digest\":\"sha256:" DIGEST "\",\"mediaType\":"
                "\"application/vnd.oci.image.manifest.v1+json\",\"annotations\":"
                "{\"org.opencontainers.image.ref.name\":\"latest\"},"
                "\"platform\":{\"os\":\"linux\",\"architecture\":\"amd64\"}},"
                "{\"digest\":\"sha256:../../evil\",\"platform\":{\"architecture\":\"arm64\"}}]}");
        sd_bus_error error = SD_BUS_ERROR_NULL;
        bool is_index;
        char *name;

        unit_assert_int(oci_index_select(index, "latest", "amd64", &name, &is_index, &error), 0);
        unit_assert_string(name, "blobs/sha256/" DIGEST);
        unit_assert(!is_index);
        free(name);
        unit_assert(oci_index_select(index, NULL, "arm64", &name, &is_index, &error) < 0);
        unit_assert_string(error.name, ERROR_BAD_ARCHIVE);
        sd_bus_error_free(&error);
        unit_assert(oci_index_select(index, "other", "amd64", &name, &is_index, &error) < 0);
        sd_bus_error_free(&error);
        json_object_put(index);
}

static void test_config(void)
{
        json_object *config = json("{\"architecture\":\"amd64\",\"config\":{\"Cmd\":[\"sh\",1],"
                                   "\"Env\":[\"A=b\"],\"StopSignal\":\"SIGQUIT\",\"User\":7,"
                                   "\"WorkingDir\":\"/srv\",\"Labels\":{\"k\":\"v\"},"
                                   "\"ExposedPorts\":{\"80/tcp\":{},\"9:9\":{},\"5/sctp\":{},"
                                   "\"53/udp\":{}},"
                                   "\"Volumes\":{\"/data//\":{},\"/\":1}}}");
        json_object *ours = oci_config_translate(config);

        unit_assert_string(json_object_to_json_string_ext(
                                   ours, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE),
                           "{\"Command\":[\"sh\"],\"Environment\":[\"A=b\"],"
                           "\"WorkingDirectory\":\"/srv\",\"Architecture\":\"amd64\","
                           "\"Labels\":{\"k\":\"v\"},"
                           "\"ExposedPorts\":[\"80/tcp\",\"53/udp\"],"
                           "\"Volumes\":[\"/data\",\"/\"],"
                           "\"StopSignal\":3}");
        json_object_put(ours);
        json_object_put(config);
        unit_assert(!oci_json_parse("{", 1));
        unit_assert(!oci_json_parse("", 0));
}

UNIT_MAIN(UNIT_TEST(test_names), UNIT_TEST(test_plain), UNIT_TEST(test_root_only),
          UNIT_TEST(test_layers), UNIT_TEST(test_hostile), UNIT_TEST(test_absolute_link),
          UNIT_TEST(test_cut_short), UNIT_TEST(test_docker_manifest), UNIT_TEST(test_oci_index),
          UNIT_TEST(test_config))
