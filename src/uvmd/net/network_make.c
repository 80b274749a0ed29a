/* Descriptions of networks, written and removed; see network_make.h. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "uvmd/errors.h"
#include "uvmd/json.h"
#include "uvmd/jsonfile.h"
#include "uvmd/net/cni_bridge.h"
#include "uvmd/net/cni_config.h"
#include "uvmd/net/host_subnets.h"
#include "uvmd/net/network_make.h"
#include "uvmd/net/veth.h"
#include "uvmd/strv.h"

/* Where subnets are chosen: behind that of the built-in bridge. */
#define POOL_FIRST  106 /* 10.106.0.0/24 */
#define POOL_LAST   127 /* 10.127.255.0/24 */
#define POOL6_FIRST 2   /* of the machine's own prefix; the built-in bridge has 1 */
#define POOL6_LAST  4095
#define DEVICES_MAX 4096

/* ------------------------------------------------------------------ what is taken */

typedef struct Clash {
        Subnet subnet;      /* is it free? */
        const char *device; /* …, or a bridge of this name; NULL: not asked */
        bool found;
        char who[128]; /* has it */
} Clash;

static int clash_on_host(const Subnet *subnet, const char *interface, void *userdata)
{
        Clash *clash = userdata;

        clash->found = subnet_overlaps(subnet, &clash->subnet);
        if (clash->found)
                snprintf(clash->who, sizeof(clash->who), "the interface %s of this host",
                         interface);
        return clash->found;
}

static void clash_in_list(const char *text, void *userdata)
{
        Clash *clash = userdata;
        Subnet subnet;

        if (subnet_parse(&subnet, text) >= 0 && subnet_overlaps(&subnet, &clash->subnet))
                clash->found = true;
}

static int clash_with(json_object *list, const char *path, void *userdata)
{
        Clash *clash = userdata;
        const char *device = cni_list_text(list, 0, "bridge");

        if (clash->device)
                clash->found = device && strcmp(device, clash->device) == 0;
        else
                cni_list_subnets(list, clash_in_list, clash);
        if (clash->found)
                snprintf(clash->who, sizeof(clash->who), "the network \"%s\"", cni_list_name(list));
        return clash->found;
}

/* 0: it is free; 1: clash->who has it; -errno. */
static int subnet_is_taken(Clash *clash, const CniPaths *paths)
{
        int r = cni_find_each(paths, clash_with, clash);

        if (r == 0)
                r = host_subnets_of_addresses(clash_on_host, clash);
        if (r == 0)
                r = host_subnets_of_routes(clash_on_host, clash);
        return r;
}

static int device_is_taken(const char *name, const CniPaths *paths)
{
        Clash clash = {.device = name};

        return if_nametoindex(name) ? 1 : cni_find_each(paths, clash_with, &clash);
}

/* ------------------------------------------------------------------ choices */

/* The @i-th candidate. -ENOENT behind the last. */
static int candidate(int family, unsigned i, char ret[SUBNET_TEXT_MAX])
{
        if (family == AF_INET6)
                return i + POOL6_FIRST > POOL6_LAST ? -ENOENT
                                                    : cni_bridge_own_subnet6(i + POOL6_FIRST, ret);
        if (i / 256 + POOL_FIRST > POOL_LAST)
                return -ENOENT;
        snprintf(ret, SUBNET_TEXT_MAX, "10.%u.%u.0/24", i / 256 + POOL_FIRST, i % 256);
        return 0;
}

static int choose_subnet(NetworkDefinition *definition, const CniPaths *paths, int family,
                         sd_bus_error *error)
{
        char text[SUBNET_TEXT_MAX];
        int r;

        for (unsigned i = 0; (r = candidate(family, i, text)) >= 0; i++) {
                Clash clash = {};

                r = subnet_parse(&clash.subnet, text);
                if (r >= 0)
                        r = subnet_is_taken(&clash, paths);
                if (r < 0)
                        return r;
                if (r > 0)
                        continue;
                if (!definition->subnets)
                        definition->subnets = strv_new();
                return definition->subnets ? strv_append(&definition->subnets, text) : -ENOMEM;
        }
        return r == -ENOENT ? error_set(error, r, ERROR_LIMIT_EXCEEDED,
                                        "No subnet is free any more: say which one to take.")
                            : error_set(error, r, ERROR_FAILED,
                                        "This machine has no /etc/machine-id to make a subnet of: "
                                        "say which one to take.");
}

