/* Published ports; see network_ports.h. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/parse.h"
#include "uvmctl/listing.h"
#include "uvmctl/network_ports.h"

/* What uvmd says of one: "[ADDRESS:]HOST[-LAST]:GUEST[-LAST][/PROTOCOL]". */
typedef struct Port {
        const char *address; /* with its colon; not ended by a NUL */
        size_t n_address;
        uint32_t host, guest, n;
        const char *protocol;
} Port;

/* "80" or "8000-8010" at @text, @size bytes. */
static bool read_range(const char *text, size_t size, uint32_t *ret_first, uint32_t *ret_n)
{
        char copy[16], *dash;
        uint32_t last;

        if (size >= sizeof(copy))
                return false;
        memcpy(copy, text, size);
        copy[size] = 0;
        dash = strchr(copy, '-');
        if (dash)
                *dash++ = 0;
        if (parse_u32(copy, 1, UINT16_MAX, ret_first) < 0)
                return false;
        last = *ret_first;
        if (dash && parse_u32(dash, last, UINT16_MAX, &last) < 0)
                return false;
        *ret_n = last - *ret_first + 1;
        return true;
}

static bool read_port(const char *text, Port *ret)
{
        const char *colon = strrchr(text, ':'), *slash = colon ? strchr(colon, '/') : NULL;
        const char *host = colon;
        Port port = {.address = "0.0.0.0:", .n_address = strlen("0.0.0.0:")};

        if (!colon)
                return false;
        port.protocol = slash ? slash + 1 : "tcp";
        while (host > text && host[-1] != ':')
                host--;
        if (host > text) {
                port.address = text;
                port.n_address = (size_t)(host - text);
        }
        if (!read_range(host, (size_t)(colon - host), &port.host, &port.n) ||
            !read_range(colon + 1, slash ? (size_t)(slash - colon - 1) : strlen(colon + 1),
                        &port.guest, &port.n))
                return false;
        *ret = port;
        return true;
}

static void print_range(FILE *to, uint32_t first, uint32_t n)
{
        fprintf(to, "%" PRIu32, first);
        if (n > 1)
                fprintf(to, "-%" PRIu32, first + n - 1);
}

void network_print_port_arrow(FILE *to, const char *text)
{
        Port port;

        if (!read_port(text, &port))
                return;
        fprintf(to, "%.*s", (int)port.n_address, port.address);
        print_range(to, port.host, port.n);
        fputs("->", to);
        print_range(to, port.guest, port.n);
        fprintf(to, "/%s", port.protocol);
}

void network_print_port_line(FILE *to, const char *text)
{
        Port port;

        if (!read_port(text, &port))
                return;
        for (uint32_t i = 0; i < port.n; i++)
                fprintf(to, "%" PRIu32 "/%s -> %.*s%" PRIu32 "\n", port.guest + i, port.protocol,
                        (int)port.n_address, port.address, port.host + i);
}

/* The n-th text of a sandbox's ports; NULL behind the last. */
static const char *port_text(json_object *sandbox, size_t n)
{
        json_object *networks = NULL, *ports;

        json_object_object_get_ex(sandbox, "Networks", &networks);
        for (size_t i = 0; networks && i < json_object_array_length(networks); i++) {
                if (!json_object_object_get_ex(json_object_array_get_idx(networks, i), "Ports",
                                               &ports))
                        continue;
                if (n < json_object_array_length(ports))
                        return json_object_get_string(json_object_array_get_idx(ports, n));
                n -= json_object_array_length(ports);
        }
        return NULL;
}

void network_print_ports(json_object *sandbox, FILE *to, const char *between,
                         NetworkPrintPort print)
{
        const char *text;

        for (size_t i = 0; (text = port_text(sandbox, i)); i++) {
                if (i > 0)
                        fputs(between, to);
                print(to, text);
        }
}

unsigned network_print_port_of(json_object *sandbox, FILE *to, const char *wanted)
{
        size_t size = strcspn(wanted, "/");
        const char *protocol = wanted[size] ? wanted + size + 1 : "tcp", *text;
        uint32_t number, n;
        unsigned found = 0;

        if (!read_range(wanted, size, &number, &n))
                return 0;
        for (size_t i = 0; (text = port_text(sandbox, i)); i++) {
                Port port;

                if (!read_port(text, &port) || strcmp(port.protocol, protocol) != 0 ||
                    number < port.guest || number - port.guest >= port.n)
                        continue;
                fprintf(to, "%.*s%" PRIu32 "\n", (int)port.n_address, port.address,
                        port.host + number - port.guest);
                found++;
        }
        return found;
}

/* ------------------------------------------------------------------ what an image exposes */

static json_object *find_image(json_object *images, const char *name)
{
        for (size_t i = 0; i < json_object_array_length(images); i++) {
                json_object *image = json_object_array_get_idx(images, i);

                if (strcmp(client_json_string(image, "Name"), name) == 0 ||
                    strcmp(client_json_string(image, "Id"), name) == 0)
                        return image;
        }
        return NULL;
}

int network_publish_exposed(NetworkOptions *options, sd_bus *bus, const char *name)
{
        json_object *image, *ports;

        if (!options->publish_all)
                return 0;
        options->images = listing_load(bus, "ListImages");
        if (!options->images)
                return CLIENT_EXIT_FAILED;
        image = find_image(options->images, name);
        /* Without such an image CreateContainer says so. */
        if (!image || !json_object_object_get_ex(image, "ExposedPorts", &ports))
                return 0;
        for (size_t i = 0; i < json_object_array_length(ports); i++)
                network_add_port(options,
                                 json_object_get_string(json_object_array_get_idx(ports, i)));
        return 0;
}
