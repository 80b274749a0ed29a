/*
 * The user's own terminal; see terminal.h. The saved settings are file-scope state because exit()
 * and fatal signals must find them.
 */
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>

#include "base/error.h"
#include "base/fd.h"
#include "client/terminal.h"

static int terminal_fd = FD_NONE;
static struct termios terminal_saved;

void terminal_restore(void)
{
        if (terminal_fd >= 0)
                tcsetattr(terminal_fd, TCSADRAIN, &terminal_saved);
        terminal_fd = FD_NONE;
}

int terminal_make_raw(int fd)
{
        static bool registered;
        struct termios raw;

        if (tcgetattr(fd, &terminal_saved) < 0)
                return errno_neg();
        if (!registered && atexit(terminal_restore) != 0)
                return -ENOMEM;
        registered = true;
        raw = terminal_saved;
        cfmakeraw(&raw);
        if (tcsetattr(fd, TCSADRAIN, &raw) < 0)
                return errno_neg();
        terminal_fd = fd;
        return 0;
}

int terminal_get_size(int fd, uint32_t *ret_rows, uint32_t *ret_columns)
{
        struct winsize size;

        if (ioctl(fd, TIOCGWINSZ, &size) < 0)
                return errno_neg();
        *ret_rows = size.ws_row ? size.ws_row : 24;
        *ret_columns = size.ws_col ? size.ws_col : 80;
        return 0;
}
