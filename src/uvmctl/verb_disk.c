/* uvmctl disk attach and detach: disks of containers that are there. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "client/late.h"
#include "client/objects.h"
#include "uvmctl/mount.h"
#include "uvmctl/verbs.h"

static int attach(int argc, char **argv)
{
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        _cleanup_(mount_spec_done) MountSpec spec = {};
        _cleanup_(freep) char *path = NULL, *error = NULL;
        int r;

        if (argc != 3)
                return verb_usage_error(&verb_disk_attach, "which container, and which disk?");
        r = mount_spec_parse_disk(&spec, argv[2], &error);
        if (r < 0)
                return verb_usage_error(&verb_disk_attach, "%s", error ? error : strerror(-r));
        r = client_bus_open(&bus);
        if (!r)
                r = objects_find_container_path(bus, argv[1], &path);
        if (!r)
                r = mount_attach(bus, path, &spec);
        if (!r)
                puts(spec.target);
        return r;
}

static int detach(int argc, char **argv)
{
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        _cleanup_(freep) char *path = NULL;
        int r;

        if (argc != 3)
                return verb_usage_error(&verb_disk_detach,
                                        "which container, and where is the disk in it?");
        r = client_bus_open(&bus);
        if (!r)
                r = objects_find_container_path(bus, argv[1], &path);
        if (!r)
                r = client_call_late_string(bus, path, CLIENT_CONTAINER, "DetachVolume", argv[2],
                                            "Detaching …");
        if (!r)
                puts(argv[2]);
        return r;
}

const Verb verb_disk_attach = {
        .name = "disk attach",
        .arguments = "CONTAINER PATH[:GUEST[:FS]][:ro]",
        .summary = "give a container a file or block device as a disk",
        .help = "PATH is mounted at GUEST if FS says what is on it, else GUEST is a device\n"
                "(/dev/NAME). Behind the last colon: ro, bps=SIZE, iops=N and other limits.\n",
        .run = attach,
};

const Verb verb_disk_detach = {
        .name = "disk detach",
        .arguments = "CONTAINER GUEST",
        .summary = "take a disk away from a container",
        .run = detach,
};
