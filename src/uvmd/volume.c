/* Named volumes; see volume.h. The directories' parents are root's alone, so their names are ours. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/parse.h"
#include "uvmd/bus/hold.h"
#include "uvmd/errors.h"
#include "uvmd/events.h"
#include "uvmd/image/walk.h"
#include "uvmd/jsonfile.h"
#include "uvmd/options.h"
#include "uvmd/strv.h"
#include "uvmd/volume.h"

#define REMOVE_LIMIT_USEC (3600 * USEC_PER_SEC)

static const Option volume_options[] = {
        {.key = "Created", .type = OPTION_U64, .offset = offsetof(Volume, created)},
        {.key = "Labels", .type = OPTION_MAP, .offset = offsetof(Volume, labels)},
        {.key = "Anonymous", .type = OPTION_BOOL, .offset = offsetof(Volume, anonymous)},
};

static char *volume_path(const Manager *manager, const char *key, const char *suffix)
{
        char *path;
        int n = asprintf(&path, "%s/volumes%s%s%s", manager->paths.state_dir, key[0] ? "/" : "",
                         key, suffix);

        return n < 0 ? NULL : path;
}

static Volume *volume_free(Volume *volume)
{
        bus_answer_all(&volume->removals, -ECANCELED, NULL);
        if (volume->hh.tbl)
                HASH_DEL(volume->manager->volumes, volume);
        strv_free(volume->labels);
        free(volume->key);
        free(volume);
        return NULL;
}

static int volume_add(Volume **ret, Manager *manager, uint32_t owner, const char *name)
{
        Volume *volume = calloc(1, sizeof(*volume));

        if (!volume)
                return -ENOMEM;
        if (asprintf(&volume->key, "%u/%s", owner, name) < 0) {
                free(volume);
                return -ENOMEM;
        }
        volume->manager = manager;
        list_init(&volume->removals);
        volume->owner = owner;
        volume->name = strchr(volume->key, '/') + 1;
        HASH_ADD_KEYPTR(hh, manager->volumes, volume->key, strlen(volume->key), volume);
        *ret = volume;
        return 0;
}

Volume *volume_find(Manager *manager, uint32_t uid, const char *name)
{
        char key[32 + NAME_SIZE_MAX];
        Volume *volume;
        int n;

        if (!strchr(name, '/'))
                n = snprintf(key, sizeof(key), "%u/%s", uid, name);
        else
                n = snprintf(key, sizeof(key), "%s", name);
        if ((size_t)n >= sizeof(key))
                return NULL;
        HASH_FIND_STR(manager->volumes, key, volume);
        return volume && (uid == 0 || volume->owner == uid) ? volume : NULL;
}

/* ------------------------------------------------------------------ making */

static unsigned volume_count(const Manager *manager, uint32_t owner)
{
        unsigned n = 0;

        for (const Volume *volume = manager->volumes; volume; volume = volume->hh.next)
                n += volume->owner == owner;
        return n;
}

static int make_directory(const Manager *manager, const char *key, const char *suffix, mode_t mode)
{
        _cleanup_(freep) char *path = volume_path(manager, key, suffix);

        if (!path)
                return -ENOMEM;
        if (mkdir(path, mode) < 0 && errno != EEXIST)
                return errno_neg();
        /* The umask has its say otherwise; a volume's root is what a container's "/" is. */
        return chmod(path, mode) < 0 ? errno_neg() : 0;
}

static int volume_save(const Volume *volume)
{
        _cleanup_(freep) char *path = volume_path(volume->manager, volume->key, "/volume.json");
        json_object *json = options_to_json(volume_options, ELEMENTSOF(volume_options), volume);
        int r = path && json ? jsonfile_write(path, json, true) : -ENOMEM;

        json_object_put(json);
        return r;
}

static int volume_make(const Volume *volume)
{
        char owner[16];
        int r;

        snprintf(owner, sizeof(owner), "%u", volume->owner);
        r = make_directory(volume->manager, owner, "", 0700);
        if (r >= 0)
                r = make_directory(volume->manager, volume->key, "", 0700);
        if (r >= 0)
                r = make_directory(volume->manager, volume->key, "/_data", 0755);
        return r < 0 ? r : volume_save(volume);
}

/* Two ids' length: nobody gives one by chance. */
static int volume_make_name(char ret[2 * ID_SIZE + 1])
{
        int r = id_generate(ret);

        return r < 0 ? r : id_generate(ret + ID_SIZE);
}

int volume_new(Volume **ret, Manager *manager, uint32_t owner, const char *name,
               char *const *labels, sd_bus_error *error)
{
        char made[2 * ID_SIZE + 1];
        Volume *volume;
        int r = name ? 0 : volume_make_name(made);

        if (r < 0)
                return r;
        if (name && !name_is_valid(name))
                return error_set(error, -EINVAL, ERROR_INVALID_NAME,
                                 "\"%s\" is no name for a volume: it takes letters, digits, '_', "
                                 "'.' and '-', the first one a letter or digit, at most %d.",
                                 name, NAME_SIZE_MAX);
        if (volume_count(manager, owner) >= VOLUMES_MAX)
                return error_set(error, -EMFILE, ERROR_LIMIT_EXCEEDED,
                                 "You have %d volumes, and may not have more: remove some.",
                                 VOLUMES_MAX);
        r = volume_add(&volume, manager, owner, name ?: made);
        if (r < 0)
                return r;
        volume->anonymous = !name;
        volume->created = clock_realtime_usec();
        volume->labels = strv_copy((char **)labels);
        r = labels && !volume->labels ? -ENOMEM : volume_make(volume);
        if (r < 0) {
                volume_free(volume);
                return error_set(error, r, ERROR_FAILED, "The volume can't be made: %s.",
                                 strerror(-r));
        }
        log_info("Volume %s: created", volume->key);
        event_volume(volume, "create");
        *ret = volume;
        return 0;
}

