/*
 * Sysctls of a namespace that a container would notice; see describe.h. What is as in a new kernel isn't
 * told. Sizes that a kernel derives from its memory are not among them: the guest's is its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <netlink/route/link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "uvmd/net/describe_parts.h"

typedef struct Setting {
        const char *key, *otherwise; /* the kernel's own value (ip-sysctl.rst) */
} Setting;

/* In this order they are written: forwarding changes others. */
static const Setting settings_global[] = {
        {"net/ipv4/ip_forward", "0"},
        {"net/ipv4/ip_default_ttl", "64"},
        {"net/ipv4/ip_local_port_range", "32768\t60999"},
        {"net/ipv4/ip_local_reserved_ports", ""},
        {"net/ipv4/ip_unprivileged_port_start", "1024"},
        {"net/ipv4/ip_nonlocal_bind", "0"},
        {"net/ipv4/ip_no_pmtu_disc", "0"},
        {"net/ipv4/ping_group_range", "1\t0"},
        {"net/ipv4/icmp_echo_ignore_all", "0"},
        {"net/ipv4/icmp_echo_ignore_broadcasts", "1"},
        {"net/ipv4/fib_multipath_hash_policy", "0"},
        {"net/ipv4/fwmark_reflect", "0"},
        {"net/ipv4/tcp_fwmark_accept", "0"},
        {"net/ipv4/tcp_fin_timeout", "60"},
        {"net/ipv4/tcp_keepalive_time", "7200"},
        {"net/ipv4/tcp_keepalive_intvl", "75"},
        {"net/ipv4/tcp_keepalive_probes", "9"},
        {"net/ipv4/tcp_mtu_probing", "0"},
        {"net/ipv4/tcp_retries1", "3"},
        {"net/ipv4/tcp_retries2", "15"},
        {"net/ipv4/tcp_sack", "1"},
        {"net/ipv4/tcp_slow_start_after_idle", "1"},
        {"net/ipv4/tcp_syn_retries", "6"},
        {"net/ipv4/tcp_synack_retries", "5"},
        {"net/ipv4/tcp_syncookies", "1"},
        {"net/ipv4/tcp_timestamps", "1"},
        {"net/ipv4/tcp_tw_reuse", "2"},
        {"net/ipv4/tcp_window_scaling", "1"},
        {"net/ipv6/bindv6only", "0"},
        {"net/ipv6/ip_nonlocal_bind", "0"},
        {"net/ipv6/fwmark_reflect", "0"},
        {"net/core/somaxconn", "4096"},
};

static const Setting settings_v4[] = {
        {"accept_local", "0"},   {"accept_redirects", "1"}, {"arp_announce", "0"},
        {"arp_filter", "0"},     {"arp_ignore", "0"},       {"forwarding", "0"},
        {"log_martians", "0"},   {"proxy_arp", "0"},        {"route_localnet", "0"},
        {"rp_filter", "0"},      {"secure_redirects", "1"}, {"send_redirects", "1"},
        {"src_valid_mark", "0"},
};

static const Setting settings_v6[] = {
        {"disable_ipv6", "0"}, {"accept_ra", "1"},    {"accept_redirects", "1"},
        {"autoconf", "1"},     {"forwarding", "0"},   {"hop_limit", "64"},
        {"proxy_ndp", "0"},    {"use_tempaddr", "0"},
};

/* ------------------------------------------------------------------ reading */

/* Without the newline. False: this kernel has none, or it is too long to be told. */
static bool setting_read(const char *key, char *value, size_t room)
{
        _cleanup_(fd_closep) int fd = FD_NONE;
        char path[256];
        ssize_t n;

        if (snprintf(path, sizeof(path), "/proc/sys/%s", key) >= (int)sizeof(path))
                return false;
        fd = open(path, O_RDONLY | O_CLOEXEC);
        n = fd < 0 ? -1 : read(fd, value, room - 1);
        if (n < 0 || (size_t)n == room - 1)
                return false;
        value[n] = 0;
        value[strcspn(value, "\n")] = 0;
        return true;
}

static int setting_add(CodecStrings *settings, const char *key, const char *value)
{
        char **item, *text;

        if (strlen(key) + 1 + strlen(value) > AGENT_SETTING_MAX)
                return 0;
        if (asprintf(&text, "%s=%s", key, value) < 0)
                return -ENOMEM;
        item = reallocarray(settings->items, settings->n + 2, sizeof(*item));
        if (!item) {
                free(text);
                return -ENOMEM;
        }
        settings->items = item;
        item[settings->n++] = text;
        item[settings->n] = NULL;
        return 0;
}

static int add_unless(CodecStrings *settings, const char *key, const char *otherwise)
{
        char value[AGENT_SETTING_MAX];

        if (!setting_read(key, value, sizeof(value)) || strcmp(value, otherwise) == 0)
                return 0;
        return setting_add(settings, key, value);
}

