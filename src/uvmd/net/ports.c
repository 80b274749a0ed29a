/* Published ports and the host; see ports.h. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/error.h"
#include "base/fd.h"
#include "uvmd/errors.h"
#include "uvmd/net/network_guest.h"
#include "uvmd/net/port_spec.h"
#include "uvmd/net/ports.h"
#include "uvmd/sandbox.h"

#define PORTS_TRIES 64 /* ranges that are looked at before none is free */

/* ------------------------------------------------------------------ programs of the host */

/* *port 0: whichever is free, and *port is it then. */
static int try_bind(const PortSpec *spec, int family, uint16_t *port)
{
        _cleanup_(fd_closep) int fd = socket(
                family, (spec->udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0);
        struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(*port)};
        struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(*port)};
        struct sockaddr *address = family == AF_INET ? (void *)&four : (void *)&six;
        socklen_t size = family == AF_INET ? sizeof(four) : sizeof(six);

        if (fd < 0)
                return errno_neg();
        /* What only lingers is in nobody's way; a listener is all the same. */
        if (!spec->udp && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)) < 0)
                return errno_neg();
        if (family == AF_INET6 &&
            setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &(int){1}, sizeof(int)) < 0)
                return errno_neg();
        if (spec->address[0])
                inet_pton(family, spec->address,
                          family == AF_INET ? (void *)&four.sin_addr : (void *)&six.sin6_addr);
        if (bind(fd, address, size) < 0 || getsockname(fd, address, &size) < 0)
                return errno_neg();
        *port = ntohs(family == AF_INET ? four.sin_port : six.sin6_port);
        return 0;
}

/* On all the addresses that it means; a host without IPv6 has none of those. */
static int try_port(const PortSpec *spec, uint16_t *port)
{
        int r;

        if (spec->address[0])
                return try_bind(spec, strchr(spec->address, ':') ? AF_INET6 : AF_INET, port);
        r = try_bind(spec, AF_INET, port);
        if (r >= 0)
                r = try_bind(spec, AF_INET6, port);
        return r == -EAFNOSUPPORT || r == -EADDRNOTAVAIL ? 0 : r;
}

static int explain(const PortSpec *spec, uint16_t port, int r, sd_bus_error *error)
{
        const char *protocol = spec->udp ? "udp" : "tcp";

        if (r == -EADDRINUSE)
                return error_set(error, r, ERROR_PORT_IN_USE,
                                 "Port %u/%s of this host is in use by a program; \"ss -Hlnp sport "
                                 "= %u\" says which.",
                                 port, protocol, port);
        if (r == -EADDRNOTAVAIL)
                return error_set(error, r, ERROR_INVALID_ARGUMENT,
                                 "This host has no address %s to publish a port on.",
                                 spec->address);
        return error_set(error, r, ERROR_FAILED, "Can't try port %u/%s of this host: %s.", port,
                         protocol, strerror(-r));
}

int ports_check_host(char *const *ports, sd_bus_error *error)
{
        for (; ports && *ports; ports++) {
                PortSpec spec;
                int r = port_spec_parse(&spec, *ports);

                for (unsigned i = 0; r >= 0 && i < spec.n; i++) {
                        uint16_t port = (uint16_t)(spec.host + i);

                        r = try_port(&spec, &port);
                        if (r < 0)
                                return explain(&spec, port, r, error);
                }
                if (r < 0)
                        return r;
        }
        return 0;
}

/* ------------------------------------------------------------------ sandboxes */

static bool collides_with(char *const *ports, const PortSpec *spec)
{
        PortSpec other;

        for (; ports && *ports; ports++)
                if (port_spec_parse(&other, *ports) >= 0 && port_spec_collides(&other, spec))
                        return true;
        return false;
}

/* The first attachment that has one of them, of those @is_asked says yes to. */
static const NetworkAttachment *find_user(Manager *manager, const PortSpec *spec,
                                          bool (*is_asked)(const NetworkAttachment *at,
                                                           const void *userdata),
                                          const void *userdata)
{
        Sandbox *sandbox, *next;

        HASH_ITER (hh, manager->sandboxes, sandbox, next)
                for_each_attachment (attachment, &sandbox->network)
                        if (is_asked(attachment, userdata) &&
                            collides_with(attachment->config.ports, spec))
                                return attachment;
        return NULL;
}

static bool is_there(const NetworkAttachment *at, const void *userdata)
{
        return at != userdata && at->state != ATTACHMENT_ABSENT;
}

int ports_check_sandboxes(const NetworkAttachment *attachment, sd_bus_error *error)
{
        char *const *ports = attachment->config.ports;

        for (; ports && *ports; ports++) {
                const NetworkAttachment *user;
                PortSpec spec;
                int r = port_spec_parse(&spec, *ports);

                if (r < 0)
                        return r;
                user = find_user(attachment->sandbox->manager, &spec, is_there, attachment);
                if (user)
                        return error_set(error, -EADDRINUSE, ERROR_PORT_IN_USE,
                                         "\"%s\" wants a port of this host that the sandbox "
                                         "\"%s\" publishes.",
                                         *ports, user->sandbox->name);
        }
        return 0;
}

/* ------------------------------------------------------------------ free ones */

static bool is_any(const NetworkAttachment *at, const void *userdata)
{
        return true;
}

static bool all_are_free(const PortSpec *spec)
{
        for (unsigned i = 0; i < spec->n; i++) {
                uint16_t port = (uint16_t)(spec->host + i);

                if (spec->host + i > UINT16_MAX || try_port(spec, &port) < 0)
                        return false;
        }
        return true;
}

/* The kernel chooses where to look: it knows which are meant for such use. */
static int choose(Manager *manager, char *const *ports, PortSpec *spec, sd_bus_error *error)
{
        for (int i = 0; i < PORTS_TRIES; i++) {
                int r;

                spec->host = 0;
                r = try_bind(spec, strchr(spec->address, ':') ? AF_INET6 : AF_INET, &spec->host);
                if (r < 0)
                        return explain(spec, 0, r, error);
                if (all_are_free(spec) && !collides_with(ports, spec) &&
                    !find_user(manager, spec, is_any, NULL))
                        return 0;
        }
        return error_set(error, -EADDRINUSE, ERROR_PORT_IN_USE,
                         "This host has no %u free ports one after the other.", spec->n);
}

int ports_choose(Manager *manager, NetworkConfig *config, sd_bus_error *error)
{
        for (char **at = config->ports; at && *at; at++) {
                char text[PORT_SPEC_TEXT_MAX], *chosen;
                PortSpec spec;
                int r = port_spec_parse(&spec, *at);

                if (r < 0)
                        return r;
                if (spec.host)
                        continue;
                r = choose(manager, config->ports, &spec, error);
                if (r < 0)
                        return r;
                port_spec_format(&spec, text);
                chosen = strdup(text);
                if (!chosen)
                        return -ENOMEM;
                free(*at);
                *at = chosen;
        }
        return 0;
}
