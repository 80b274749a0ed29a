/*
 * AttachVolume's arguments; see mount.h. The caller opens what the caller names: uvmd opens no path of
 * a first attachment.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "client/late.h"
#include "uvmctl/mount.h"

/* An fd, or FD_NONE after saying why. A disk is opened as it is to be used. */
static int open_source(const MountSpec *spec, const char *path)
{
        bool block = strcmp(spec->type, "block") == 0;
        int flags = !block ? O_PATH : spec->read_only ? O_RDONLY : O_RDWR;
        int fd = open(path, flags | O_CLOEXEC | O_NOCTTY);

        if (fd < 0)
                client_warn("cannot open %s: %s", path, strerror(errno));
        return fd;
}

static int append_text(sd_bus_message *message, const char *key, const char *value)
{
        return value ? sd_bus_message_append(message, "{sv}", key, "s", value) : 0;
}

static int append_flag(sd_bus_message *message, const char *key, bool value)
{
        return value ? sd_bus_message_append(message, "{sv}", key, "b", 1) : 0;
}

static int append_number(sd_bus_message *message, const char *key, uint64_t value)
{
        return value ? sd_bus_message_append(message, "{sv}", key, "t", value) : 0;
}

static int append_limits(sd_bus_message *message, const MountSpec *spec)
{
        const struct {
                const char *key;
                uint64_t value;
        } numbers[] = {
                {"BytesPerSecond", spec->bytes},
                {"BytesBurst", spec->bytes_burst},
                {"OperationsPerSecond", spec->ops},
                {"OperationsBurst", spec->ops_burst},
        };
        int r = 0;

        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(numbers); i++)
                r = append_number(message, numbers[i].key, numbers[i].value);
        return r;
}

static int append_common(sd_bus_message *message, const MountSpec *spec)
{
        const struct {
                const char *key, *value;
        } texts[] = {
                {"Type", spec->type},       {"Target", spec->target},
                {"Cache", spec->cache},     {"FileSystem", spec->file_system},
                {"Options", spec->options}, {"Serial", spec->serial},
        };
        const struct {
                const char *key;
                bool value;
        } flags[] = {
                {"ReadOnly", spec->read_only}, {"NoSuid", spec->nosuid}, {"NoDev", spec->nodev},
                {"NoExec", spec->noexec},      {"NoCopy", spec->nocopy},
        };
        int r = 0;

        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(texts); i++)
                r = append_text(message, texts[i].key, texts[i].value);
        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(flags); i++)
                r = append_flag(message, flags[i].key, flags[i].value);
        return r < 0 ? r : append_limits(message, spec);
}

static int warn_source(const MountSpec *spec, int r)
{
        const char *hint = "";

        if (strcmp(spec->type, "block") == 0) {
                client_warn("cannot open the disk %s: %s", spec->source, strerror(-r));
                return r;
        }
        if (r == -ENOENT)
                hint = "; make it first, or name a volume (without \"/\")";
        client_warn("cannot mount %s: %s%s", spec->source, strerror(-r), hint);
        return r;
}

static int append_source(sd_bus_message *message, const MountSpec *spec)
{
        _cleanup_(fd_closep) int fd = FD_NONE;
        _cleanup_(freep) char *path = NULL;
        int r;

        if (!spec->source)
                return 0;
        if (strcmp(spec->type, "volume") == 0)
                return append_text(message, "Volume", spec->source);
        path = realpath(spec->source, NULL);
        if (!path) {
                r = -errno;
                return warn_source(spec, r);
        }
        fd = open_source(spec, path);
        if (fd < 0)
                return -EBADF;
        r = append_text(message, "SourcePath", path);
        return r < 0 ? r : sd_bus_message_append(message, "{sv}", "Source", "h", fd);
}

int mount_attach(sd_bus *bus, const char *path, const MountSpec *spec)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL;
        _cleanup_(freep) char *what = NULL;
        int r = client_message_new(bus, path, CLIENT_CONTAINER, "AttachVolume", &message);

        if (r)
                return r;
        r = sd_bus_message_open_container(message, 'a', "{sv}");
        if (r >= 0)
                r = append_common(message, spec);
        if (r >= 0)
                r = append_source(message, spec);
        if (r >= 0)
                r = sd_bus_message_close_container(message);
        if (r < 0)
                return CLIENT_EXIT_FAILED;
        if (asprintf(&what, "Attaching %s …", spec->target) < 0)
                what = NULL;
        return client_send_late(bus, message, what, NULL);
}

int mount_throttle(sd_bus *bus, const char *path, const MountSpec *spec)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL;
        int r = client_message_new(bus, path, CLIENT_CONTAINER, "SetThrottle", &message);

        if (r)
                return r;
        r = sd_bus_message_append(message, "s", spec->target);
        if (r >= 0)
                r = sd_bus_message_open_container(message, 'a', "{sv}");
        if (r >= 0)
                r = append_limits(message, spec);
        if (r >= 0)
                r = sd_bus_message_close_container(message);
        if (r < 0)
                return client_fail_errno(r, "cannot make the call");
        return client_send_late(bus, message, NULL, NULL);
}
