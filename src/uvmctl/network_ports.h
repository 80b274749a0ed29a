/* Published ports: those that an image exposes, and how those of a sandbox are printed. */
#pragma once

#include <stdio.h>

#include "uvmctl/network.h"

/* -P: adds the ports that the image @name exposes to those to be published. A status. */
int network_publish_exposed(NetworkOptions *options, sd_bus *bus, const char *name);

/*
 * Published ports of a sandbox's properties: calls @print for each "[ADDRESS:]HOST:GUEST[/PROTOCOL]" that
 * its networks have, with @between in between. A sandbox without networks has none.
 */
typedef void (*NetworkPrintPort)(FILE *to, const char *port);
void network_print_ports(json_object *sandbox, FILE *to, const char *between,
                         NetworkPrintPort print);

/* "0.0.0.0:8080->80/tcp", as podman's ps has it. */
void network_print_port_arrow(FILE *to, const char *port);

/* "80/tcp -> 0.0.0.0:8080", a line for each port of a range, as podman's port has it. */
void network_print_port_line(FILE *to, const char *port);

/* "0.0.0.0:8080" for each place that leads to @wanted, "80" or "80/tcp". How many there are. */
unsigned network_print_port_of(json_object *sandbox, FILE *to, const char *wanted);