static int check_given(const NetworkDefinition *definition, const CniPaths *paths,
                       sd_bus_error *error)
{
        /* The others are in the subnet of an interface that is there. */
        bool on_host = network_definition_driver(definition) == NETWORK_DRIVER_BRIDGE;

        for (char **at = definition->subnets; at && *at; at++) {
                Clash clash = {};
                int r = subnet_parse(&clash.subnet, *at);

                if (r >= 0)
                        r = on_host ? subnet_is_taken(&clash, paths)
                                    : cni_find_each(paths, clash_with, &clash);
                if (r < 0)
                        return r;
                if (r > 0)
                        return error_set(error, -EADDRINUSE, ERROR_INVALID_ARGUMENT,
                                         "The subnet %s has addresses in common with those of %s.",
                                         *at, clash.who);
        }
        return 0;
}

static int choose_device(const NetworkDefinition *definition, const CniPaths *paths,
                         char ret[IF_NAMESIZE], sd_bus_error *error)
{
        const char *given = strv_map_get(definition->options, "bridge");

        ret[0] = 0;
        if (network_definition_driver(definition) != NETWORK_DRIVER_BRIDGE)
                return 0;
        if (given) {
                snprintf(ret, IF_NAMESIZE, "%s", given);
                return 0;
        }
        for (unsigned i = 1; i < DEVICES_MAX; i++) {
                int r;

                snprintf(ret, IF_NAMESIZE, "uvm%u", i);
                r = device_is_taken(ret, paths);
                if (r <= 0)
                        return r;
        }
        return error_set(error, -EMFILE, ERROR_LIMIT_EXCEEDED, "There are too many bridges.");
}

/* ------------------------------------------------------------------ files */

/* For people to read, whatever the service's umask. */
static void make_directory(const char *path)
{
        if (mkdir(path, 0755) == 0 && chmod(path, 0755) < 0)
                log_warning("Can't change the mode of %s: %s", path, strerror(errno));
}

/* One change at a time: who chooses a subnet sees all that others have chosen. An fd that holds the lock. */
static int lock_directory(const CniPaths *paths, sd_bus_error *error)
{
        char parent[4096];
        int fd, r;

        snprintf(parent, sizeof(parent), "%s", paths->networks);
        if (strrchr(parent, '/') > parent)
                *strrchr(parent, '/') = 0;
        make_directory(parent);
        make_directory(paths->networks);
        fd = open(paths->networks, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd >= 0 && flock(fd, LOCK_EX) == 0)
                return fd;
        r = errno_neg();
        fd_close(fd);
        return error_set(error, r, ERROR_FAILED, "Can't use %s: %s.", paths->networks,
                         strerror(-r));
}

static int write_list(const CniPaths *paths, const char *name, json_object *list,
                      sd_bus_error *error)
{
        _cleanup_(freep) char *path = NULL;
        int r;

        if (asprintf(&path, "%s/%s.conflist", paths->networks, name) < 0)
                return -ENOMEM;
        if (access(path, F_OK) == 0)
                return error_set(error, -EEXIST, ERROR_NETWORK_EXISTS,
                                 "%s is there already, with another network in it.", path);
        r = jsonfile_write(path, list, true);
        if (r >= 0 && chmod(path, 0644) < 0)
                r = errno_neg();
        return r < 0 ? error_set(error, r, ERROR_FAILED, "Can't write %s: %s.", path, strerror(-r))
                     : 0;
}

