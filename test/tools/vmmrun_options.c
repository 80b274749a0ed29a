/* The command line of vmmrun; see vmmrun.c for what it is. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "base/parse.h"
#include "test/tools/vmmrun.h"

static int parse_p9(Run *run, char *text)
{
        char *colon = strrchr(text, ':');

        if (!colon || run->n_p9 == RUN_P9_MAX)
                return -EINVAL;
        *colon = 0;
        run->throttle = &run->p9[run->n_p9].throttle;
        run->p9[run->n_p9].directory = text;
        run->p9[run->n_p9++].tag = colon + 1;
        return 0;
}

static int parse_disk(Run *run, char *text)
{
        char *colon = strrchr(text, ':');

        if (run->n_disks == RUN_DISKS_MAX)
                return -E2BIG;
        run->disks[run->n_disks].read_only = colon && strcmp(colon, ":ro") == 0;
        if (run->disks[run->n_disks].read_only)
                *colon = 0;
        run->throttle = &run->disks[run->n_disks].throttle;
        run->disks[run->n_disks++].file = text;
        return 0;
}

static int parse_mac(const char *text, uint8_t ret[CONTROL_MAC_SIZE])
{
        unsigned bytes[CONTROL_MAC_SIZE];

        if (sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x", &bytes[0], &bytes[1], &bytes[2], &bytes[3],
                   &bytes[4], &bytes[5]) != CONTROL_MAC_SIZE)
                return -EINVAL;
        for (unsigned i = 0; i < CONTROL_MAC_SIZE; i++)
                ret[i] = (uint8_t)bytes[i];
        return control_mac_is_valid(ret) ? 0 : -EINVAL;
}

static int parse_net(Run *run, char *text)
{
        uint8_t mac[CONTROL_MAC_SIZE] = {0x02, 0x75, 0x56, 0x4d, 0, (uint8_t)run->n_nets};
        char *state = NULL, *part = strtok_r(text, ",", &state);
        int r = 0;

        if (run->n_nets == RUN_NETS_MAX || !part)
                return -EINVAL;
        run->throttle = &run->nets[run->n_nets].transmit;
        run->nets[run->n_nets].tap = part;
        run->nets[run->n_nets].queues = 1;
        while (r == 0 && (part = strtok_r(NULL, ",", &state))) {
                if (strcmp(part, "vhost") == 0)
                        run->nets[run->n_nets].vhost = true;
                else if (strncmp(part, "mac=", 4) == 0)
                        r = parse_mac(part + 4, mac);
                else if (strncmp(part, "queues=", 7) == 0)
                        r = parse_u32(part + 7, 1, CONTROL_NET_QUEUES_MAX,
                                      &run->nets[run->n_nets].queues);
                else if (strncmp(part, "mtu=", 4) == 0)
                        r = parse_u32(part + 4, CONTROL_NET_MTU_MIN, CONTROL_NET_MTU_MAX,
                                      &run->nets[run->n_nets].mtu);
                else
                        r = -EINVAL;
        }
        memcpy(run->nets[run->n_nets].mac, mac, sizeof(mac));
        run->n_nets++;
        return r;
}

static int parse_throttle(Run *run, char *text)
{
        char *colon = strchr(text, ':');
        int r;

        if (!colon || !run->throttle)
                return -EINVAL;
        *colon = 0;
        r = parse_u64(text, 0, THROTTLE_MAX, &run->throttle->bytes);
        return r < 0 ? r : parse_u64(colon + 1, 0, THROTTLE_MAX, &run->throttle->ops);
}

static int parse_memory(Run *run, const char *text)
{
        uint32_t mib;
        int r = parse_u32(text, 1, 1 << 20, &mib);

        run->configure.memory_bytes = (uint64_t)mib << 20;
        return r;
}

/* MIB of memory that may be plugged. */
static int parse_mem(Run *run, const char *text)
{
        uint32_t mib;
        int r = parse_u32(text, 1, 1 << 20, &mib);

        run->mem = true;
        run->configure.memory_max_bytes = (uint64_t)mib << 20; /* the rest is added at the end */
        return r;
}

/* TEXT=vcpus:N, TEXT=balloon:MIB, TEXT=mem:MIB or TEXT=link:0 or 1 */
static int parse_at(Run *run, char *text)
{
        RunAt *at = &run->at[run->n_at];
        char *equals = strrchr(text, '='), *colon = strrchr(text, ':');
        uint32_t number;

        if (!equals || !colon || colon < equals || run->n_at == RUN_AT_MAX ||
            equals - text > RUN_TAIL_SIZE || parse_u32(colon + 1, 0, 1 << 20, &number) < 0)
                return -EINVAL;
        *equals = *colon = 0;
        *at = (RunAt){.text = text, .type = CONTROL_RESIZE, .number = (uint64_t)number << 20};
        if (strcmp(equals + 1, "vcpus") == 0)
                at->type = CONTROL_SET_VCPUS, at->number = number;
        else if (strcmp(equals + 1, "link") == 0)
                at->type = CONTROL_SET_LINK, at->device = CONTROL_DEVICE_NET, at->number = number;
        else if (strcmp(equals + 1, "balloon") == 0)
                at->device = CONTROL_DEVICE_BALLOON;
        else if (strcmp(equals + 1, "mem") == 0)
                at->device = CONTROL_DEVICE_MEM;
        else
                return -EINVAL;
        run->n_at++;
        return 0;
}

