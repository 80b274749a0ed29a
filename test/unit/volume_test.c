/* Named volumes: whose they are, what is on disk, and who may have one with which cache mode. */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "test/unit.h"
#include "uvmd/strv.h"
#include "uvmd/volume.h"

static char directory[] = "/tmp/uvm-volume-XXXXXX";
static Manager manager;

static void makes_and_finds(void)
{
        static char key[] = "k", value[] = "v";
        char *labels[] = {key, value, NULL};
        struct stat st;
        Volume *volume;
        int fd;

        unit_assert(mkdtemp(directory));
        manager.paths.state_dir = directory;
        unit_assert_int(volumes_load(&manager), 0);
        unit_assert_int(volume_new(&volume, &manager, 1000, "data", labels, NULL), 0);
        unit_assert_int(volume_new(&volume, &manager, 0, "data", NULL, NULL), 0);
        unit_assert_int(volume_new(&volume, &manager, 1000, "../data", NULL, NULL), -EINVAL);
        unit_assert_int(volume_new(&volume, &manager, 1000, "", NULL, NULL), -EINVAL);
        unit_assert(volume_find(&manager, 1000, "data") == volume_find(&manager, 0, "1000/data"));
        unit_assert(volume_find(&manager, 0, "data") != volume_find(&manager, 0, "1000/data"));
        unit_assert(!volume_find(&manager, 1001, "data"));
        unit_assert(!volume_find(&manager, 1001, "1000/data"));
        unit_assert(!volume_find(&manager, 1000, "0/data"));
        unit_assert_int(volume_open(volume_find(&manager, 1000, "data"), &fd), 0);
        unit_assert_int(fstat(fd, &st), 0);
        unit_assert_int(st.st_mode & 07777, 0755);
        fd_close(fd);
}

static char anonymous[NAME_SIZE_MAX + 1];

static void makes_anonymous(void)
{
        Volume *first, *second;

        unit_assert_int(volume_new(&first, &manager, 0, NULL, NULL, NULL), 0);
        unit_assert_int(volume_new(&second, &manager, 0, NULL, NULL, NULL), 0);
        unit_assert(first->anonymous && strcmp(first->name, second->name) != 0);
        unit_assert(!volume_find(&manager, 0, "data")->anonymous);
        snprintf(anonymous, sizeof(anonymous), "%s", first->name);
}

static void loads_again(void)
{
        Volume *volume;
        uint64_t created = volume_find(&manager, 1000, "data")->created;

        volumes_free(&manager);
        unit_assert(!manager.volumes);
        unit_assert_int(volumes_load(&manager), 0);
        volume = volume_find(&manager, 1000, "data");
        unit_assert(volume);
        unit_assert_int(volume->created, created);
        unit_assert_string(strv_map_get(volume->labels, "k"), "v");
        unit_assert(volume_find(&manager, 0, "data"));
        volume = volume_find(&manager, 0, anonymous);
        unit_assert(volume && volume->anonymous);
}

static void one_has_it_loosely(void)
{
        Volume *volume = volume_find(&manager, 1000, "data");
        AgentCache first, second;

        unit_assert_int(volume_hold(volume, NULL, &first, NULL), 0);
        unit_assert_int(first, AGENT_CACHE_LOOSE);
        unit_assert_int(volume_hold(volume, NULL, &second, NULL), -EBUSY);
        unit_assert_int(volume_hold(volume, "none", &second, NULL), -EBUSY);
        volume_release(volume, first);
        unit_assert_int(volume_hold(volume, "mmap", &first, NULL), 0);
        unit_assert_int(volume_hold(volume, "loose", &second, NULL), -EBUSY);
        unit_assert_int(volume_hold(volume, NULL, &second, NULL), 0);
        unit_assert_int(second, AGENT_CACHE_MMAP);
        volume_release(volume, second);
        volume_release(volume, first);
        unit_assert_int(volume_hold(volume, NULL, &first, NULL), 0);
        unit_assert_int(first, AGENT_CACHE_LOOSE);
        /* One that gets no device of its own shares it after all; behind it nobody has it. */
        volume_hold_otherwise(volume, first, AGENT_CACHE_MMAP);
        unit_assert_int(volume_hold(volume, NULL, &second, NULL), 0);
        unit_assert_int(second, AGENT_CACHE_MMAP);
        volume_release(volume, second);
        volume_release(volume, AGENT_CACHE_MMAP);
        unit_assert_int(volume_hold(volume, NULL, &first, NULL), 0);
        unit_assert_int(first, AGENT_CACHE_LOOSE);
        volume_release(volume, first);
}

static void ends(void)
{
        char command[64];

        volumes_free(&manager);
        snprintf(command, sizeof(command), "rm -rf %s", directory);
        unit_assert_int(system(command), 0);
}

UNIT_MAIN(UNIT_TEST(makes_and_finds), UNIT_TEST(makes_anonymous), UNIT_TEST(loads_again),
          UNIT_TEST(one_has_it_loosely), UNIT_TEST(ends))
