/* Terminals of containers; see terminal.h. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"

#include "agent/mountfd.h"
#include "agent/terminal.h"

#ifndef TIOCGPTPEER
#define TIOCGPTPEER _IO('T', 0x41)
#endif

int terminal_resize(int fd, uint16_t rows, uint16_t columns)
{
        struct winsize size = {.ws_row = rows, .ws_col = columns};

        return ioctl(fd, TIOCSWINSZ, &size) < 0 ? errno_neg() : 0;
}

int terminal_open(uint32_t uid, uint16_t rows, uint16_t columns, Terminal *ret, Fault *fault)
{
        _cleanup_(fd_closep) int master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
        _cleanup_(fd_closep) int slave = FD_NONE;
        int unlocked = 0, r;

        if (master < 0)
                return fault_set(fault, errno_neg(), "cannot open a terminal at /dev/ptmx");
        if (ioctl(master, TIOCSPTLCK, &unlocked) < 0)
                return fault_set(fault, errno_neg(), "cannot unlock the terminal");
        slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
        if (slave < 0)
                return fault_set(fault, errno_neg(), "cannot open the terminal's other end");
        if (fchown(slave, uid, (gid_t)-1) < 0)
                return fault_set(fault, errno_neg(), "cannot give the terminal to user %u", uid);
        r = terminal_resize(slave, rows, columns);
        if (r < 0)
                return fault_set(fault, r, "cannot set the terminal's size");
        *ret = (Terminal){.master = TAKE_FD(master), .slave = TAKE_FD(slave)};
        return 0;
}

int terminal_take(int slave, Fault *fault)
{
        if (ioctl(slave, TIOCSCTTY, 0) < 0)
                return fault_set(fault, errno_neg(), "cannot take the terminal");
        return 0;
}

void terminal_make_console(int slave)
{
        _cleanup_(fd_closep) int mount = FD_NONE, target = FD_NONE;
        int created = open("/dev/console",
                           O_CREAT | O_WRONLY | O_NOCTTY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK,
                           0620);

        fd_close(created);
        target = open("/dev/console", O_PATH | O_NOFOLLOW | O_CLOEXEC);
        if (target >= 0 && mountfd_clone(slave, "", false, &mount) == 0)
                mountfd_attach(mount, target);
}
