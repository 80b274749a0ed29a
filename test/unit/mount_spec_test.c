/* The notations of mounts that podman's and docker's users know. */
#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "client/mount_spec.h"
#include "test/unit.h"

static MountSpec volume(const char *text)
{
        _cleanup_(freep) char *error = NULL;
        MountSpec spec;

        if (mount_spec_parse_volume(&spec, text, &error) < 0)
                unit_fail("\"%s\" is refused: %s", text, error);
        return spec;
}

static MountSpec mount(const char *text)
{
        _cleanup_(freep) char *error = NULL;
        MountSpec spec;

        if (mount_spec_parse_mount(&spec, text, &error) < 0)
                unit_fail("\"%s\" is refused: %s", text, error);
        return spec;
}

static void short_form(void)
{
        MountSpec spec = volume("/srv/data:/data");

        unit_assert_string(spec.type, "bind");
        unit_assert_string(spec.source, "/srv/data");
        unit_assert_string(spec.target, "/data");
        unit_assert(!spec.read_only && !spec.cache);
        mount_spec_done(&spec);
        spec = volume("./x:/y:ro,noexec,cache=loose,bps=10m,iops=5");
        unit_assert_string(spec.type, "bind");
        unit_assert_string(spec.source, "./x");
        unit_assert(spec.read_only && spec.noexec && !spec.nosuid);
        unit_assert_string(spec.cache, "loose");
        unit_assert_int(spec.bytes, 10 << 20);
        unit_assert_int(spec.ops, 5);
        mount_spec_done(&spec);
        spec = volume("cache:/var/cache:rw,nocopy");
        unit_assert_string(spec.type, "volume");
        unit_assert_string(spec.source, "cache");
        unit_assert(!spec.read_only && spec.nocopy);
        mount_spec_done(&spec);
        spec = volume("/var/cache");
        unit_assert_string(spec.type, "volume");
        unit_assert(!spec.source);
        unit_assert_string(spec.target, "/var/cache");
        mount_spec_done(&spec);
}

static void long_form(void)
{
        MountSpec spec = mount("type=bind,src=/a,dst=/b,readonly,nosuid=yes");

        unit_assert_string(spec.type, "bind");
        unit_assert_string(spec.source, "/a");
        unit_assert_string(spec.target, "/b");
        unit_assert(spec.read_only && spec.nosuid);
        mount_spec_done(&spec);
        spec = mount("source=v,target=/v,ro=false");
        unit_assert_string(spec.type, "volume");
        unit_assert(!spec.read_only);
        mount_spec_done(&spec);
        spec = mount("type=volume,target=/v");
        unit_assert(!spec.source);
        mount_spec_done(&spec);
        spec = mount("type=tmpfs,destination=/t,tmpfs-size=64m,tmpfs-mode=1777");
        unit_assert_string(spec.type, "tmpfs");
        unit_assert_string(spec.options, "size=64m,mode=1777");
        mount_spec_done(&spec);
        spec = mount("type=block,source=/dev/vdb,target=/d,fs=ext4,options=noatime,serial=x");
        unit_assert_string(spec.file_system, "ext4");
        unit_assert_string(spec.options, "noatime");
        unit_assert_string(spec.serial, "x");
        mount_spec_done(&spec);
}

static void disks(void)
{
        static const struct {
                const char *text, *source, *target, *fs;
                bool read_only;
                uint64_t ops;
        } cases[] = {
                {"/dev/vdb", "/dev/vdb", "/dev/vdb", NULL, false, 0},
                {"data.img:ro", "data.img", "/dev/data.img", NULL, true, 0},
                {"/a/data.img:/data:ext4", "/a/data.img", "/data", "ext4", false, 0},
                {"/a:/data:ext4:ro", "/a", "/data", "ext4", true, 0},
                {"/a:/dev/x:ro,iops=9", "/a", "/dev/x", NULL, true, 9},
                {"/a:/data:ext4:iops=7", "/a", "/data", "ext4", false, 7},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(freep) char *error = NULL;
                MountSpec spec;

                if (mount_spec_parse_disk(&spec, cases[i].text, &error) != 0)
                        unit_fail("\"%s\": %s", cases[i].text, error);
                unit_assert_string(spec.type, "block");
                unit_assert_string(spec.source, cases[i].source);
                unit_assert_string(spec.target, cases[i].target);
                unit_assert(!spec.file_system == !cases[i].fs);
                if (cases[i].fs)
                        unit_assert_string(spec.file_system, cases[i].fs);
                unit_assert_int(spec.read_only, cases[i].read_only);
                unit_assert(spec.ops == cases[i].ops);
                mount_spec_done(&spec);
        }
}

