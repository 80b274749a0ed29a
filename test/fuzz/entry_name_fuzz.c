/* A name in an archive: what is taken is a plain path below the root. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test/fuzz/fuzz.h"
#include "uvmd/image/entry_name.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        char *name = malloc(size + 1), normal[ENTRY_NAME_MAX], again[ENTRY_NAME_MAX];

        if (!name)
                return 0;
        memcpy(name, data, size);
        name[size] = 0;
        if (entry_name_check(name, normal) == 0) {
                char framed[ENTRY_NAME_MAX + 2];

                if (normal[0] == '/' || strlen(normal) >= ENTRY_NAME_MAX)
                        abort();
                snprintf(framed, sizeof(framed), "/%s/", normal);
                if (strstr(framed, "/../") || strstr(framed, "/./"))
                        abort();
                if (normal[0] && (entry_name_check(normal, again) != 0 || strcmp(normal, again)))
                        abort();
                entry_name_kind(normal);
                entry_name_last(normal);
        } else {
                entry_name_strerror(entry_name_check(name, normal));
        }
        free(name);
        return 0;
}
