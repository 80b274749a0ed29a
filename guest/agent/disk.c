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
static bool has_serial(int directory, const char *name, const char *serial)
{
        _cleanup_(text_done) Text text = {};
        char path[NAME_MAX + sizeof("/serial")];

        snprintf(path, sizeof(path), "%s/serial", name);
        if (text_read(directory, path, &text) < 0)
                return false;
        while (text.size > 0 && strchr(" \n", text.data[text.size - 1]))
                text.data[--text.size] = '\0';
        return strcmp(text.data, serial) == 0;
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

int disk_number(const char *serial, dev_t *ret)
{
        char path[DISK_PATH_SIZE];
        struct stat status;
        int r = disk_find(serial, path);

        if (r < 0)
                return r;
        if (stat(path, &status) < 0)
                return errno_neg();
        if (!S_ISBLK(status.st_mode))
                return -ENOTBLK;
        *ret = status.st_rdev;
        return 0;
}