static void throttles(void)
{
        static const char *const bad[] = {
                "", "/", ":bps=1", "/:", "/:bps", "/:ro", "/:cache=mmap", "x:bps=1", "/:odd=1"};
        MountSpec spec;
        char *error = NULL;

        unit_assert_int(mount_spec_parse_throttle(&spec, "/a:b:bps=10m,iops=100", &error), 0);
        unit_assert_string(spec.target, "/a:b");
        unit_assert(spec.bytes == 10 << 20 && spec.ops == 100 && spec.bytes_burst == 0);
        mount_spec_done(&spec);
        unit_assert_int(mount_spec_parse_throttle(&spec, "/:none", &error), 0);
        unit_assert(spec.bytes == 0 && spec.ops == 0);
        mount_spec_done(&spec);
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                _cleanup_(freep) char *text = NULL;

                if (mount_spec_parse_throttle(&spec, bad[i], &text) != -EINVAL || !text)
                        unit_fail("\"%s\" is taken", bad[i]);
                mount_spec_done(&spec);
        }
}

static void refuses_disks(void)
{
        static const char *const bad[] = {
                "",         ":/x",     "/a:", "/a:b", "/a:/b:ext4:odd", "/a:/b::", "/a:/b:ext4:ro:",
                "/a:/b:/c", "/a:ro:/b"};

        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                _cleanup_(freep) char *error = NULL;
                MountSpec spec;

                if (mount_spec_parse_disk(&spec, bad[i], &error) != -EINVAL || !error)
                        unit_fail("\"%s\" is taken", bad[i]);
                mount_spec_done(&spec);
        }
}

static void refusals(void)
{
        static const char *const volumes[] = {
                "",       "a",       ":/b",          "/a:",         "/a:b",       "v:./b",
                "/a:/b:", "/a:/b:x", "/a:/b:cache=", "/a:/b:bps=x", "/a:/b:ro=x", "/a:/b:target=/c",
        };
        static const char *const mounts[] = {
                "",
                "type=bind",
                "type=bind,source=/a",
                "type=bind,target=/b",
                "source=v,target=b",
                "type=tmpfs,source=/a,target=/b",
                "type=bind,source=/a,target=/b,odd",
                "type=bind,source=/a,target=/b,iops=-1",
                "type=bind,source=/a,target=/b,",
        };
        MountSpec spec;

        for (size_t i = 0; i < ELEMENTSOF(volumes); i++) {
                _cleanup_(freep) char *error = NULL;

                if (mount_spec_parse_volume(&spec, volumes[i], &error) != -EINVAL || !error)
                        unit_fail("\"%s\" is taken", volumes[i]);
                mount_spec_done(&spec);
        }
        for (size_t i = 0; i < ELEMENTSOF(mounts); i++) {
                _cleanup_(freep) char *error = NULL;

                if (mount_spec_parse_mount(&spec, mounts[i], &error) != -EINVAL || !error)
                        unit_fail("\"%s\" is taken", mounts[i]);
                mount_spec_done(&spec);
        }
}

UNIT_MAIN(UNIT_TEST(short_form), UNIT_TEST(long_form), UNIT_TEST(disks), UNIT_TEST(throttles),
          UNIT_TEST(refuses_disks), UNIT_TEST(refusals))
