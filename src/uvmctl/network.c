/* Options about networks; see network.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "client/late.h"
#include "uvmctl/network.h"

static void texts_add(NetworkTexts *texts, const char *text)
{
        const char **grown = reallocarray(texts->texts, texts->n + 1, sizeof(*grown));

        if (!grown)
                abort();
        grown[texts->n++] = text;
        texts->texts = grown;
}

/* ------------------------------------------------------------------ parsing */

static int add_network(NetworkOptions *options, const Verb *verb, const char *text,
                       const char *where)
{
        NetworkArg *grown = reallocarray(options->networks, options->n_networks + 1,
                                         sizeof(*grown));
        _cleanup_(freep) char *error = NULL;
        int r;

        if (!grown)
                abort();
        options->networks = grown;
        r = network_arg_parse(&grown[options->n_networks++], text, &error);
        if (r < 0)
                return verb_usage_error(verb, "%s: %s", where, error ? error : strerror(-r));
        return 0;
}

static int add_throttle(NetworkOptions *options, const Verb *verb)
{
        ThrottleArg *grown = reallocarray(options->throttles, options->n_throttles + 1,
                                          sizeof(*grown));
        _cleanup_(freep) char *error = NULL;
        int r;

        if (!grown)
                abort();
        options->throttles = grown;
        r = throttle_arg_parse(&grown[options->n_throttles++], optarg, &error);
        if (r < 0)
                return verb_usage_error(verb, "--network-throttle: %s",
                                        error ? error : strerror(-r));
        return 0;
}

int network_take_option(NetworkOptions *options, const Verb *verb, int option)
{
        switch (option) {
        case NETWORK_OPT_NETWORK:
                return add_network(options, verb, optarg, "--network");
        case 'p':
                network_add_port(options, optarg);
                return 0;
        case 'P':
                options->publish_all = true;
                return 0;
        case NETWORK_OPT_DNS:
                texts_add(&options->dns, optarg);
                return 0;
        case NETWORK_OPT_DNS_SEARCH:
                texts_add(&options->dns_search, optarg);
                return 0;
        case NETWORK_OPT_DNS_OPTION:
                texts_add(&options->dns_options, optarg);
                return 0;
        case NETWORK_OPT_ADD_HOST:
                texts_add(&options->hosts, optarg);
                return 0;
        case NETWORK_OPT_IP:
                texts_add(&options->ips, optarg);
                return 0;
        case NETWORK_OPT_ALIAS:
                texts_add(&options->aliases, optarg);
                return 0;
        case NETWORK_OPT_THROTTLE:
                return add_throttle(options, verb);
        case NETWORK_OPT_MAC:
                options->mac = optarg;
                return 0;
        default:
                return client_fail("wrong arguments\nTry: uvmctl %s --help", verb->name);
        }
}

void network_add_port(NetworkOptions *options, const char *port)
{
        texts_add(&options->ports, port);
}

/* What only a network that plugins make can do. */
static bool wants_plugins(const NetworkOptions *options)
{
        return options->ports.n || options->publish_all || options->ips.n || options->mac ||
               options->aliases.n;
}

bool network_is_given(const NetworkOptions *options)
{
        return options->n_networks || options->dns.n || options->dns_search.n ||
               options->dns_options.n || options->hosts.n || options->n_throttles ||
               wants_plugins(options);
}

/* The value of UVM_NETWORK in the file, in new memory; NULL: it says nothing. */
static char *default_from_file(void)
{
        static const char key[] = "UVM_NETWORK=";
        FILE *file = fopen(NETWORK_DEFAULTS_FILE, "re");
        _cleanup_(freep) char *line = NULL;
        char *found = NULL;
        size_t room = 0;
        ssize_t n;

        while (file && (n = getline(&line, &room, file)) > 0) {
                char *value = line + strlen(key);

                if (strncmp(line, key, strlen(key)) != 0)
                        continue;
                value[strcspn(value, "\n")] = 0;
                if (value[0] == '"' && strlen(value) > 1 && value[strlen(value) - 1] == '"') {
                        value[strlen(value) - 1] = 0;
                        value++;
                }
                free(found);
                found = strdup(value);
        }
        if (file)
                fclose(file);
        return found;
}

int network_complete(NetworkOptions *options, const Verb *verb)
{
        const char *environment = getenv("UVM_NETWORK");
        _cleanup_(freep) char *file = environment ? NULL : default_from_file();
        const char *fallback = environment ? environment : file;

        /* Who says no more than a port means the network that has them. */
        if ((!fallback || !fallback[0]) && wants_plugins(options))
                fallback = NETWORK_IMPLIED;
        if (options->n_networks == 0 && fallback && fallback[0]) {
                int r = add_network(options, verb, fallback, "UVM_NETWORK");

                if (r)
                        return r;
        }
        for (size_t i = 1; i < options->n_networks; i++)
                if (options->networks[i].path)
                        return verb_usage_error(verb, "--network ns:PATH comes first, for the "
                                                      "others go into that namespace");
        return 0;
}

