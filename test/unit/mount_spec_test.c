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

static void refusals(void)
{
        static const char *const volumes[] = {
                "",       "/a",      ":/b",          "/a:",         "/a:b",       "v:./b",
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

UNIT_MAIN(UNIT_TEST(short_form), UNIT_TEST(long_form), UNIT_TEST(refusals))
