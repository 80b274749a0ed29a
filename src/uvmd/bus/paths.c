/* Object paths; see paths.h. A path is a caller's: its parts are checked before they are looked up. */
#include <string.h>

#include "uvmd/bus/paths.h"

/* Copies the next part of @path (behind its slash) and steps behind it. False: none, or too long. */
static bool path_part(const char **path, char *part, size_t size)
{
        const char *start = *path + 1;
        size_t n;

        if (**path != '/')
                return false;
        n = strcspn(start, "/");
        if (n == 0 || n >= size)
                return false;
        memcpy(part, start, n);
        part[n] = 0;
        *path = start + n;
        return true;
}

/* The sandbox that @path begins with; @ret_rest is what follows. */
static Sandbox *path_sandbox(Manager *manager, const char *path, const char **ret_rest)
{
        char id[ID_SIZE + 1];

        if (strncmp(path, BUS_SANDBOXES, strlen(BUS_SANDBOXES)) != 0)
                return NULL;
        path += strlen(BUS_SANDBOXES);
        if (!path_part(&path, id, sizeof(id)))
                return NULL;
        *ret_rest = path;
        return manager_find_sandbox(manager, id);
}

/* …/KIND/NAME, and no more. */
static bool path_rest(const char *rest, const char *kind, char name[ID_SIZE + 1])
{
        char part[ID_SIZE + 1];

        return path_part(&rest, part, sizeof(part)) && strcmp(part, kind) == 0 &&
               path_part(&rest, name, ID_SIZE + 1) && rest[0] == 0;
}

void *bus_find_manager(Manager *manager, const char *path)
{
        return strcmp(path, BUS_PATH) == 0 ? manager : NULL;
}

void *bus_find_sandbox(Manager *manager, const char *path)
{
        const char *rest;
        Sandbox *sandbox = path_sandbox(manager, path, &rest);

        return sandbox && rest[0] == 0 ? sandbox : NULL;
}

void *bus_find_container(Manager *manager, const char *path)
{
        char id[ID_SIZE + 1];
        const char *rest;
        Sandbox *sandbox = path_sandbox(manager, path, &rest);
        Container *container = NULL;

        if (sandbox && path_rest(rest, "container", id))
                HASH_FIND_STR(sandbox->containers, id, container);
        return container;
}

void *bus_find_process(Manager *manager, const char *path)
{
        char number[ID_SIZE + 1];
        const char *rest;
        Sandbox *sandbox = path_sandbox(manager, path, &rest);
        Process *process = NULL;
        uint64_t token;

        if (sandbox && path_rest(rest, "process", number) &&
            parse_u64(number, 1, UINT64_MAX, &token) >= 0)
                HASH_FIND(hh, sandbox->processes, &token, sizeof(token), process);
        return process;
}

void *bus_find_task(Manager *manager, const char *path)
{
        Container *container = bus_find_container(manager, path);
        Process *process = container ? NULL : bus_find_process(manager, path);

        return container ? &container->task : process ? &process->task : NULL;
}