static int parse_port(Run *run, const char *text)
{
        if (run->n_ports == RUN_PORTS_MAX)
                return -E2BIG;
        return parse_u32(text, 0, UINT32_MAX, &run->ports[run->n_ports++]);
}

static int parse_option(Run *run, int option, char *value)
{
        ControlConfigure *configure = &run->configure;

        switch (option) {
        case 'f':
                run->firmware = value;
                return 0;
        case 'm':
                return parse_memory(run, value);
        case 'c':
                return parse_u32(value, 1, CONTROL_VCPUS_MAX, &configure->vcpus);
        case 'C':
                return parse_u32(value, 1, CONTROL_VCPUS_MAX, &configure->max_vcpus);
        case 's':
                return parse_u32(value, 0, CONTROL_SLOTS_MAX, &configure->slots);
        case 'l':
                snprintf(configure->cmdline, sizeof(configure->cmdline), "%s", value);
                return 0;
        case '9':
                return parse_p9(run, value);
        case 'd':
                return parse_disk(run, value);
        case 'n':
                return parse_net(run, value);
        case 'h':
                return parse_throttle(run, value);
        case 'v':
                return parse_port(run, value);
        case 'R':
                run->no_rng = true;
                return 0;
        case 'J':
                run->no_jail = true;
                return 0;
        case 'p':
                run->vmm = value;
                return 0;
        case 't':
                return parse_u32(value, 1, 3600, &run->time_limit);
        case 'S':
                run->stop_at = value;
                return strlen(value) <= RUN_TAIL_SIZE ? 0 : -EINVAL;
        case 'T':
                run->toggle_at = value;
                return strlen(value) <= RUN_TAIL_SIZE ? 0 : -EINVAL;
        case 'A':
                run->stats_at = value;
                return strlen(value) <= RUN_TAIL_SIZE ? 0 : -EINVAL;
        case 'a':
                return parse_at(run, value);
        case 'b':
                run->balloon = true;
                return 0;
        case 'M':
                return parse_mem(run, value);
        case 'g':
                run->configure.flags |= CONTROL_CONFIGURE_MERGE_PAGES;
                return 0;
        case 'P':
                run->want_phases = true;
                return 0;
        case 'X':
                run->want_stats = true;
                return 0;
        }
        return -EINVAL;
}

int vmmrun_parse(Run *run, int argc, char **argv)
{
        static const struct option options[] = {
                {"firmware", required_argument, NULL, 'f'},
                {"memory", required_argument, NULL, 'm'},
                {"vcpus", required_argument, NULL, 'c'},
                {"max-vcpus", required_argument, NULL, 'C'},
                {"slots", required_argument, NULL, 's'},
                {"cmdline", required_argument, NULL, 'l'},
                {"p9", required_argument, NULL, '9'},
                {"disk", required_argument, NULL, 'd'},
                {"net", required_argument, NULL, 'n'},
                {"throttle", required_argument, NULL, 'h'},
                {"vsock-listen", required_argument, NULL, 'v'},
                {"no-rng", no_argument, NULL, 'R'},
                {"no-jail", no_argument, NULL, 'J'},
                {"vmm", required_argument, NULL, 'p'},
                {"time-limit", required_argument, NULL, 't'},
                {"stop-at", required_argument, NULL, 'S'},
                {"toggle-at", required_argument, NULL, 'T'},
                {"stats-at", required_argument, NULL, 'A'},
                {"at", required_argument, NULL, 'a'},
                {"balloon", no_argument, NULL, 'b'},
                {"mem", required_argument, NULL, 'M'},
                {"merge-pages", no_argument, NULL, 'g'},
                {"phases", no_argument, NULL, 'P'},
                {"stats", no_argument, NULL, 'X'},
                {},
        };
        int option, r;

        while ((option = getopt_long(argc, argv, "", options, NULL)) >= 0) {
                r = parse_option(run, option, optarg);
                if (r < 0) {
                        fprintf(stderr, "vmmrun: wrong option or value: %s\n", argv[optind - 1]);
                        return r;
                }
        }
        if (!run->firmware || optind != argc) {
                fputs("vmmrun: --firmware FILE is needed\n", stderr);
                return -EINVAL;
        }
        if (run->configure.max_vcpus < run->configure.vcpus)
                run->configure.max_vcpus = run->configure.vcpus;
        if (run->mem)
                run->configure.memory_max_bytes += run->configure.memory_bytes;
        return 0;
}