int volume_open(const Volume *volume, int *ret)
{
        _cleanup_(freep) char *path = volume_path(volume->manager, volume->key, "/_data");
        int fd;

        if (!path)
                return -ENOMEM;
        fd = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
                return errno_neg();
        *ret = fd;
        return 0;
}

/* ------------------------------------------------------------------ removing */

/* The tree is as deep and as wide as a guest made it: not the loop's work. */
static int remove_main(int socket, void *userdata, sd_bus_error *error)
{
        const char *path = userdata;
        int r = walk_remove(AT_FDCWD, path);

        return r != 0 ? -EIO : worker_answer(socket, NULL, 0, NULL, 0);
}

static void volume_on_removed(void *userdata, int r, const sd_bus_error *error,
                              const uint8_t *payload, size_t size, IoMessage *message)
{
        Manager *manager = userdata;

        manager->n_volume_workers--;
        if (r < 0)
                log_error("A removed volume's files stay until uvmd starts again: %s",
                          error && error->message ? error->message : strerror(-r));
}

static int volume_sweep(Manager *manager, const char *path)
{
        Worker *worker;
        int r = worker_start(&worker, manager->event, "uvmd-volume", remove_main, (void *)path,
                             clock_limit_usec(REMOVE_LIMIT_USEC), volume_on_removed, manager);

        if (r >= 0)
                manager->n_volume_workers++;
        return r;
}

/* The directory of its owner goes with the last. */
static void volume_remove_owner(const Volume *volume)
{
        _cleanup_(freep) char *path = NULL;
        char owner[16];

        snprintf(owner, sizeof(owner), "%u", volume->owner);
        path = volume_path(volume->manager, owner, "");
        if (path && rmdir(path) < 0 && errno != ENOTEMPTY)
                log_warning_errno(errno_neg(), "Can't remove %s", path);
}

/* First out of the way by a rename, so that the name is free and a kill leaves nothing half. */
int volume_remove(Volume *volume)
{
        Manager *manager = volume->manager;
        _cleanup_(freep) char *path = volume_path(manager, volume->key, ""), *away = NULL;
        char id[ID_SIZE + 1];
        int r = id_generate(id);

        if (r < 0)
                return r;
        if (!path || asprintf(&away, "%s/volumes/gone-%s", manager->paths.state_dir, id) < 0) {
                away = NULL;
                return -ENOMEM;
        }
        if (rename(path, away) < 0 && errno != ENOENT)
                return errno_neg();
        log_info("Volume %s: removed", volume->key);
        event_volume(volume, "remove");
        volume_remove_owner(volume);
        volume_free(volume);
        r = volume_sweep(manager, away);
        return r < 0 ? log_error_errno(r, "Can't remove %s", away) : 0;
}

/* ------------------------------------------------------------------ loading */

static int volume_load(Manager *manager, uint32_t owner, const char *name)
{
        _cleanup_(freep) char *path = NULL;
        json_object *json = NULL;
        Volume *volume;
        int r = volume_add(&volume, manager, owner, name);

        if (r < 0)
                return r;
        path = volume_path(manager, volume->key, "/volume.json");
        r = path ? jsonfile_read(path, &json) : -ENOMEM;
        if (r >= 0)
                r = options_from_json(volume_options, ELEMENTSOF(volume_options), volume, json);
        json_object_put(json);
        if (r < 0)
                volume_free(volume);
        return r;
}

static int volumes_load_owner(Manager *manager, const char *text, uint32_t owner)
{
        _cleanup_(freep) char *path = volume_path(manager, text, "");
        DIR *directory = path ? opendir(path) : NULL;
        struct dirent *entry;

        if (!directory)
                return path ? errno_neg() : -ENOMEM;
        while ((entry = readdir(directory))) {
                int r = name_is_valid(entry->d_name) ? volume_load(manager, owner, entry->d_name)
                                                     : 0;

                if (r < 0)
                        log_error_errno(r, "Can't read the volume %s/%s", path, entry->d_name);
        }
        closedir(directory);
        return 0;
}

static int volumes_load_entry(Manager *manager, const char *name)
{
        uint32_t owner;

        if (strncmp(name, "gone-", 5) == 0) {
                _cleanup_(freep) char *path = volume_path(manager, name, "");

                return path ? volume_sweep(manager, path) : -ENOMEM;
        }
        return parse_u32(name, 0, UINT32_MAX, &owner) < 0
                       ? 0
                       : volumes_load_owner(manager, name, owner);
}

int volumes_load(Manager *manager)
{
        _cleanup_(freep) char *path = volume_path(manager, "", "");
        struct dirent *entry;
        DIR *directory;
        int r = 0;

        if (!path)
                return -ENOMEM;
        r = make_directory(manager, "", "", 0700);
        if (r < 0)
                return r;
        directory = opendir(path);
        if (!directory)
                return errno_neg();
        while (r >= 0 && (entry = readdir(directory)))
                r = volumes_load_entry(manager, entry->d_name);
        closedir(directory);
        return r;
}

void volumes_free(Manager *manager)
{
        Volume *volume, *next;

        HASH_ITER (hh, manager->volumes, volume, next)
                volume_free(volume);
}
