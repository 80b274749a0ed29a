/* The ledger of what networks are owed; see ledger.h. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "uvmd/jsonfile.h"
#include "uvmd/net/ledger.h"

#define LEDGER_SUFFIX   ".json"
#define LEDGER_INSTANCE "Instance"

static int ledger_path(const Ledger *ledger, const char *suffix, char **ret)
{
        return asprintf(ret, "%s%s", ledger->path, suffix) < 0 ? -ENOMEM : 0;
}

/*
 * The lock file of one that was cleared meanwhile is nobody's: then there is another one, or none.
 * Not CLOEXEC: a program that outlives its worker goes on holding it.
 */
static int ledger_lock(Ledger *ledger)
{
        _cleanup_(freep) char *path = NULL;
        int r = ledger_path(ledger, ".lock", &path);

        while (r >= 0) {
                struct stat ours, there;
                int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0600);

                if (fd < 0)
                        return errno_neg();
                if (flock(fd, LOCK_EX) < 0 || fstat(fd, &ours) < 0) {
                        r = errno_neg();
                        fd_close(fd);
                        return r;
                }
                if (stat(path, &there) >= 0 && there.st_ino == ours.st_ino) {
                        ledger->lock = fd;
                        return 0;
                }
                fd_close(fd);
        }
        return r;
}

/* Nobody can make anything of it, and it must not be in the way for ever. */
static int ledger_put_aside(Ledger *ledger, const char *path)
{
        _cleanup_(freep) char *aside = NULL;
        int r = ledger_path(ledger, ".bad", &aside);

        json_object_put(TAKE_PTR(ledger->entry));
        if (r < 0)
                return r;
        log_error("%s makes no sense; it is %s from now on, and what it stood for may be left",
                  path, aside);
        return rename(path, aside) < 0 ? errno_neg() : 0;
}

static int ledger_read(Ledger *ledger)
{
        _cleanup_(freep) char *path = NULL;
        int r = ledger_path(ledger, LEDGER_SUFFIX, &path);

        if (r >= 0)
                r = jsonfile_read(path, &ledger->entry);
        if (r >= 0 && !json_object_is_type(ledger->entry, json_type_object))
                r = -EBADMSG;
        if (r == -EBADMSG)
                r = ledger_put_aside(ledger, path);
        return r == -ENOENT ? 0 : r;
}

int ledger_open(Ledger *ledger, const char *state_dir, const char *instance, const char *id,
                const char *interface)
{
        _cleanup_(freep) char *directory = NULL;
        int r = -ENOMEM;

        *ledger = (Ledger){.lock = FD_NONE, .instance = instance};
        snprintf(ledger->id, sizeof(ledger->id), "%s", id);
        snprintf(ledger->interface, sizeof(ledger->interface), "%s", interface);
        if (asprintf(&directory, "%s/networks", state_dir) >= 0 &&
            asprintf(&ledger->path, "%s/%s.%s", directory, id, interface) >= 0)
                r = mkdir(directory, 0700) < 0 && errno != EEXIST ? errno_neg() : 0;
        if (r >= 0)
                r = ledger_lock(ledger);
        if (r >= 0)
                r = ledger_read(ledger);
        return r;
}

void ledger_close(Ledger *ledger)
{
        json_object_put(ledger->entry);
        free(ledger->path);
        fd_close(ledger->lock);
        *ledger = (Ledger){.lock = FD_NONE};
}

int ledger_lock_host(const Ledger *ledger)
{
        _cleanup_(freep) char *directory = strndup(
                ledger->path, (size_t)(strrchr(ledger->path, '/') - ledger->path));
        int fd, r;

        if (!directory)
                return -ENOMEM;
        fd = open(directory, O_RDONLY | O_DIRECTORY);
        if (fd < 0)
                return errno_neg();
        if (flock(fd, LOCK_EX) == 0)
                return fd;
        r = errno_neg();
        fd_close(fd);
        return r;
}

bool ledger_is_own(const Ledger *ledger)
{
        json_object *instance;

        return json_object_object_get_ex(ledger->entry, LEDGER_INSTANCE, &instance) &&
               strcmp(json_object_get_string(instance) ?: "", ledger->instance) == 0;
}

int ledger_write(Ledger *ledger, json_object *entry)
{
        _cleanup_(freep) char *path = NULL;
        int r = ledger_path(ledger, LEDGER_SUFFIX, &path);

        if (entry != ledger->entry)
                json_object_put(ledger->entry);
        ledger->entry = entry;
        json_object_object_add(entry, LEDGER_INSTANCE, json_object_new_string(ledger->instance));
        return r < 0 ? r : jsonfile_write(path, entry, true);
}

int ledger_update(Ledger *ledger, const char *key, json_object *value)
{
        json_object_object_add(ledger->entry, key, value);
        return ledger_write(ledger, ledger->entry);
}

int ledger_clear(Ledger *ledger)
{
        _cleanup_(freep) char *path = NULL, *lock = NULL;
        int r = ledger_path(ledger, LEDGER_SUFFIX, &path);

        if (r >= 0)
                r = ledger_path(ledger, ".lock", &lock);
        if (r < 0)
                return r;
        json_object_put(TAKE_PTR(ledger->entry));
        /* The lock goes last: it says that somebody is at it. */
        if ((unlink(path) < 0 && errno != ENOENT) || (unlink(lock) < 0 && errno != ENOENT))
                return errno_neg();
        return 0;
}

/* "ID.INTERFACE.json". */
static bool ledger_read_name(const char *name, char id[ID_SIZE + 1],
                             char interface[AGENT_NAME_MAX + 1])
{
        size_t size = strlen(name), suffix = strlen(LEDGER_SUFFIX), room;

        if (size <= ID_SIZE + 1 + suffix || name[ID_SIZE] != '.' ||
            strcmp(name + size - suffix, LEDGER_SUFFIX) != 0)
                return false;
        room = size - suffix - ID_SIZE - 1;
        if (room > AGENT_NAME_MAX)
                return false;
        memcpy(id, name, ID_SIZE);
        id[ID_SIZE] = 0;
        memcpy(interface, name + ID_SIZE + 1, room);
        interface[room] = 0;
        return id_is_valid(id) && agent_interface_name_is_valid(interface);
}

int ledger_each(const char *state_dir,
                int (*visit)(const char *id, const char *interface, void *userdata), void *userdata)
{
        _cleanup_(freep) char *path = NULL;
        struct dirent *entry;
        DIR *directory;
        int r = 0;

        if (asprintf(&path, "%s/networks", state_dir) < 0)
                return -ENOMEM;
        directory = opendir(path);
        if (!directory)
                return errno == ENOENT ? 0 : errno_neg();
        while (r >= 0 && (entry = readdir(directory))) {
                char id[ID_SIZE + 1], interface[AGENT_NAME_MAX + 1];

                if (ledger_read_name(entry->d_name, id, interface))
                        r = visit(id, interface, userdata);
        }
        closedir(directory);
        return r;
}
