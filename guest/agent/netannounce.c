/* Tells the neighbourhood of a network device where its addresses are; see netannounce.h. */
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if_arp.h>
#include <netinet/icmp6.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include "base/fd.h"

#include "agent/netannounce.h"

/* RFC 4861 §7.1.2: what came over a router is none. */
#define HOPS 255

/* RFC 826, for Ethernet and IPv4. */
typedef struct ArpMessage {
        struct arphdr head;
        uint8_t sender_mac[AGENT_MAC_SIZE];
        uint8_t sender[4];
        uint8_t target_mac[AGENT_MAC_SIZE];
        uint8_t target[4];
} ArpMessage;

/* RFC 4861 §4.4, with the option of §4.6.1. */
typedef struct Advertisement {
        struct nd_neighbor_advert head;
        struct nd_opt_hdr option;
        uint8_t mac[AGENT_MAC_SIZE];
} Advertisement;

_Static_assert(sizeof(ArpMessage) == 28, "ARP for IPv4 over Ethernet has 28 bytes");
_Static_assert(sizeof(Advertisement) == 32, "an advertisement with its option has 32 bytes");

static void announce_ipv4(int index, const uint8_t mac[AGENT_MAC_SIZE], const uint8_t address[4])
{
        struct sockaddr_ll everybody = {
                .sll_family = AF_PACKET,
                .sll_protocol = htons(ETH_P_ARP),
                .sll_ifindex = index,
                .sll_halen = AGENT_MAC_SIZE,
                .sll_addr = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
        };
        ArpMessage message = {
                .head = {.ar_hrd = htons(ARPHRD_ETHER),
                         .ar_pro = htons(ETH_P_IP),
                         .ar_hln = AGENT_MAC_SIZE,
                         .ar_pln = 4,
                         .ar_op = htons(ARPOP_REQUEST)},
        };
        _cleanup_(fd_closep) int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

        memcpy(message.sender_mac, mac, sizeof(message.sender_mac));
        memcpy(message.sender, address, sizeof(message.sender));
        memcpy(message.target, address, sizeof(message.target));
        if (fd >= 0)
                (void)sendto(fd, &message, sizeof(message), MSG_DONTWAIT,
                             (struct sockaddr *)&everybody, sizeof(everybody));
}

static void announce_ipv6(int index, const uint8_t mac[AGENT_MAC_SIZE], const uint8_t address[16])
{
        struct sockaddr_in6 source = {.sin6_family = AF_INET6, .sin6_scope_id = (uint32_t)index};
        struct sockaddr_in6 everybody = {.sin6_family = AF_INET6, .sin6_scope_id = (uint32_t)index};
        Advertisement message = {
                .head.nd_na_hdr = {.icmp6_type = ND_NEIGHBOR_ADVERT,
                                   .icmp6_data32[0] = ND_NA_FLAG_OVERRIDE},
                .option = {.nd_opt_type = ND_OPT_TARGET_LINKADDR, .nd_opt_len = 1},
        };
        /* The kernel fills in the checksum (RFC 3542 §3.1). */
        _cleanup_(fd_closep) int fd = socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMPV6);
        int hops = HOPS;

        memcpy(&source.sin6_addr, address, sizeof(source.sin6_addr));
        everybody.sin6_addr = (struct in6_addr){.s6_addr = {0xff, 0x02, [15] = 1}};
        message.head.nd_na_target = source.sin6_addr;
        memcpy(message.mac, mac, sizeof(message.mac));
        if (fd < 0 || setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, &index, sizeof(index)) < 0 ||
            setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, &hops, sizeof(hops)) < 0 ||
            bind(fd, (struct sockaddr *)&source, sizeof(source)) < 0)
                return;
        (void)sendto(fd, &message, sizeof(message), MSG_DONTWAIT, (struct sockaddr *)&everybody,
                     sizeof(everybody));
}

void netannounce(int index, const AgentNetwork *network)
{
        for (uint32_t i = 0; i < network->n_addresses; i++) {
                const AgentAddress *address = &network->addresses[i];

                if (address->size == 4)
                        announce_ipv4(index, network->mac, address->bytes);
                else
                        announce_ipv6(index, network->mac, address->bytes);
        }
}
