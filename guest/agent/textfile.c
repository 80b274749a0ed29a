/* Small files; see textfile.h. */
#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/parse.h"

#include "agent/textfile.h"

void text_done(Text *text)
{
        free(text->data);
        *text = (Text){};
}

static int text_fill(int fd, Text *text)
{
        size_t capacity = 4096;
        ssize_t n;

        do {
                char *grown;

                if (text->size + 1 >= capacity)
                        capacity *= 2;
                if (capacity > TEXT_SIZE_MAX)
                        return -EFBIG;
                grown = realloc(text->data, capacity);
                if (!grown)
                        return -ENOMEM;
                text->data = grown;
                n = read(fd, text->data + text->size, capacity - text->size - 1);
                if (n < 0)
                        return errno_neg();
                text->size += (size_t)n;
        } while (n > 0);
        text->data[text->size] = '\0';
        return 0;
}

int text_read(int directory, const char *path, Text *ret)
{
        _cleanup_(fd_closep) int fd = openat(directory, path,
                                             O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        struct stat status;
        Text text = {};
        int r;

        if (fd < 0 || fstat(fd, &status) < 0)
                return errno_neg();
        if (!S_ISREG(status.st_mode))
                return -EINVAL;
        r = text_fill(fd, &text);
        if (r < 0)
                text_done(&text);
        else
                *ret = text;
        return r;
}

int text_write(int directory, const char *path, const char *data, size_t size)
{
        _cleanup_(fd_closep) int fd = openat(directory, path, O_WRONLY | O_CLOEXEC | O_NOCTTY);

        if (fd < 0 || write(fd, data, size) < 0)
                return errno_neg();
        return 0;
}

int text_write_u64(int directory, const char *path, uint64_t value)
{
        char text[24];
        int n = snprintf(text, sizeof(text), "%llu", (unsigned long long)value);

        return text_write(directory, path, text, (size_t)n);
}

/* Digits, then anything. */
static uint64_t leading_number(const char *at)
{
        char digits[24];
        size_t n = 0;
        uint64_t value;

        while (n < sizeof(digits) - 1 && isdigit((unsigned char)at[n])) {
                digits[n] = at[n];
                n++;
        }
        digits[n] = '\0';
        return parse_u64(digits, 0, UINT64_MAX, &value) == 0 ? value : 0;
}

int text_read_u64(int directory, const char *path, uint64_t *ret)
{
        _cleanup_(text_done) Text text = {};
        int r = text_read(directory, path, &text);

        if (r < 0)
                return r;
        *ret = strncmp(text.data, "max", 3) == 0 ? UINT64_MAX : leading_number(text.data);
        return 0;
}

uint64_t text_get_u64(const Text *text, const char *key)
{
        size_t length = strlen(key);
        const char *at = text->data;

        while (at && *at) {
                if (strncmp(at, key, length) == 0 && (at[length] == ' ' || at[length] == ':')) {
                        at += length + 1;
                        return leading_number(at + strspn(at, " "));
                }
                at = strchr(at, '\n');
                if (at)
                        at++;
        }
        return 0;
}
