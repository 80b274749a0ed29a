/* A tap's queues; see tap.h. */
#include <linux/if.h>
#include <linux/if_tun.h>
#include <sys/ioctl.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "vmm/net/tap.h"

/* Linux 6.2; older headers don't have them. */
#define TAP_KERNEL_USO4 0x20U
#define TAP_KERNEL_USO6 0x40U

static unsigned tap_kernel_offloads(unsigned offloads)
{
        unsigned flags = 0;

        if (!(offloads & TAP_CSUM))
                return 0;
        flags |= TUN_F_CSUM;
        flags |= offloads & TAP_TSO4 ? TUN_F_TSO4 : 0;
        flags |= offloads & TAP_TSO6 ? TUN_F_TSO6 : 0;
        /* The kernel takes it with either of those only. */
        flags |= offloads & TAP_ECN && offloads & (TAP_TSO4 | TAP_TSO6) ? TUN_F_TSO_ECN : 0;
        flags |= offloads & TAP_UFO ? TUN_F_UFO : 0;
        flags |= offloads & TAP_USO ? TAP_KERNEL_USO4 | TAP_KERNEL_USO6 : 0;
        return flags;
}

static int tap_ioctl(int fd, unsigned long request, unsigned long argument)
{
        return ioctl(fd, request, argument) < 0 ? errno_neg() : 0;
}

int tap_set_offloads(int fd, unsigned offloads)
{
        int r = tap_ioctl(fd, TUNSETOFFLOAD, tap_kernel_offloads(offloads));

        return r == -ENOTTY ? 0 : r;
}

int tap_attach(int fd, bool is_attached)
{
        struct ifreq request = {
                .ifr_flags = is_attached ? IFF_ATTACH_QUEUE : IFF_DETACH_QUEUE,
        };

        if (ioctl(fd, TUNSETQUEUE, &request) < 0)
                return errno == ENOTTY ? 0 : errno_neg();
        return 0;
}

/* Each by itself, for hosts know more and more of them. Leaves none set. */
static int tap_probe(int fd, unsigned *ret)
{
        static const unsigned kinds[] = {TAP_TSO4, TAP_TSO6, TAP_TSO4 | TAP_TSO6 | TAP_ECN, TAP_UFO,
                                         TAP_USO};
        unsigned found = 0;

        if (tap_set_offloads(fd, TAP_CSUM) == 0)
                found = TAP_CSUM;
        for (unsigned i = 0; found && i < ELEMENTSOF(kinds); i++)
                if (tap_set_offloads(fd, TAP_CSUM | kinds[i]) == 0)
                        found |= kinds[i];
        *ret = found;
        return tap_set_offloads(fd, 0);
}

static int tap_prepare_one(int fd, bool is_one_of_many, const char **ret_problem)
{
        struct ifreq request = {};
        int header_size = TAP_HEADER_SIZE, little_endian = 1, r;

        if (ioctl(fd, TUNGETIFF, &request) < 0) {
                *ret_problem = "this is no queue of a tap";
                return -EINVAL;
        }
        if ((request.ifr_flags & (IFF_TAP | IFF_NO_PI | IFF_VNET_HDR)) !=
                    (IFF_TAP | IFF_NO_PI | IFF_VNET_HDR) ||
            (is_one_of_many && !(request.ifr_flags & IFF_MULTI_QUEUE))) {
                *ret_problem = "the tap was opened without NO_PI, VNET_HDR or MULTI_QUEUE";
                return -EINVAL;
        }
        r = fd_set_nonblock(fd, true);
        if (r == 0 && (ioctl(fd, TUNSETVNETHDRSZ, &header_size) < 0 ||
                       ioctl(fd, TUNSETVNETLE, &little_endian) < 0))
                r = errno_neg();
        return r;
}

int tap_prepare(const int *fds, unsigned n, unsigned *ret_offloads, const char **ret_problem)
{
        int r = 0;

        for (unsigned i = 0; i < n && r == 0; i++)
                r = tap_prepare_one(fds[i], n > 1, ret_problem);
        return r < 0 ? r : tap_probe(fds[0], ret_offloads);
}
