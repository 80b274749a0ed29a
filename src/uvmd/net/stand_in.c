/* Namespaces in place of others; see stand_in.h. */
#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "uvmd/net/cni_result.h"
#include "uvmd/net/netlink.h"
#include "uvmd/net/stand_in.h"
#include "uvmd/net/veth.h"
#include "uvmd/strv.h"

#define STAND_IN_PEER "uvm-peer"

typedef struct Addresses {
        char **texts;
        int r;
} Addresses;

static void add_address(const char *text, void *userdata)
{
        Addresses *addresses = userdata;

        if (addresses->r >= 0)
                addresses->r = strv_append(&addresses->texts, text);
}

/* In the new namespace. */
static int stand_in_fill(const char *interface, char *const *addresses, int namespace)
{
        _cleanup_(nl_socket_freep) struct nl_sock *socket = NULL;
        int r = netlink_open(&socket);

        if (r >= 0)
                r = veth_add(socket, STAND_IN_PEER, interface, NULL, FD_NONE);
        return r < 0 ? r : veth_set_up(namespace, interface, addresses);
}

int stand_in_open(int *ret, const char *interface, json_object *result)
{
        _cleanup_(fd_closep) int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
        _cleanup_(fd_closep) int made = FD_NONE;
        Addresses addresses = {.texts = strv_new()};
        int r = own < 0 ? errno_neg() : addresses.texts ? 0 : -ENOMEM;

        if (r >= 0) {
                cni_result_addresses(result, add_address, &addresses);
                r = addresses.r;
        }
        if (r >= 0 && unshare(CLONE_NEWNET) < 0)
                r = errno_neg();
        if (r >= 0) {
                made = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
                r = made < 0 ? errno_neg() : stand_in_fill(interface, addresses.texts, made);
                /* What follows belongs to the host's own namespace, or must not happen. */
                if (setns(own, CLONE_NEWNET) < 0)
                        r = errno_neg();
        }
        strv_free(addresses.texts);
        if (r < 0)
                return r;
        *ret = TAKE_FD(made);
        return 0;
}
