/* Networks as people write them; see network_arg.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "client/network_arg.h"
#include "client/wrong.h"

/* How much of @text is the prefix that a kind of network has: "cni:" and the like. */
static size_t prefix_size(const char *text)
{
        static const char *const prefixes[] = {"cni:", "host:", "ovs:"};

        for (size_t i = 0; i < ELEMENTSOF(prefixes); i++)
                if (strncmp(text, prefixes[i], strlen(prefixes[i])) == 0)
                        return strlen(prefixes[i]);
        return 0;
}

static int take_text(const char **texts, size_t *n, size_t max, const char *value, char **ret_error)
{
        if (*n == max)
                return wrong(ret_error, "at most %zu of a kind", max);
        texts[(*n)++] = value;
        return 0;
}

static int take_rate(uint64_t *ret, const char *value, char **ret_error)
{
        return parse_bytes(value, ret) >= 0 && *ret
                       ? 0
                       : wrong(ret_error, "\"%s\" is no rate such as 10m", value);
}

static int take_value(NetworkArg *arg, const char *option, const char *value, char **ret_error)
{
        if (strcmp(option, "ip") == 0 || strcmp(option, "ip6") == 0)
                return take_text(arg->ips, &arg->n_ips, ELEMENTSOF(arg->ips), value, ret_error);
        if (strcmp(option, "alias") == 0)
                return take_text(arg->aliases, &arg->n_aliases, ELEMENTSOF(arg->aliases), value,
                                 ret_error);
        if (strcmp(option, "arg") == 0)
                return take_text(arg->arguments, &arg->n_arguments, ELEMENTSOF(arg->arguments),
                                 value, ret_error);
        if (strcmp(option, "ingress") == 0)
                return take_rate(&arg->ingress, value, ret_error);
        if (strcmp(option, "egress") == 0)
                return take_rate(&arg->egress, value, ret_error);
        if (strcmp(option, "mac") == 0)
                arg->mac = value;
        else if (strcmp(option, "interface_name") == 0)
                arg->interface = value;
        else
                return wrong(ret_error,
                             "there is no option \"%s\" (ip, mac, alias, interface_name, ingress, "
                             "egress, arg)",
                             option);
        return 0;
}

static int take_option(NetworkArg *arg, char *option, char **ret_error)
{
        char *value = strchr(option, '=');

        if (!value || !value[1])
                return wrong(ret_error, "\"%s\" is not of the form OPTION=VALUE", option);
        *value++ = 0;
        return take_value(arg, option, value, ret_error);
}

int network_arg_parse(NetworkArg *arg, const char *text, char **ret_error)
{
        char *options, *option, *state = NULL;
        int r = 0;

        *ret_error = NULL;
        *arg = (NetworkArg){.text = strdup(text)};
        if (!arg->text)
                return -ENOMEM;
        if (strncmp(text, "ns:", 3) == 0) {
                arg->path = arg->text + 3;
                return arg->path[0] ? 0 : wrong(ret_error, "which namespace? ns:/run/netns/NAME");
        }
        arg->network = arg->text;
        options = strchr(arg->text + prefix_size(text), ':');
        if (!options)
                return text[0] ? 0 : wrong(ret_error, "which network?");
        *options++ = 0;
        for (option = strtok_r(options, ",", &state); r >= 0 && option;
             option = strtok_r(NULL, ",", &state))
                r = take_option(arg, option, ret_error);
        return r;
}

void network_arg_done(NetworkArg *arg)
{
        free(arg->text);
        *arg = (NetworkArg){};
}
