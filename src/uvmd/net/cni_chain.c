/* Chains of CNI plugins; see cni_chain.h. */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "uvmd/errors.h"
#include "uvmd/json.h"
#include "uvmd/net/cni_bridge.h"
#include "uvmd/net/cni_chain.h"
#include "uvmd/net/cni_config.h"
#include "uvmd/net/cni_result.h"
#include "uvmd/net/ovs.h"
#include "uvmd/net/ports.h"
#include "uvmd/net/program.h"
#include "uvmd/net/stand_in.h"

#define PLUGIN_PATH_MAX 512

/* Keys of an entry. */
#define ENTRY_LIST      "List"
#define ENTRY_RUNTIME   "Runtime"
#define ENTRY_RESULT    "Result"    /* of the last plugin that was done */
#define ENTRY_NAMESPACE "Namespace" /* its path */
#define ENTRY_ARGUMENTS "Arguments" /* CNI_ARGS */

typedef struct Chain {
        Ledger *ledger;
        const CniPaths *paths;
        json_object *list, *runtime; /* borrowed from the entry */
        const char *arguments;
        const char *namespace; /* "": it is gone */
        int stand_in;          /* in its place; FD_NONE: there is none */
        char stand_in_path[48];
} Chain;

/* ------------------------------------------------------------------ one plugin */

/* The first of CNI_PATH that there is, in @ret. */
static int plugin_find(const CniPaths *paths, const char *type, char *ret, size_t room,
                       sd_bus_error *error)
{
        const char *at = paths->plugins;

        while (*at) {
                size_t size = strcspn(at, ":");
                int n = snprintf(ret, room, "%.*s/%s", (int)size, at, type);

                if (n > 0 && (size_t)n < room && access(ret, X_OK) == 0)
                        return 0;
                at += size + (at[size] == ':');
        }
        return error_set(error, -ENOENT, ERROR_NOT_SUPPORTED,
                         "There is no CNI plugin \"%s\" in %s: install the package "
                         "containernetworking-plugins, or the plugin.",
                         type, paths->plugins);
}

/* What a plugin is told beside its input (specification 1.0.0, section 2), and nothing of ours. */
typedef struct PluginEnvironment {
        char *variables[8];
        size_t n;
} PluginEnvironment;

static void plugin_environment_done(PluginEnvironment *environment)
{
        for (size_t i = 0; i < environment->n; i++)
                free(environment->variables[i]);
}

static int plugin_environment(const Chain *chain, const char *command, PluginEnvironment *ret)
{
        const struct {
                const char *name, *value;
        } variables[] = {
                {"CNI_COMMAND", command},
                {"CNI_CONTAINERID", chain->ledger->id},
                {"CNI_NETNS", chain->namespace},
                {"CNI_IFNAME", chain->ledger->interface},
                {"CNI_PATH", chain->paths->plugins},
                {"CNI_ARGS", chain->arguments},
                {"PATH", "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin"},
        };

        for (; ret->n < ELEMENTSOF(variables); ret->n++)
                if (asprintf(&ret->variables[ret->n], "%s=%s", variables[ret->n].name,
                             variables[ret->n].value) < 0)
                        return -ENOMEM;
        ret->variables[ret->n] = NULL;
        return 0;
}

/* The program @type with the configuration of plugin @i: that one, or the one it leaves addresses to. */
static int plugin_run(const Chain *chain, size_t i, const char *type, const char *command,
                      ProgramEnd *end, sd_bus_error *error)
{
        _cleanup_(plugin_environment_done) PluginEnvironment environment = {};
        _cleanup_(json_putp) json_object *input = NULL;
        json_object *previous = NULL;
        char path[PLUGIN_PATH_MAX];
        const char *arguments[] = {path, NULL};
        Program program = {
                .path = path,
                .arguments = arguments,
                .environment = (const char *const *)environment.variables,
                .output_max = CNI_OUTPUT_MAX,
        };
        int r = plugin_find(chain->paths, type, path, sizeof(path), error);

        if (r < 0)
                return r;
        json_object_object_get_ex(chain->ledger->entry, ENTRY_RESULT, &previous);
        input = cni_plugin_config(chain->list, i, chain->runtime, previous);
        if (!input || plugin_environment(chain, command, &environment) < 0)
                return -ENOMEM;
        program.input = json_object_to_json_string_ext(input, JSON_C_TO_STRING_PLAIN);
        r = program_run(&program, end);
        if (r == -EFBIG)
                return error_set(error, r, ERROR_FAILED,
                                 "The CNI plugin %s printed more than %d KiB.", type,
                                 CNI_OUTPUT_MAX >> 10);
        if (r < 0)
                return error_set(error, r, ERROR_FAILED, "Can't run the CNI plugin %s: %s.", path,
                                 strerror(-r));
        if (end->status != 0)
                return cni_error_explain(type, end->output, end->size, end->words, end->status,
                                         error);
        return 0;
}

