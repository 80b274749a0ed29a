/* Arrays of strings; see strv.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "uvmd/strv.h"

char **strv_new(void)
{
        return calloc(1, sizeof(char *));
}

char **strv_free(char **array)
{
        for (char **at = array; at && *at; at++)
                free(*at);
        free(array);
        return NULL;
}

size_t strv_length(char *const *array)
{
        size_t n = 0;

        while (array && array[n])
                n++;
        return n;
}

char **strv_copy(char *const *array)
{
        _cleanup_(strv_freep) char **copy = NULL;

        if (!array)
                return NULL;
        copy = strv_new();
        if (!copy || strv_append_all(&copy, array) < 0)
                return NULL;
        return TAKE_PTR(copy);
}

int strv_append_take(char ***array, char *text)
{
        size_t n = strv_length(*array);
        char **grown;

        if (!text)
                return -ENOMEM;
        grown = reallocarray(*array, n + 2, sizeof(char *));
        if (!grown) {
                free(text);
                return -ENOMEM;
        }
        grown[n] = text;
        grown[n + 1] = NULL;
        *array = grown;
        return 0;
}

int strv_append(char ***array, const char *text)
{
        return strv_append_take(array, strdup(text));
}

int strv_append_all(char ***array, char *const *more)
{
        for (; more && *more; more++) {
                int r = strv_append(array, *more);

                if (r < 0)
                        return r;
        }
        return 0;
}

int strv_set_environment(char ***array, const char *assignment)
{
        const char *equals = strchr(assignment, '=');
        size_t size;
        char *copy;

        if (!equals || equals == assignment)
                return -EINVAL;
        size = (size_t)(equals - assignment) + 1;
        for (char **at = *array; at && *at; at++) {
                if (strncmp(*at, assignment, size) != 0)
                        continue;
                copy = strdup(assignment);
                if (!copy)
                        return -ENOMEM;
                free(*at);
                *at = copy;
                return 0;
        }
        return strv_append(array, assignment);
}

const char *strv_map_get(char *const *map, const char *key)
{
        for (; map && map[0] && map[1]; map += 2)
                if (strcmp(map[0], key) == 0)
                        return map[1];
        return NULL;
}
