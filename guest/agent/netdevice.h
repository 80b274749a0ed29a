/* A network device of the machine: found by its address, named, brought up; see network.h. */
#pragma once

#include <net/if.h>
#include <stdint.h>

#include "proto/agent_network.h"

#include "agent/fault.h"
#include "agent/rtnetlink.h"

/* LOOPBACK_IFINDEX of the kernel. */
#define LOOPBACK_INDEX 1

typedef struct NetDevice {
        int index;
        uint32_t flags; /* IFF_* */
        uint32_t mtu;
        uint32_t queue_length;
        uint8_t mac[AGENT_MAC_SIZE]; /* now */
        char name[IFNAMSIZ];
} NetDevice;

/*
 * The device with that address: it came with it, or, where none did, has it now. Interfaces made on
 * top of it (VLANs, bridges) often have the same, so the one that is no such comes first. 0; -ENODEV;
 * another -errno.
 */
int netdevice_find(Rtnetlink *rtnetlink, const uint8_t mac[AGENT_MAC_SIZE], NetDevice *ret);

/*
 * Name, settings, address, MTU, up: changes what is different, and goes down only for a new name. An interface
 * that has the name and is down makes way; one that is up doesn't (EEXIST). No address is made up by
 * the kernel: those of the request are all there are. 0 or -errno with @fault filled in.
 */
int netdevice_set_up(Rtnetlink *rtnetlink, const NetDevice *device, const AgentNetwork *network,
                     Fault *fault);
