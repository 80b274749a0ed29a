/* Devices that come and go; see plug.h. */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"

#include "agent/plug.h"
#include "agent/shares.h"
#include "agent/textfile.h"
#include "agent/worker.h"

#define DRIVER  "/sys/bus/platform/drivers/virtio-mmio/"
#define DEVICES "/sys/bus/platform/devices/"

typedef struct Plug {
        Guest *guest;
        uint32_t request;
        uint32_t slot;
        bool bind;
} Plug;

/* The name of the first entry of @directory/@path that starts with @prefix. 0 or -errno. */
static int find_entry(int directory, const char *path, const char *prefix, char *ret, size_t size)
{
        int fd = openat(directory, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *stream = fd < 0 ? NULL : fdopendir(fd);
        struct dirent *entry;
        int r = -ENOENT;

        if (!stream) {
                fd_close(fd);
                return -ENOENT;
        }
        while (r < 0 && (entry = readdir(stream)))
                if (strncmp(entry->d_name, prefix, strlen(prefix)) == 0 && *entry->d_name != '.' &&
                    snprintf(ret, size, "%s", entry->d_name) < (int)size)
                        r = 0;
        closedir(stream);
        return r;
}

/* What the device is to those who mount it, from its attributes; false: nothing that is mounted. */
static bool is_mountable(int device, AgentMount *ret, Text *text)
{
        char block[NAME_MAX + 1], path[NAME_MAX + 32];

        if (text_read(device, "mount_tag", text) == 0) {
                *ret = (AgentMount){.type = AGENT_MOUNT_9P, .source = text->data};
                return *text->data;
        }
        if (find_entry(device, "block", "", block, sizeof(block)) < 0)
                return false;
        snprintf(path, sizeof(path), "block/%s/serial", block);
        if (text_read(device, path, text) < 0)
                return false;
        *ret = (AgentMount){.type = AGENT_MOUNT_BLOCK, .source = text->data};
        return *text->data;
}

static int check_free(const char *slot)
{
        _cleanup_(fd_closep) int platform = FD_NONE, device = FD_NONE;
        _cleanup_(text_done) Text text = {};
        char path[sizeof(DEVICES) + 32], name[NAME_MAX + 1];
        AgentMount mount;

        snprintf(path, sizeof(path), DEVICES "%s", slot);
        platform = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (platform < 0 || find_entry(platform, ".", "virtio", name, sizeof(name)) < 0)
                return 0; /* the driver will say what is wrong */
        device = openat(platform, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
        return device >= 0 && is_mountable(device, &mount, &text) ? shares_check_free(&mount) : 0;
}

/* Nothing to unbind: an earlier request has done it, and the host has not heard. */
static bool is_unbound(const char *slot)
{
        char path[sizeof(DEVICES) + 64];

        snprintf(path, sizeof(path), DEVICES "%s", slot);
        if (access(path, F_OK) < 0)
                return false;
        snprintf(path, sizeof(path), DEVICES "%s/driver", slot);
        return access(path, F_OK) < 0 && errno == ENOENT;
}

static int plug_run(void *argument, int output)
{
        const Plug *plug = argument;
        char name[32];
        int n = snprintf(name, sizeof(name), "virtio-mmio.%u", plug->slot), r = 0;

        if (!plug->bind) {
                if (is_unbound(name))
                        return 0;
                r = check_free(name);
        }
        if (r < 0)
                return r;
        return text_write(AT_FDCWD, plug->bind ? DRIVER "bind" : DRIVER "unbind", name, (size_t)n);
}

static void plug_done(void *context, int r, int output)
{
        Plug *plug = context;

        if (r < 0)
                guest_reply_error(plug->guest, plug->request, r, "cannot %s virtio-mmio slot %u",
                                  plug->bind ? "plug" : "unplug", plug->slot);
        else
                guest_reply(plug->guest, plug->request, NULL);
        free(plug);
}

void plug_slot(Guest *guest, uint32_t request, uint32_t slot, bool bind)
{
        Plug *plug = malloc(sizeof(*plug));
        int r = -ENOMEM;

        if (plug) {
                *plug = (Plug){.guest = guest, .request = request, .slot = slot, .bind = bind};
                r = worker_start(guest->loop, plug_run, plug, plug_done, plug);
        }
        if (r < 0) {
                guest_reply_error(guest, request, r, "virtio-mmio slot %u", slot);
                free(plug);
        }
}
