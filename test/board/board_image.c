/* board_image PAYLOAD IMAGE: writes the firmware image that the board tests run, for uvm-vmm itself. */
#include <fcntl.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include "test/board/board.h"

int main(int argc, char **argv)
{
        int from, to;

        if (argc != 3)
                unit_fail("usage: %s PAYLOAD IMAGE", argv[0]);
        from = board_make_firmware(argv[1]);
        to = open(argv[2], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
        unit_assert(to >= 0);
        unit_assert(lseek(from, 0, SEEK_SET) == 0);
        while (sendfile(to, from, NULL, 1 << 20) > 0)
                ;
        return close(to) == 0 ? 0 : 1;
}