static int check_name(const CniPaths *paths, const char *name, sd_bus_error *error)
{
        NetworkSpec spec;
        json_object *list = NULL;

        if (network_spec_parse(&spec, name) < 0 || spec.kind != NETWORK_SPEC_NAMED)
                return error_set(error, -EINVAL, ERROR_INVALID_NAME,
                                 "A network can't be called \"%s\": that means something else.",
                                 name);
        if (cni_find(&list, paths, &spec, NULL) < 0)
                return 0;
        json_object_put(list);
        return error_set(error, -EEXIST, ERROR_NETWORK_EXISTS, "There is a network \"%s\" already.",
                         name);
}

int network_make(NetworkDefinition *definition, const CniPaths *paths, const char *name,
                 sd_bus_error *error)
{
        _cleanup_(fd_closep) int lock = lock_directory(paths, error);
        _cleanup_(json_putp) json_object *list = NULL;
        char device[IF_NAMESIZE];
        int r = lock < 0 ? lock : check_name(paths, name, error);

        if (r >= 0)
                r = check_given(definition, paths, error);
        if (r >= 0 && network_definition_wants(definition, AF_INET))
                r = choose_subnet(definition, paths, AF_INET, error);
        if (r >= 0 && network_definition_wants(definition, AF_INET6))
                r = choose_subnet(definition, paths, AF_INET6, error);
        if (r >= 0)
                r = choose_device(definition, paths, device, error);
        if (r < 0)
                return r;
        list = network_definition_list(definition, name, device, paths->run_dir);
        return list ? write_list(paths, name, list, error) : -ENOMEM;
}

/* ------------------------------------------------------------------ the end of one */

/* host-local keeps a file of its own there beside one for each address. */
static void remove_leases(const CniPaths *paths, const char *name)
{
        _cleanup_(freep) char *path = NULL;
        struct dirent *entry;
        DIR *directory;

        if (asprintf(&path, "%s/leases/%s", paths->run_dir, name) < 0)
                return;
        directory = opendir(path);
        if (!directory)
                return;
        while ((entry = readdir(directory)))
                unlinkat(dirfd(directory), entry->d_name, 0);
        closedir(directory);
        if (rmdir(path) < 0)
                log_warning("Can't remove %s: %s", path, strerror(errno));
}

typedef struct Found {
        const char *name;
        char *path;
        json_object *list;
} Found;

static int found_here(json_object *list, const char *path, void *userdata)
{
        Found *found = userdata;

        if (strcmp(cni_list_name(list), found->name) != 0)
                return 0;
        found->path = path ? strdup(path) : NULL;
        found->list = json_object_get(list);
        return 1;
}

static int unmake(const CniPaths *paths, const Found *found, sd_bus_error *error)
{
        const char *device = cni_list_text(found->list, 0, "bridge");
        json_object *mark;
        int r;

        if (!json_object_object_get_ex(found->list, NETWORK_DEFINITION_MARK, &mark))
                return error_set(error, -EPERM, ERROR_NOT_SUPPORTED,
                                 "The network \"%s\" was not made by uvmd: remove %s yourself.",
                                 found->name, found->path);
        if (unlink(found->path) < 0) {
                r = errno_neg();
                return error_set(error, r, ERROR_FAILED, "Can't remove %s: %s.", found->path,
                                 strerror(-r));
        }
        remove_leases(paths, found->name);
        r = device && jsonfile_get_bool(mark, "OwnsBridge") ? veth_delete(device) : 0;
        return r < 0 ? error_set(error, r, ERROR_FAILED, "Can't remove the bridge %s: %s.", device,
                                 strerror(-r))
                     : 0;
}

int network_unmake(const CniPaths *paths, const char *name, sd_bus_error *error)
{
        _cleanup_(fd_closep) int lock = lock_directory(paths, error);
        Found found = {.name = name};
        int r = lock < 0 ? lock : cni_find_own(paths, found_here, &found);

        if (r == 0)
                r = error_set(error, -ENOENT, ERROR_NO_SUCH_NETWORK,
                              "There is no network \"%s\" in %s; \"uvmctl network list\" says "
                              "which there are.",
                              name, paths->networks);
        else if (r > 0)
                r = found.path ? unmake(paths, &found, error) : -ENOMEM;
        free(found.path);
        json_object_put(found.list);
        return r;
}