void network_options_done(NetworkOptions *options)
{
        for (size_t i = 0; i < options->n_networks; i++)
                network_arg_done(&options->networks[i]);
        free(options->networks);
        free(options->ports.texts);
        free(options->dns.texts);
        free(options->dns_search.texts);
        free(options->dns_options.texts);
        free(options->hosts.texts);
        free(options->ips.texts);
        free(options->aliases.texts);
        for (size_t i = 0; i < options->n_throttles; i++)
                throttle_arg_done(&options->throttles[i]);
        free(options->throttles);
        json_object_put(options->images);
}

/* ------------------------------------------------------------------ sending */

static int append_text(sd_bus_message *message, const char *key, const char *value)
{
        return value ? sd_bus_message_append(message, "{sv}", key, "s", value) : 0;
}

static int append_number(sd_bus_message *message, const char *key, uint64_t value)
{
        return value ? sd_bus_message_append(message, "{sv}", key, "t", value) : 0;
}

/* Both lists as one; nothing where both are empty. */
static int append_texts(sd_bus_message *message, const char *key, const char *const *first,
                        size_t n_first, const char *const *second, size_t n_second)
{
        int r;

        if (n_first + n_second == 0)
                return 0;
        r = sd_bus_message_open_container(message, 'e', "sv");
        if (r >= 0)
                r = sd_bus_message_append(message, "s", key);
        if (r >= 0)
                r = sd_bus_message_open_container(message, 'v', "as");
        if (r >= 0)
                r = sd_bus_message_open_container(message, 'a', "s");
        for (size_t i = 0; r >= 0 && i < n_first; i++)
                r = sd_bus_message_append(message, "s", first[i]);
        for (size_t i = 0; r >= 0 && i < n_second; i++)
                r = sd_bus_message_append(message, "s", second[i]);
        for (int i = 0; r >= 0 && i < 3; i++)
                r = sd_bus_message_close_container(message);
        return r;
}

static int append_list(sd_bus_message *message, const char *key, const NetworkTexts *texts)
{
        return append_texts(message, key, NULL, 0, texts->texts, texts->n);
}

static int append_namespace(sd_bus_message *message, const char *path)
{
        _cleanup_(fd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

        if (fd < 0) {
                client_warn("cannot open the namespace %s: %s", path, strerror(errno));
                return -EINVAL;
        }
        return sd_bus_message_append(message, "{sv}", "NetworkNamespace", "h", fd);
}

/* @more: what the options say of the first one; NULL: this is another. */
static int append_arg(sd_bus_message *message, const NetworkArg *arg, const NetworkOptions *more)
{
        static const NetworkOptions none = {};
        const NetworkOptions *first = more ? more : &none;
        int r = arg->path ? append_namespace(message, arg->path)
                          : append_text(message, "Network", arg->network);

        if (r >= 0)
                r = append_text(message, "Interface", arg->interface);
        if (r >= 0)
                r = append_text(message, "MACAddress", arg->mac ? arg->mac : first->mac);
        if (r >= 0)
                r = append_texts(message, "Addresses", arg->ips, arg->n_ips, first->ips.texts,
                                 first->ips.n);
        if (r >= 0)
                r = append_number(message, "IngressRate", arg->ingress);
        if (r >= 0)
                r = append_number(message, "EgressRate", arg->egress);
        if (r >= 0)
                r = append_texts(message, "PluginArguments", arg->arguments, arg->n_arguments, NULL,
                                 0);
        if (r >= 0)
                r = append_texts(message, "Aliases", arg->aliases, arg->n_aliases,
                                 first->aliases.texts, first->aliases.n);
        return r;
}

int network_append_sandbox(const NetworkOptions *options, sd_bus_message *message)
{
        const struct {
                const char *key;
                const NetworkTexts *texts;
        } lists[] = {
                {"Ports", &options->ports},          {"Dns", &options->dns},
                {"DnsSearch", &options->dns_search}, {"DnsOptions", &options->dns_options},
                {"Hosts", &options->hosts},
        };
        int r = 0;

        if (options->n_networks > 0)
                r = append_arg(message, &options->networks[0], options);
        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(lists); i++)
                r = append_list(message, lists[i].key, lists[i].texts);
        return r;
}

int network_attach_one(sd_bus *bus, const char *sandbox, const NetworkArg *arg,
                       const NetworkTexts *ports, const ThrottleArg *throttle, bool print)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL, *reply = NULL;
        const char *name;
        int r = client_message_new(bus, sandbox, CLIENT_SANDBOX, "AttachNetwork", &message);

        if (r)
                return r;
        r = sd_bus_message_open_container(message, 'a', "{sv}");
        if (r >= 0)
                r = append_arg(message, arg, NULL);
        if (r >= 0 && ports)
                r = append_list(message, "Ports", ports);
        if (r >= 0)
                r = sd_bus_message_close_container(message);
        if (r < 0)
                return client_fail("the call can't be made");
        r = client_send_late(bus, message, "Attaching …", &reply);
        if (r)
                return r;
        if (sd_bus_message_read(reply, "s", &name) < 0)
                return client_fail("uvmd's answer can't be read");
        if (throttle)
                r = network_throttle_one(bus, sandbox, name, throttle);
        if (!r && print)
                puts(name);
        return r;
}

int network_attach_others(const NetworkOptions *options, sd_bus *bus, const char *sandbox)
{
        int r = 0;

        for (size_t i = 1; !r && i < options->n_networks; i++)
                r = network_attach_one(bus, sandbox, &options->networks[i], NULL, NULL, false);
        return r;
}
