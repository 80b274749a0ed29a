/* Settings of the network; see netsettings.h. */
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"

#include "agent/netsettings.h"
#include "agent/textfile.h"

static bool is_in(const char *setting, const CodecStrings *settings)
{
        for (uint32_t i = 0; settings && i < settings->n; i++)
                if (strcmp(settings->items[i], setting) == 0)
                        return true;
        return false;
}

static int write_one(int root, const char *setting)
{
        _cleanup_(freep) char *path = strdup(setting);
        char *value = path ? strchr(path, '=') : NULL;

        if (!value)
                return -ENOMEM;
        *value++ = '\0';
        return text_write(root, path, value, strlen(value));
}

void netsettings_write(const CodecStrings *settings, const CodecStrings *before)
{
        _cleanup_(fd_closep) int root = FD_NONE;

        if (settings->n == 0)
                return;
        root = open("/proc/sys", O_PATH | O_DIRECTORY | O_CLOEXEC);
        for (uint32_t i = 0; i < settings->n; i++) {
                int r = is_in(settings->items[i], before) ? 0 : write_one(root, settings->items[i]);

                if (r < 0)
                        log_debug("cannot set %s: %s", settings->items[i], strerror(-r));
        }
}
