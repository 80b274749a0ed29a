/* A walk of a tree; see walk.h. */
#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"

#include "agent/walk.h"

typedef struct Names {
        char *text;
        size_t size, capacity, n;
} Names;

static void level_done(WalkLevel *level)
{
        for (unsigned i = 0; i < 2; i++)
                level->places[i].fd = fd_close(level->places[i].fd);
        free(level->text);
        free(level->names);
        level->text = NULL;
        level->names = NULL;
}

void walk_done(Walk *walk)
{
        while (walk->n > 0)
                level_done(&walk->levels[--walk->n]);
        free(walk->levels);
        free(walk->path);
        *walk = (Walk){};
}

static int names_add(Names *names, const char *name)
{
        size_t size = strlen(name) + 1;

        if (names->capacity - names->size < size) {
                size_t capacity = names->capacity * 2 + size + 1024;
                char *grown = realloc(names->text, capacity);

                if (!grown)
                        return -ENOMEM;
                names->text = grown;
                names->capacity = capacity;
        }
        memcpy(names->text + names->size, name, size);
        names->size += size;
        names->n++;
        return 0;
}

static int names_read(Names *names, int directory)
{
        int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
        DIR *stream = fd < 0 ? NULL : fdopendir(fd);
        struct dirent *entry;

        if (!stream) {
                r = errno_neg();
                fd_close(fd);
                return r;
        }
        for (errno = 0; r == 0 && (entry = readdir(stream)); errno = 0)
                if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
                        r = names_add(names, entry->d_name);
        if (r == 0 && errno != 0)
                r = errno_neg();
        closedir(stream);
        return r;
}

static int compare(const void *a, const void *b)
{
        return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Takes the text of @names. */
static int level_list(WalkLevel *level, Names *names, WalkOrder order)
{
        size_t at = 0, n = 0;

        level->text = TAKE_PTR(names->text);
        level->names = calloc(names->n + 1, sizeof(*level->names));
        if (!level->names)
                return -ENOMEM;
        for (size_t i = 0; i < names->n; i++) {
                level->names[i] = level->text + at;
                at += strlen(level->text + at) + 1;
        }
        if (order != WALK_AS_READ)
                qsort(level->names, names->n, sizeof(*level->names), compare);
        for (size_t i = 0; i < names->n; i++)
                if (order != WALK_MERGED || n == 0 ||
                    strcmp(level->names[n - 1], level->names[i]) != 0)
                        level->names[n++] = level->names[i];
        level->n_names = n;
        return 0;
}

static int place_set(WalkPlace *place, int fd)
{
        struct stat status;

        *place = (WalkPlace){.fd = fd, .there = fd >= 0};
        if (fd < 0)
                return 0;
        if (fstat(fd, &status) < 0)
                return errno_neg();
        place->dev = status.st_dev;
        place->ino = status.st_ino;
        return 0;
}

static int make_room(Walk *walk)
{
        size_t capacity = walk->capacity * 2 + 16;
        WalkLevel *grown;

        if (walk->n < walk->capacity)
                return 0;
        grown = realloc(walk->levels, capacity * sizeof(*grown));
        if (!grown)
                return -ENOMEM;
        walk->levels = grown;
        walk->capacity = capacity;
        return 0;
}

static int read_level(WalkLevel *level, WalkOrder order)
{
        Names names = {};
        int r = names_read(&names, level->places[0].fd);

        if (r == 0 && order == WALK_MERGED && level->places[1].there)
                r = names_read(&names, level->places[1].fd);
        if (r == 0)
                r = level_list(level, &names, order);
        free(names.text);
        return r;
}

/* Closes what can be opened again from below: what has nothing below it stays. */
static void close_above(Walk *walk)
{
        WalkLevel *level;

        if (walk->n <= WALK_OPEN)
                return;
        level = &walk->levels[walk->n - 1 - WALK_OPEN];
        for (unsigned i = 0; i < 2; i++)
                if (level[1].places[i].there)
                        level->places[i].fd = fd_close(level->places[i].fd);
}

int walk_enter(Walk *walk, int first, int second, WalkOrder order, unsigned flags)
{
        WalkLevel level = {
                .path_size = walk->n > 0 ? strlen(walk->path) : 0,
                .flags = flags,
        };
        int r = place_set(&level.places[0], first), s = place_set(&level.places[1], second);

        if (r == 0)
                r = s;
        if (r == 0)
                r = make_room(walk);
        if (r == 0)
                r = read_level(&level, order);
        if (r < 0) {
                level_done(&level);
                return r;
        }
        walk->levels[walk->n++] = level;
        close_above(walk);
        return 0;
}

WalkLevel *walk_top(const Walk *walk)
{
        return walk->n > 0 ? &walk->levels[walk->n - 1] : NULL;
}

int walk_next(Walk *walk, const char **ret)
{
        WalkLevel *level = walk_top(walk);
        const char *name = level->next < level->n_names ? level->names[level->next] : NULL;
        size_t needed = level->path_size + 1 + (name ? strlen(name) : 0) + 1;

        if (needed > walk->path_capacity) {
                char *grown = realloc(walk->path, needed * 2);

                if (!grown)
                        return -ENOMEM;
                walk->path = grown;
                walk->path_capacity = needed * 2;
        }
        walk->path[level->path_size] = '\0';
        *ret = name;
        if (!name)
                return 0;
        walk->path[level->path_size] = '/';
        strcpy(walk->path + level->path_size + 1, name);
        level->next++;
        return 0;
}

/* @from is the way up from below. */
static int reopen(WalkPlace *place, int from)
{
        WalkPlace found = {.fd = FD_NONE};
        int fd, r;

        if (!place->there || place->fd >= 0)
                return 0;
        if (from < 0)
                return -ESTALE;
        fd = openat(from, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return errno_neg();
        r = place_set(&found, fd);
        if (r == 0 && (found.dev != place->dev || found.ino != place->ino))
                r = -ESTALE;
        if (r < 0)
                fd_close(fd);
        else
                place->fd = fd;
        return r;
}

int walk_leave(Walk *walk)
{
        WalkLevel *level = walk_top(walk);
        int r = 0;

        for (unsigned i = 0; r == 0 && walk->n > 1 && i < 2; i++)
                r = reopen(&level[-1].places[i], level->places[i].fd);
        if (walk->path)
                walk->path[level->path_size] = '\0';
        level_done(level);
        walk->n--;
        return r;
}