/*
 * Those behind the first one, portmap and firewall, keep chains of rules that all containers share: of two that
 * find none both would make them, and one would fail.
 */
static int plugin_add(const Chain *chain, size_t i, sd_bus_error *error)
{
        _cleanup_(fd_closep) int lock = i > 0 ? ledger_lock_host(chain->ledger) : FD_NONE;
        _cleanup_(program_end_done) ProgramEnd end = {};
        const char *type = cni_list_type(chain->list, i);
        json_object *result;
        int r = i > 0 && lock < 0 ? lock : plugin_run(chain, i, type, "ADD", &end, error);

        if (r >= 0)
                r = cni_result_parse(&result, end.output, end.size);
        if (r == -EBADMSG)
                return error_set(error, -EIO, ERROR_FAILED,
                                 "The CNI plugin %s printed no result: \"%.200s\".", type,
                                 end.output);
        return r < 0 ? r : ledger_update(chain->ledger, ENTRY_RESULT, result);
}

/* ------------------------------------------------------------------ Open vSwitch, as a plugin */

/* There is a plugin of this name by others: where it is installed, it is that one. */
static bool is_own_ovs(const CniPaths *paths, json_object *list, size_t i)
{
        char path[PLUGIN_PATH_MAX];

        return strcmp(cni_list_type(list, i), "ovs") == 0 &&
               plugin_find(paths, "ovs", path, sizeof(path), NULL) < 0;
}

static int own_ovs_check(const CniPaths *paths, json_object *list, size_t i, sd_bus_error *error)
{
        const char *bridge = cni_list_text(list, i, "bridge"), *ipam = cni_list_ipam(list, i);
        char path[PLUGIN_PATH_MAX];
        int r;

        if (i > 0 || !bridge || !network_name_is_valid(bridge))
                return error_set(
                        error, -EINVAL, ERROR_FAILED,
                        "The network %s has no Open vSwitch bridge: \"bridge\" says which, "
                        "in its first plugin.",
                        cni_list_name(list));
        r = ovs_check(error);
        return r < 0 || !ipam ? r : plugin_find(paths, ipam, path, sizeof(path), error);
}

/* Addresses are owed before there is a result: DEL asks for them by the sandbox's id. */
static int own_ovs_ipam(const Chain *chain, size_t i, json_object **ret, sd_bus_error *error)
{
        _cleanup_(program_end_done) ProgramEnd end = {};
        const char *type = cni_list_ipam(chain->list, i);
        int r;

        if (!type) {
                *ret = json_object_new_object();
                json_object_object_add(*ret, "cniVersion", json_object_new_string(CNI_VERSION));
                return 0;
        }
        r = plugin_run(chain, i, type, "ADD", &end, error);
        if (r >= 0)
                r = cni_result_parse(ret, end.output, end.size);
        return r == -EBADMSG ? error_set(error, -EIO, ERROR_FAILED,
                                         "The CNI plugin %s printed no result: \"%.200s\".", type,
                                         end.output)
                             : r;
}

static int own_ovs_add(const Chain *chain, size_t i, sd_bus_error *error)
{
        _cleanup_(json_putp) json_object *ipam = NULL;
        json_object *mac = NULL, *result;
        OvsPlug plug = {
                .bridge = cni_list_text(chain->list, i, "bridge"),
                .vlan = cni_list_number(chain->list, i, "vlan"),
                .mtu = cni_list_number(chain->list, i, "mtu"),
        };
        int r = own_ovs_ipam(chain, i, &ipam, error);

        if (r < 0)
                return r;
        if (json_object_object_get_ex(chain->runtime, "mac", &mac))
                plug.mac = json_object_get_string(mac);
        plug.ipam = ipam;
        r = ovs_plug(&result, chain->ledger, &plug, chain->namespace, error);
        if (r < 0)
                return r;
        return result ? ledger_update(chain->ledger, ENTRY_RESULT, result) : -ENOMEM;
}

static int own_ovs_delete(const Chain *chain, size_t i, sd_bus_error *error)
{
        _cleanup_(program_end_done) ProgramEnd end = {};
        const char *type = cni_list_ipam(chain->list, i);
        int r = ovs_unplug(chain->ledger, error);
        int s = type ? plugin_run(chain, i, type, "DEL", &end, error) : 0;

        return r < 0 ? r : s;
}

