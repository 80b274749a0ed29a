/* Taps for vmmrun; see vmmrun.h. */
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "test/tools/vmmrun.h"

static int open_tap(const char *name, bool is_one_of_many, int *ret)
{
        struct ifreq request = {
                .ifr_flags = (short)(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR |
                                     (is_one_of_many ? IFF_MULTI_QUEUE : 0)),
        };
        _cleanup_(fd_closep) int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);

        snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
        if (fd < 0 || ioctl(fd, TUNSETIFF, &request) < 0)
                return log_error_errno(errno_neg(), "tap %s", name);
        *ret = TAKE_FD(fd);
        return 0;
}

static int open_all(const Run *run, unsigned i, int *fds, unsigned *n)
{
        int r = 0;

        for (unsigned k = 0; k < run->nets[i].queues && r == 0; k++) {
                fds[*n] = FD_NONE;
                r = open_tap(run->nets[i].tap, run->nets[i].queues > 1, &fds[(*n)++]);
        }
        for (unsigned k = 0; run->nets[i].vhost && k < run->nets[i].queues && r == 0; k++) {
                fds[*n] = open("/dev/vhost-net", O_RDWR | O_CLOEXEC);
                r = fds[(*n)++] < 0 ? log_error_errno(errno_neg(), "/dev/vhost-net") : 0;
        }
        return r;
}

int vmmrun_open_net(const Run *run, unsigned i, ControlMessage *ret, int *fds, unsigned *ret_n)
{
        *ret = (ControlMessage){
                .type = CONTROL_ADD_DEVICE,
                .add_device = {.slot = CONTROL_SLOT_ANY,
                               .kind = CONTROL_DEVICE_NET,
                               .throttle = run->nets[i].transmit,
                               .net.mtu = (uint16_t)run->nets[i].mtu,
                               .net.queues = run->nets[i].queues,
                               .net.flags = run->nets[i].vhost ? CONTROL_NET_VHOST : 0},
        };
        *ret_n = 0;
        memcpy(ret->add_device.net.mac, run->nets[i].mac, CONTROL_MAC_SIZE);
        return open_all(run, i, fds, ret_n);
}
