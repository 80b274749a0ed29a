/* Pairs of queues; see channels.h. */
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/fd.h"

#include "agent/channels.h"

static int ethtool(int fd, struct ifreq *interface, void *argument)
{
        interface->ifr_data = argument;
        return ioctl(fd, SIOCETHTOOL, interface);
}

static bool is_of_machine(int fd, struct ifreq *interface)
{
        struct ethtool_drvinfo driver = {.cmd = ETHTOOL_GDRVINFO};

        return ethtool(fd, interface, &driver) == 0 && strcmp(driver.driver, "virtio_net") == 0;
}

static void set_pairs(int fd, struct ifreq *interface, uint32_t wanted)
{
        struct ethtool_channels channels = {.cmd = ETHTOOL_GCHANNELS};

        if (ethtool(fd, interface, &channels) < 0)
                return;
        wanted = MIN(wanted, channels.max_combined);
        if (wanted == 0 || wanted == channels.combined_count)
                return;
        channels.cmd = ETHTOOL_SCHANNELS;
        channels.combined_count = wanted;
        (void)ethtool(fd, interface, &channels);
}

void channels_follow(uint32_t cpus)
{
        _cleanup_(fd_closep) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        struct if_nameindex *names = fd < 0 ? NULL : if_nameindex();

        for (const struct if_nameindex *name = names; name && name->if_name; name++) {
                struct ifreq interface = {};

                strncpy(interface.ifr_name, name->if_name, sizeof(interface.ifr_name) - 1);
                if (is_of_machine(fd, &interface))
                        set_pairs(fd, &interface, cpus);
        }
        if (names)
                if_freenameindex(names);
}