/* ------------------------------------------------------------------ the chain */

static bool is_namespace(const char *path)
{
        struct statfs st;

        return path && statfs(path, &st) == 0 && st.f_type == NSFS_MAGIC;
}

/* From the entry, which may have been cut or edited. */
static int chain_open(Chain *chain, Ledger *ledger, const CniPaths *paths)
{
        json_object *list, *namespace, *result, *arguments;
        sd_bus_error error = SD_BUS_ERROR_NULL;
        int r = -EBADMSG;

        *chain = (Chain){
                .ledger = ledger,
                .paths = paths,
                .arguments = "IgnoreUnknown=1",
                .namespace = "",
                .stand_in = FD_NONE,
        };
        if (!json_object_object_get_ex(ledger->entry, ENTRY_LIST, &list) ||
            !json_object_object_get_ex(ledger->entry, ENTRY_RUNTIME, &chain->runtime) ||
            !json_object_is_type(chain->runtime, json_type_object))
                return r;
        r = cni_list_new(&chain->list, list, "the entry", &error);
        sd_bus_error_free(&error);
        if (r < 0)
                return r;
        /* What was a whole list is taken as it is, and the entry goes on holding it. */
        json_object_put(chain->list);
        if (chain->list != list)
                return -EBADMSG;
        if (json_object_object_get_ex(ledger->entry, ENTRY_RESULT, &result) &&
            cni_result_check(result) < 0)
                json_object_object_del(ledger->entry, ENTRY_RESULT);
        if (json_object_object_get_ex(ledger->entry, ENTRY_ARGUMENTS, &arguments) &&
            json_object_is_type(arguments, json_type_string))
                chain->arguments = json_object_get_string(arguments);
        if (json_object_object_get_ex(ledger->entry, ENTRY_NAMESPACE, &namespace) &&
            is_namespace(json_object_get_string(namespace)))
                chain->namespace = json_object_get_string(namespace);
        return 0;
}

/*
 * Nobody in the namespace answers for the addresses, the guest does, and sees for itself whether they
 * are free: waiting for the kernel's own detection would take a second or two.
 */
static int disable_detection(const char *namespace)
{
        static const char *const files[] = {"/proc/sys/net/ipv6/conf/all/accept_dad",
                                            "/proc/sys/net/ipv6/conf/default/accept_dad"};
        _cleanup_(fd_closep) int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
        _cleanup_(fd_closep) int there = open(namespace, O_RDONLY | O_CLOEXEC);

        if (own < 0 || there < 0 || setns(there, CLONE_NEWNET) < 0)
                return errno_neg();
        for (size_t i = 0; i < ELEMENTSOF(files); i++) {
                int fd = open(files[i], O_WRONLY | O_CLOEXEC);

                /* A kernel without IPv6 has nothing to detect. */
                if (fd >= 0 && write(fd, "0", 1) < 0)
                        log_debug("Can't write %s: %s", files[i], strerror(errno));
                fd_close(fd);
        }
        return setns(own, CLONE_NEWNET) < 0 ? errno_neg() : 0;
}

static json_object *entry_new(json_object *list, json_object *runtime, const char *arguments,
                              const char *namespace)
{
        json_object *entry = json_object_new_object();

        json_object_object_add(entry, "Version", json_object_new_int(1));
        json_object_object_add(entry, ENTRY_LIST, list);
        json_object_object_add(entry, ENTRY_RUNTIME, runtime);
        json_object_object_add(entry, ENTRY_ARGUMENTS, json_object_new_string(arguments));
        json_object_object_add(entry, ENTRY_NAMESPACE, json_object_new_string(namespace));
        return entry;
}

/* All are there before anything is made. */
static int check_plugins(const CniPaths *paths, json_object *list, sd_bus_error *error)
{
        char path[PLUGIN_PATH_MAX];
        int r = 0;

        for (size_t i = 0; r >= 0 && i < cni_list_count(list); i++)
                r = is_own_ovs(paths, list, i)
                            ? own_ovs_check(paths, list, i, error)
                            : plugin_find(paths, cni_list_type(list, i), path, sizeof(path), error);
        return r;
}

