/* libnl's ways, made ours; see netlink.h. */
#include <errno.h>
#include <linux/rtnetlink.h>
#include <netlink/errno.h>

#include "uvmd/net/netlink.h"

int netlink_open(struct nl_sock **ret)
{
        _cleanup_(nl_socket_freep) struct nl_sock *socket = nl_socket_alloc();
        int r;

        if (!socket)
                return -ENOMEM;
        r = netlink_error(nl_connect(socket, NETLINK_ROUTE));
        if (r < 0)
                return r;
        *ret = TAKE_PTR(socket);
        return 0;
}

/* The inverse of libnl's nl_syserr2nlerr(), as far as there is one. */
int netlink_error(int nl)
{
        static const struct {
                int nl, error;
        } table[] = {
                {NLE_INTR, EINTR},           {NLE_AGAIN, EAGAIN},
                {NLE_EXIST, EEXIST},         {NLE_NOMEM, ENOMEM},
                {NLE_INVAL, EINVAL},         {NLE_RANGE, ERANGE},
                {NLE_OPNOTSUPP, EOPNOTSUPP}, {NLE_AF_NOSUPPORT, EAFNOSUPPORT},
                {NLE_OBJ_NOTFOUND, ENOENT},  {NLE_NOADDR, EADDRNOTAVAIL},
                {NLE_NOACCESS, EACCES},      {NLE_PERM, EPERM},
                {NLE_BUSY, EBUSY},           {NLE_NODEV, ENODEV},
                {NLE_DUMP_INTR, EINTR},
        };

        if (nl >= 0)
                return nl;
        for (size_t i = 0; i < ELEMENTSOF(table); i++)
                if (table[i].nl == -nl)
                        return -table[i].error;
        return -EIO;
}