/* @of: "all", "default" or an interface. What an interface takes from "default" counts there. */
static int add_family(CodecStrings *settings, const char *family, const Setting *table, size_t n,
                      const char *of, bool with_default)
{
        int r = 0;

        for (size_t i = 0; r >= 0 && i < n; i++) {
                char key[128], value[AGENT_SETTING_MAX];
                bool changed = false;

                snprintf(key, sizeof(key), "net/%s/conf/default/%s", family, table[i].key);
                if (with_default)
                        changed = setting_read(key, value, sizeof(value)) &&
                                  strcmp(value, table[i].otherwise) != 0;
                snprintf(key, sizeof(key), "net/%s/conf/%s/%s", family, of, table[i].key);
                r = add_unless(settings, key, changed ? "" : table[i].otherwise);
        }
        return r;
}

static int add_conf(CodecStrings *settings, const char *of, bool with_default)
{
        int r = add_family(settings, "ipv4", settings_v4, ELEMENTSOF(settings_v4), of,
                           with_default);

        return r < 0 ? r
                     : add_family(settings, "ipv6", settings_v6, ELEMENTSOF(settings_v6), of,
                                  with_default);
}

static int copy_settings(CodecStrings *into, const CodecStrings *from)
{
        int r = 0;

        for (uint32_t i = 0; r >= 0 && i < from->n; i++) {
                char *copy = strdup(from->items[i]), *value = copy ? strchr(copy, '=') : NULL;

                if (value)
                        *value++ = 0;
                r = value ? setting_add(into, copy, value) : -ENOMEM;
                free(copy);
        }
        return r;
}

/* An interface's once for when it comes and once behind "all", which may have changed them. */
int describe_settings(NetReport *report)
{
        CodecStrings *all = &report->routing.settings;
        int r = 0;

        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(settings_global); i++)
                r = add_unless(all, settings_global[i].key, settings_global[i].otherwise);
        if (r >= 0)
                r = add_conf(all, "all", false);
        if (r >= 0)
                r = add_conf(all, "default", false);
        if (r >= 0)
                r = add_unless(all, "net/ipv6/conf/lo/disable_ipv6", "0");
        for (uint32_t i = 0; r >= 0 && i < report->n_interfaces; i++) {
                AgentNetwork *network = &report->interfaces[i].network;

                r = add_conf(&network->settings, network->name, true);
                if (r >= 0)
                        r = copy_settings(all, &network->settings);
        }
        return r;
}

/* ------------------------------------------------------------------ what is told again */

static const char *find_in(const Setting *table, size_t n, const char *key)
{
        for (size_t i = 0; i < n; i++)
                if (strcmp(table[i].key, key) == 0)
                        return table[i].otherwise;
        return NULL;
}

static const char *setting_otherwise(const char *key)
{
        const char *last = strrchr(key, '/') + 1;

        if (!strstr(key, "/conf/"))
                return find_in(settings_global, ELEMENTSOF(settings_global), key);
        return strncmp(key, "net/ipv4/", strlen("net/ipv4/")) == 0
                       ? find_in(settings_v4, ELEMENTSOF(settings_v4), last)
                       : find_in(settings_v6, ELEMENTSOF(settings_v6), last);
}

static bool has_key(const CodecStrings *settings, const char *key)
{
        size_t size = strlen(key);

        for (uint32_t i = 0; i < settings->n; i++)
                if (strncmp(settings->items[i], key, size) == 0 && settings->items[i][size] == '=')
                        return true;
        return false;
}

/* Those of an interface that is gone went with it. */
static bool key_is_there(const NetReport *report, const char *key)
{
        const char *conf = strstr(key, "/conf/"), *name = conf ? conf + strlen("/conf/") : NULL;
        size_t size = name ? strcspn(name, "/") : 0;

        if (!name || strncmp(name, "all/", 4) == 0 || strncmp(name, "default/", 8) == 0 ||
            strncmp(name, "lo/", 3) == 0)
                return true;
        for (uint32_t i = 0; i < report->n_interfaces; i++) {
                const char *own = report->interfaces[i].network.name;

                if (own && strlen(own) == size && strncmp(own, name, size) == 0)
                        return true;
        }
        return false;
}

int net_settings_complete(NetReport *report, const CodecStrings *before)
{
        CodecStrings *now = &report->routing.settings;
        int r = 0;

        for (uint32_t i = 0; r >= 0 && i < before->n; i++) {
                char *key = strdup(before->items[i]);
                const char *otherwise = NULL;

                if (!key)
                        return -ENOMEM;
                key[strcspn(key, "=")] = 0;
                if (!has_key(now, key) && key_is_there(report, key))
                        otherwise = setting_otherwise(key);
                if (otherwise)
                        r = setting_add(now, key, otherwise);
                free(key);
        }
        return r;
}
