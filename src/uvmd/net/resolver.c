/* Name servers of guests; see resolver.h. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/io.h"
#include "base/log.h"
#include "uvmd/net/cni_result.h"
#include "uvmd/net/network_spec.h"
#include "uvmd/net/resolver.h"
#include "uvmd/strv.h"

#define RESOLVER_WORD_MAX 256

/* ------------------------------------------------------------------ resolv.conf */

/* One that means something else, or nothing, to a guest. */
static bool is_unreachable(const char *address)
{
        struct in6_addr six;
        struct in_addr four;

        if (inet_pton(AF_INET, address, &four) == 1)
                return ntohl(four.s_addr) >> 24 == 127 || four.s_addr == 0;
        if (inet_pton(AF_INET6, address, &six) != 1)
                return true;
        return IN6_IS_ADDR_LOOPBACK(&six) || IN6_IS_ADDR_UNSPECIFIED(&six) ||
               IN6_IS_ADDR_LINKLOCAL(&six);
}

static int add(char ***array, const char *word)
{
        if (!*array)
                *array = strv_new();
        if (!*array)
                return -ENOMEM;
        return strv_length(*array) < CONFIG_DNS_MAX ? strv_append(array, word) : 0;
}

static int add_nameserver(Resolver *resolver, char *word)
{
        char *zone = strchr(word, '%');

        if (zone)
                *zone = 0;
        if (!network_address_is_valid(word))
                return 0;
        if (zone || is_unreachable(word)) {
                resolver->n_loopback++;
                return 0;
        }
        return add(&resolver->nameservers, word);
}

/* The last "search" or "domain" counts, all "options" do. */
static int parse_line(Resolver *resolver, char *line)
{
        static const char blanks[] = " \t\r";
        char *state, *key = strtok_r(line, blanks, &state), *word;
        int r = 0;

        if (!key)
                return 0;
        if (strcmp(key, "search") == 0 || strcmp(key, "domain") == 0)
                resolver->search = strv_free(resolver->search);
        while (r >= 0 && (word = strtok_r(NULL, blanks, &state))) {
                if (strcmp(key, "nameserver") == 0)
                        return add_nameserver(resolver, word);
                if (!network_word_is_valid(word))
                        continue;
                if (strcmp(key, "search") == 0 || strcmp(key, "domain") == 0)
                        r = add(&resolver->search, word);
                else if (strcmp(key, "options") == 0)
                        r = add(&resolver->options, word);
        }
        return r;
}

int resolver_parse(Resolver *ret, const char *text, size_t size)
{
        _cleanup_(resolver_done) Resolver resolver = {};

        while (size > 0) {
                const char *newline = memchr(text, '\n', size);
                size_t n = newline ? (size_t)(newline - text) : size;
                _cleanup_(freep) char *line = strndup(text, n);
                int r = -ENOMEM;

                if (line)
                        r = line[0] == '#' || line[0] == ';' ? 0 : parse_line(&resolver, line);
                if (r < 0)
                        return r;
                n += newline ? 1 : 0;
                text += n;
                size -= n;
        }
        *ret = resolver;
        resolver = (Resolver){};
        return 0;
}

void resolver_done(Resolver *resolver)
{
        strv_free(resolver->nameservers);
        strv_free(resolver->search);
        strv_free(resolver->options);
        *resolver = (Resolver){};
}

static int read_file(const char *path, Resolver *ret)
{
        _cleanup_(fd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        _cleanup_(freep) char *text = NULL;
        struct stat st;
        int r;

        if (fd < 0 || fstat(fd, &st) < 0)
                return errno_neg();
        if (!S_ISREG(st.st_mode) || st.st_size > RESOLVER_FILE_MAX)
                return -EFBIG;
        text = malloc((size_t)st.st_size + 1);
        if (!text)
                return -ENOMEM;
        r = io_read_full(fd, text, (size_t)st.st_size);
        return r < 0 ? r : resolver_parse(ret, text, (size_t)st.st_size);
}

/* systemd-resolved keeps the servers that it asks itself in a file of its own. */
static int read_host(Resolver *ret)
{
        Resolver upstream = {};
        int r = read_file("/etc/resolv.conf", ret);

        if (r < 0 || ret->nameservers || ret->n_loopback == 0)
                return r == -ENOENT ? 0 : r;
        if (read_file("/run/systemd/resolve/resolv.conf", &upstream) >= 0 && upstream.nameservers) {
                resolver_done(ret);
                *ret = upstream;
                return 0;
        }
        resolver_done(&upstream);
        log_warning(
                "/etc/resolv.conf names only servers on this host's loopback interface, which no "
                "guest reaches: it gets none; Dns says which to use");
        return 0;
}

/* ------------------------------------------------------------------ the message */

typedef struct Gathering {
        char ***array;
        int r;
} Gathering;

static void gather(const char *text, void *userdata)
{
        Gathering *gathering = userdata;

        if (gathering->r >= 0)
                gathering->r = add(gathering->array, text);
}

static int read_results(Resolver *resolver, json_object *const *results, size_t n)
{
        struct {
                const char *key;
                char ***array;
        } lists[] = {
                {"nameservers", &resolver->nameservers},
                {"search", &resolver->search},
                {"options", &resolver->options},
        };

        for (size_t i = 0; i < n; i++)
                for (size_t j = 0; j < ELEMENTSOF(lists); j++) {
                        Gathering gathering = {.array = lists[j].array};

                        cni_result_dns(results[i], lists[j].key, gather, &gathering);
                        if (gathering.r < 0)
                                return gathering.r;
                }
        return 0;
}

static bool is_given(char *const *strings)
{
        return strings && strings[0];
}

static int fill(CodecStrings *strings, char *const *given, char *const *found)
{
        char **copy = strv_copy((char **)(is_given(given) ? given : found));

        if (!copy)
                return is_given(given) || found ? -ENOMEM : 0;
        strings->n = (uint32_t)strv_length(copy);
        strings->items = copy;
        return 0;
}

static int fill_hosts(CodecStrings *strings, char *const *hosts, char *const *names)
{
        _cleanup_(strv_freep) char **lines = strv_new();
        char line[RESOLVER_WORD_MAX + INET6_ADDRSTRLEN + 8];
        int r = lines ? 0 : -ENOMEM;

        for (; r >= 0 && hosts && *hosts; hosts++) {
                r = network_host_to_line(*hosts, line, sizeof(line));
                if (r >= 0)
                        r = strv_append(&lines, line);
        }
        if (r >= 0 && names)
                r = strv_append_all(&lines, names);
        if (r < 0)
                return r;
        strings->n = (uint32_t)strv_length(lines);
        strings->items = TAKE_PTR(lines);
        return 0;
}

int resolver_make(AgentResolver *ret, const SandboxConfig *config, json_object *const *results,
                  size_t n_results, char *const *names)
{
        _cleanup_(resolver_done) Resolver found = {};
        AgentResolver message = {};
        int r = read_results(&found, results, n_results);

        if (r >= 0 && n_results > 0 && !found.nameservers && !is_given(config->dns)) {
                resolver_done(&found);
                r = read_host(&found);
        }
        if (r >= 0)
                r = fill(&message.nameservers, config->dns, found.nameservers);
        if (r >= 0)
                r = fill(&message.search, config->dns_search, found.search);
        if (r >= 0)
                r = fill(&message.options, config->dns_options, found.options);
        if (r >= 0)
                r = fill_hosts(&message.hosts, config->hosts, names);
        if (r < 0) {
                agent_resolver_done(&message);
                return r;
        }
        *ret = message;
        return 0;
}
