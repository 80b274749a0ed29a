/* What AttachVolume takes and refuses beyond types and ranges. */
#include <errno.h>

#include "base/fd.h"
#include "test/unit.h"
#include "uvmd/mount_config.h"

static char bind[] = "bind", volume[] = "volume", tmpfs[] = "tmpfs", block[] = "block",
            path[] = "/p", name[] = "v", loose[] = "loose";

static void needs_and_takes(void)
{
        const struct {
                MountConfig config;
                bool taken;
        } cases[] = {
                {{.type = bind, .target = path, .source_path = path, .cache = loose}, true},
                {{.type = volume, .target = path, .volume = name, .nocopy = true}, true},
                {{.type = tmpfs, .target = path, .options = name}, true},
                {{.type = block, .target = path, .source_path = path, .serial = name}, true},
                {{.type = volume, .target = path, .volume = name, .bytes = 1}, true},
                {{.target = path}, false},
                {{.type = name, .target = path}, false},
                {{.type = tmpfs}, false},
                {{.type = bind, .target = path}, false},
                {{.type = volume, .target = path}, true},
                {{.type = volume, .target = path, .volume = name, .source_path = path}, false},
                {{.type = bind, .target = path, .source_path = path, .volume = name}, false},
                {{.type = bind, .target = path, .source_path = path, .nocopy = true}, false},
                {{.type = tmpfs, .target = path, .cache = loose}, false},
                {{.type = tmpfs, .target = path, .ops = 1}, false},
                {{.type = bind, .target = path, .source_path = path, .serial = name}, false},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                MountConfig config = cases[i].config;
                int r;

                config.source = FD_NONE;
                r = mount_config_check(&config, NULL);
                if (r != (cases[i].taken ? 0 : -EINVAL))
                        unit_fail("case %zu: %d", i, r);
        }
}

static void targets(void)
{
        static const struct {
                const char *target;
                bool valid;
        } cases[] = {
                {"/a", true},    {"/a/b.c/..d", true}, {"/", false},       {"", false},
                {"a", false},    {"/a/", false},       {"//a", false},     {"/a//b", false},
                {"/a/.", false}, {"/..", false},       {"/a/../b", false}, {"/...", true},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                MountConfig config = {
                        .type = tmpfs,
                        .target = (char *)cases[i].target,
                        .source = FD_NONE,
                };

                if ((mount_config_check(&config, NULL) == 0) != cases[i].valid)
                        unit_fail("\"%s\"", cases[i].target);
        }
}

UNIT_MAIN(UNIT_TEST(needs_and_takes), UNIT_TEST(targets))
