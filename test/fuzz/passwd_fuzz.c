/* A container's passwd and group: the key is what stands before the first NUL. */
#include <stdlib.h>
#include <string.h>

#include "agent/passwd.h"
#include "test/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        const uint8_t *end = size ? memchr(data, 0, size) : NULL;
        const char *text = (const char *)end + 1;
        uint32_t gid, gids[8];
        PasswdUser user;
        size_t left;

        if (!end)
                return 0;
        left = size - (size_t)(end + 1 - data);
        passwd_find_user(text, left, (const char *)data, &user);
        passwd_find_group(text, left, (const char *)data, &gid);
        passwd_member_groups(text, left, (const char *)data, gids, 8);
        return 0;
}
