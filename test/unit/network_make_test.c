/*
 * Networks that uvmd describes: which subnets and names it chooses, and what it refuses. In a network namespace of the
 * test's own; whoever can't make one has nothing to test here.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "test/scratch.h"
#include "test/unit.h"
#include "uvmd/json.h"
#include "uvmd/jsonfile.h"
#include "uvmd/net/network_make.h"
#include "uvmd/strv.h"

static char directory[32], networks[64], foreign[64];
static CniPaths paths;

static void write_list(const char *path, const char *text)
{
        _cleanup_(json_putp) json_object *json = NULL;

        unit_assert_int(jsonfile_parse(text, strlen(text), &json), 0);
        unit_assert_int(jsonfile_write(path, json, false), 0);
}

static void set_up(void)
{
        char path[128];

        strcpy(directory, "/tmp/uvm-make-XXXXXX");
        unit_assert(mkdtemp(directory));
        snprintf(networks, sizeof(networks), "%s/etc/networks", directory);
        snprintf(foreign, sizeof(foreign), "%s/net.d", directory);
        unit_assert(mkdir(foreign, 0755) == 0);
        snprintf(path, sizeof(path), "%s/podman.conflist", foreign);
        write_list(
                path,
                "{\"name\": \"podman\", \"plugins\": [{\"type\": \"bridge\", \"bridge\": \"uvm1\","
                "\"ipam\": {\"type\": \"host-local\", \"subnet\": \"10.106.0.0/23\"}}]}");
        paths = (CniPaths){
                .plugins = "/none",
                .networks = networks,
                .foreign = foreign,
                .run_dir = directory,
        };
}

static void tear_down(void)
{
        scratch_remove(AT_FDCWD, directory);
}

static int make(const char *name, NetworkDefinition *definition)
{
        int r = network_make(definition, &paths, name, NULL);

        network_definition_done(definition);
        return r;
}

/* The text of the member at the end of the way: of the first plugin, or of its first range. */
static void expect(const char *name, const char *bridge, const char *subnet)
{
        _cleanup_(json_putp) json_object *list = NULL;
        json_object *plugin, *ipam, *set;
        char path[128];

        snprintf(path, sizeof(path), "%s/%s.conflist", networks, name);
        unit_assert_int(jsonfile_read(path, &list), 0);
        plugin = jsonfile_get_item(list, "plugins", 0);
        unit_assert_string(jsonfile_get_string(plugin, "bridge"), bridge);
        unit_assert(json_object_object_get_ex(plugin, "ipam", &ipam));
        set = jsonfile_get_item(ipam, "ranges", 0);
        unit_assert_string(jsonfile_get_string(json_object_array_get_idx(set, 0), "subnet"),
                           subnet);
}

/* What others have described is nobody's to take. */
static void choices(void)
{
        NetworkDefinition first = {}, second = {};

        set_up();
        unit_assert_int(make("first", &first), 0);
        expect("first", "uvm2", "10.106.2.0/24");
        unit_assert_int(make("second", &second), 0);
        expect("second", "uvm3", "10.106.3.0/24");
        unit_assert_int(network_unmake(&paths, "first", NULL), 0);
        unit_assert_int(make("third", &first), 0);
        expect("third", "uvm2", "10.106.2.0/24");
        tear_down();
}

static void refusals(void)
{
        NetworkDefinition nothing = {}, taken = {.subnets = strv_new()};
        char path[128];

        set_up();
        unit_assert_int(strv_append(&taken.subnets, "10.106.1.128/25"), 0);
        unit_assert_int(make("taken", &taken), -EADDRINUSE);
        unit_assert_int(make("one", &nothing), 0);
        unit_assert_int(make("one", &nothing), -EEXIST);
        unit_assert_int(make("none", &nothing), -EINVAL);
        unit_assert_int(network_unmake(&paths, "podman", NULL), -ENOENT);
        snprintf(path, sizeof(path), "%s/own.conf", networks);
        write_list(path, "{\"name\": \"own\", \"type\": \"ptp\"}");
        unit_assert_int(network_unmake(&paths, "own", NULL), -EPERM);
        unit_assert(access(path, F_OK) == 0);
        tear_down();
}

static const UnitTest tests[] = {UNIT_TEST(choices), UNIT_TEST(refusals)};

int main(void)
{
        /* What this machine has must not decide which subnet is free. */
        if (unshare(CLONE_NEWNET) < 0) {
                puts("1..0 # SKIP can't make a network namespace");
                return 0;
        }
        return unit_run(tests, ELEMENTSOF(tests));
}
