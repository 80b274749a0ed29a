/* Disks; see disk.h. */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/error.h"

#include "agent/disk.h"
#include "agent/textfile.h"

static const char *list = "/sys/block";

void disk_set_directory(const char *directory)
{
        list = directory;
}

/* Only virtio-blk has this file; the value may end in blanks or a newline. */
static int read_serial(int directory, const char *name, Text *ret)
{
        char path[NAME_MAX + sizeof("/serial")];
        int r;

        snprintf(path, sizeof(path), "%s/serial", name);
        r = text_read(directory, path, ret);
        if (r < 0)
                return r;
        while (ret->size > 0 && strchr(" \n", ret->data[ret->size - 1]))
                ret->data[--ret->size] = '\0';
        return 0;
}

static bool has_serial(int directory, const char *name, const char *serial)
{
        _cleanup_(text_done) Text text = {};

        return read_serial(directory, name, &text) == 0 && strcmp(text.data, serial) == 0;
}

int disk_find(const char *serial, char path[DISK_PATH_SIZE])
{
        DIR *directory = opendir(list);
        struct dirent *entry;
        int r = -ENODEV;

        if (!directory)
                return errno_neg();
        while (r < 0 && *serial && (entry = readdir(directory)))
                if (strlen(entry->d_name) < DISK_PATH_SIZE - sizeof("/dev/") &&
                    has_serial(dirfd(directory), entry->d_name, serial)) {
                        snprintf(path, DISK_PATH_SIZE, "/dev/%.*s", DISK_PATH_SIZE - 6,
                                 entry->d_name);
                        r = 0;
                }
        closedir(directory);
        return r;
}

static int node_number(const char *path, dev_t *ret)
{
        struct stat status;

        if (stat(path, &status) < 0)
                return errno_neg();
        if (!S_ISBLK(status.st_mode))
                return -ENOTBLK;
        *ret = status.st_rdev;
        return 0;
}

int disk_number(const char *serial, dev_t *ret)
{
        char path[DISK_PATH_SIZE];
        int r = disk_find(serial, path);

        return r < 0 ? r : node_number(path, ret);
}

static bool describe(int directory, const char *name, Disk *ret)
{
        _cleanup_(text_done) Text text = {};
        char path[sizeof("/dev/") + NAME_MAX];

        if (*name == '.' || read_serial(directory, name, &text) < 0 || text.size == 0 ||
            text.size >= sizeof(ret->serial))
                return false;
        memcpy(ret->serial, text.data, text.size + 1);
        snprintf(path, sizeof(path), "/dev/%s", name);
        return node_number(path, &ret->number) == 0;
}

int disk_list(Disk *ret, size_t max, size_t *ret_n)
{
        DIR *directory = opendir(list);
        struct dirent *entry;
        size_t n = 0;

        if (!directory)
                return errno_neg();
        while (n < max && (entry = readdir(directory)))
                if (describe(dirfd(directory), entry->d_name, &ret[n]))
                        n++;
        closedir(directory);
        *ret_n = n;
        return 0;
}
