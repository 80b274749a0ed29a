/* Names in archives; see entry_name.h. */
#include <string.h>

#include "uvmd/image/entry_name.h"

#define WHITEOUT_PREFIX ".wh."

/* Appends a component of @size bytes to the name of *@length bytes. */
static int entry_name_append(char ret[ENTRY_NAME_MAX], size_t *length, const char *component,
                             size_t size)
{
        size_t at = *length;

        if (size > ENTRY_COMPONENT_MAX || at + 1 + size + 1 > ENTRY_NAME_MAX)
                return ENTRY_NAME_E_LONG;
        if (at > 0)
                ret[at++] = '/';
        memcpy(ret + at, component, size);
        *length = at + size;
        ret[*length] = 0;
        return 0;
}

int entry_name_check(const char *name, char ret[ENTRY_NAME_MAX])
{
        size_t length = 0, depth = 0;

        ret[0] = 0;
        if (name[0] == '/')
                return ENTRY_NAME_E_ABSOLUTE;
        while (*name) {
                size_t size = strcspn(name, "/");

                if (size == 2 && name[0] == '.' && name[1] == '.')
                        return ENTRY_NAME_E_DOTDOT;
                if (size > 0 && !(size == 1 && name[0] == '.')) {
                        int r = entry_name_append(ret, &length, name, size);

                        if (r)
                                return r;
                        if (++depth > ENTRY_DEPTH_MAX)
                                return ENTRY_NAME_E_LONG;
                }
                name += size;
                name += strspn(name, "/");
        }
        return 0;
}

const char *entry_name_strerror(int error)
{
        switch (error) {
        case ENTRY_NAME_E_ABSOLUTE:
                return "its name is absolute";
        case ENTRY_NAME_E_DOTDOT:
                return "its name has \"..\" in it";
        case ENTRY_NAME_E_LONG:
                return "its name is too long";
        default:
                return "its name is not legal";
        }
}

const char *entry_name_last(const char *name)
{
        const char *slash = strrchr(name, '/');

        return slash ? slash + 1 : name;
}

EntryKind entry_name_kind(const char *name)
{
        const char *last = entry_name_last(name);

        if (strncmp(last, WHITEOUT_PREFIX, 4) != 0)
                return ENTRY_PLAIN;
        if (strcmp(last, ".wh..wh..opq") == 0)
                return ENTRY_OPAQUE;
        if (strncmp(last, ".wh..wh.", 8) == 0)
                return ENTRY_IGNORED;
        /* "." and ".." can't be taken away, nor can nothing. */
        if (!last[4] || strcmp(last + 4, ".") == 0 || strcmp(last + 4, "..") == 0)
                return ENTRY_IGNORED;
        return ENTRY_WHITEOUT;
}