static int chain_prepare(Ledger *ledger, const CniPaths *paths, const NetworkConfig *config,
                         const char *name, const char *namespace, sd_bus_error *error)
{
        _cleanup_(freep) char *arguments = cni_arguments_new(config, name);
        _cleanup_(json_putp) json_object *list = NULL, *runtime = cni_runtime_new(config);
        NetworkSpec spec;
        int r = network_spec_parse(&spec, config->network);

        if (r >= 0)
                r = cni_find(&list, paths, &spec, error);
        if (r >= 0)
                r = cni_runtime_check(list, runtime, error);
        if (r >= 0)
                r = check_plugins(paths, list, error);
        if (r >= 0 && strcmp(cni_list_text(list, 0, "bridge") ?: "", CNI_BRIDGE_DEVICE) == 0)
                r = cni_bridge_check_host(list, error);
        if (r >= 0)
                r = ports_check_host(config->ports, error);
        if (r >= 0)
                r = disable_detection(namespace);
        if (r < 0)
                return r;
        if (!arguments)
                return -ENOMEM;
        return ledger_write(ledger,
                            entry_new(TAKE_PTR(list), TAKE_PTR(runtime), arguments, namespace));
}

int cni_chain_add(Ledger *ledger, const CniPaths *paths, const NetworkConfig *config,
                  const char *name, const char *namespace, sd_bus_error *error)
{
        Chain chain;
        int r = chain_prepare(ledger, paths, config, name, namespace, error);

        if (r < 0)
                return r;
        r = chain_open(&chain, ledger, paths);
        for (size_t i = 0; r >= 0 && i < cni_list_count(chain.list); i++)
                r = is_own_ovs(paths, chain.list, i) ? own_ovs_add(&chain, i, error)
                                                     : plugin_add(&chain, i, error);
        if (r < 0) {
                _cleanup_(sd_bus_error_free) sd_bus_error second = SD_BUS_ERROR_NULL;

                if (cni_chain_delete(ledger, paths, &second) < 0)
                        log_warning("Sandbox %s: what was made of the network %s is not all gone: "
                                    "%s",
                                    ledger->id, config->network, second.message ?: "");
        }
        return r;
}

static int check_one(const Chain *chain, size_t i, sd_bus_error *error)
{
        _cleanup_(program_end_done) ProgramEnd end = {};
        const char *type = cni_list_type(chain->list, i);

        if (is_own_ovs(chain->paths, chain->list, i))
                return ovs_check_port(chain->ledger, error);
        return plugin_run(chain, i, type, "CHECK", &end, error);
}

int cni_chain_check(Ledger *ledger, const CniPaths *paths, sd_bus_error *error)
{
        Chain chain;
        int r = chain_open(&chain, ledger, paths);

        if (r < 0)
                return error_set(error, r, ERROR_FAILED, "%s.json makes no sense.", ledger->path);
        if (!cni_list_allows_check(chain.list))
                return error_set(error, -EOPNOTSUPP, ERROR_NOT_SUPPORTED,
                                 "The configuration of the network %s has no checks.",
                                 cni_list_name(chain.list));
        for (size_t i = 0; r >= 0 && i < cni_list_count(chain.list); i++)
                r = check_one(&chain, i, error);
        return r;
}

/*
 * The bridge plugin takes those rules back whose addresses it finds in the namespace. Where that is
 * gone, it gets one that looks the same.
 */
static void chain_stand_in(Chain *chain)
{
        json_object *result;
        int r;

        if (chain->namespace[0] ||
            !json_object_object_get_ex(chain->ledger->entry, ENTRY_RESULT, &result))
                return;
        r = stand_in_open(&chain->stand_in, chain->ledger->interface, result);
        if (r < 0) {
                log_warning_errno(r, "Can't make a namespace in place of one that is gone");
                return;
        }
        snprintf(chain->stand_in_path, sizeof(chain->stand_in_path), "/proc/%d/fd/%d", getpid(),
                 chain->stand_in);
        chain->namespace = chain->stand_in_path;
}

int cni_chain_delete(Ledger *ledger, const CniPaths *paths, sd_bus_error *error)
{
        Chain chain;
        int r = chain_open(&chain, ledger, paths), first = 0;

        if (r < 0)
                return error_set(error, r, ERROR_FAILED, "%s.json makes no sense.", ledger->path);
        chain_stand_in(&chain);
        for (size_t i = cni_list_count(chain.list); i-- > 0;) {
                _cleanup_(program_end_done) ProgramEnd end = {};

                r = is_own_ovs(paths, chain.list, i)
                            ? own_ovs_delete(&chain, i, error)
                            : plugin_run(&chain, i, cni_list_type(chain.list, i), "DEL", &end,
                                         error);
                if (r < 0 && first >= 0)
                        first = r;
        }
        fd_close(chain.stand_in);
        return first < 0 ? first : ledger_clear(ledger);
}
