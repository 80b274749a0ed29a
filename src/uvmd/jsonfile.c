/* JSON files; see jsonfile.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/io.h"
#include "uvmd/jsonfile.h"

#define JSONFILE_DEPTH 16

int jsonfile_write(const char *path, json_object *json, bool durable)
{
        _cleanup_(freep) char *temporary = NULL;
        _cleanup_(fd_closep) int fd = FD_NONE;
        const char *text = json_object_to_json_string_ext(json, JSON_C_TO_STRING_PLAIN);
        int r;

        if (!text || asprintf(&temporary, "%s.tmp", path) < 0) {
                temporary = NULL;
                return -ENOMEM;
        }
        fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0)
                return errno_neg();
        r = io_write_full(fd, text, strlen(text));
        if (r >= 0 && durable && fsync(fd) < 0)
                r = errno_neg();
        if (r >= 0 && rename(temporary, path) < 0)
                r = errno_neg();
        if (r < 0)
                unlink(temporary);
        return r;
}

int jsonfile_parse(const char *text, size_t size, json_object **ret)
{
        json_tokener *tokener;
        json_object *json;

        if (size > JSONFILE_SIZE_MAX)
                return -EFBIG;
        tokener = json_tokener_new_ex(JSONFILE_DEPTH);
        if (!tokener)
                return -ENOMEM;
        json = json_tokener_parse_ex(tokener, text, (int)size);
        json_tokener_free(tokener);
        if (!json)
                return -EBADMSG;
        *ret = json;
        return 0;
}

int jsonfile_read(const char *path, json_object **ret)
{
        _cleanup_(fd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        _cleanup_(freep) char *text = NULL;
        struct stat st;
        int r;

        if (fd < 0 || fstat(fd, &st) < 0)
                return errno_neg();
        if (!S_ISREG(st.st_mode))
                return -EBADMSG;
        if (st.st_size > JSONFILE_SIZE_MAX)
                return -EFBIG;
        text = malloc((size_t)st.st_size + 1);
        if (!text)
                return -ENOMEM;
        r = io_read_full(fd, text, (size_t)st.st_size);
        return r < 0 ? r : jsonfile_parse(text, (size_t)st.st_size, ret);
}

const char *jsonfile_get_string(json_object *json, const char *key)
{
        json_object *value;

        return json_object_object_get_ex(json, key, &value) &&
                               json_object_is_type(value, json_type_string)
                       ? json_object_get_string(value)
                       : NULL;
}

bool jsonfile_get_bool(json_object *json, const char *key)
{
        json_object *value;

        return json_object_object_get_ex(json, key, &value) && json_object_get_boolean(value);
}

json_object *jsonfile_get_item(json_object *json, const char *key, size_t n)
{
        json_object *array;

        if (!json_object_object_get_ex(json, key, &array) ||
            !json_object_is_type(array, json_type_array) || n >= json_object_array_length(array))
                return NULL;
        return json_object_array_get_idx(array, n);
}
