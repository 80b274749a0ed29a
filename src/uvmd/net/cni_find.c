/* Descriptions of networks; see cni_find.h. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "uvmd/errors.h"
#include "uvmd/json.h"
#include "uvmd/jsonfile.h"
#include "uvmd/net/cni_bridge.h"
#include "uvmd/net/cni_config.h"
#include "uvmd/net/cni_find.h"
#include "uvmd/net/network_definition.h"

static const char *setting(const char *name, const char *fallback)
{
        const char *value = getenv(name);

        return value && value[0] ? value : fallback;
}

void cni_paths_init(CniPaths *paths, const char *run_dir)
{
        *paths = (CniPaths){
                .plugins = setting("UVM_CNI_PATH", "/usr/lib/cni:/opt/cni/bin"),
                .networks = setting("UVM_NETWORKS_DIR", "/etc/uvm/networks"),
                .foreign = setting("UVM_CNI_CONFIG_DIR", "/etc/cni/net.d"),
                .run_dir = run_dir,
        };
}

/* What libcni reads too. */
static int is_configuration(const struct dirent *entry)
{
        static const char *const suffixes[] = {".conflist", ".conf", ".json"};
        const char *dot = strrchr(entry->d_name, '.');

        for (size_t i = 0; dot && dot != entry->d_name && i < ELEMENTSOF(suffixes); i++)
                if (strcmp(dot, suffixes[i]) == 0)
                        return 1;
        return 0;
}

static int read_list(json_object **ret, const char *path, sd_bus_error *error)
{
        _cleanup_(json_putp) json_object *file = NULL;
        int r = jsonfile_read(path, &file);

        if (r == -EBADMSG)
                return error_set(error, r, ERROR_FAILED, "%s is no JSON.", path);
        if (r < 0)
                return error_set(error, r, ERROR_FAILED, "Can't read %s: %s.", path, strerror(-r));
        return cni_list_new(ret, file, path, error);
}

/*
 * Calls @visit for each file of a directory in the order of their names, with its list, or with NULL and
 * the reason. It takes the list over. A positive answer ends the walk and is returned.
 */
typedef int (*FindVisit)(json_object *list, const char *path, const sd_bus_error *error,
                         void *userdata);

static int walk(const char *directory, FindVisit visit, void *userdata)
{
        struct dirent **entries;
        int n = scandir(directory, &entries, is_configuration, alphasort), r = 0;

        if (n < 0)
                return errno == ENOENT ? 0 : errno_neg();
        for (int i = 0; i < n; i++) {
                _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
                _cleanup_(freep) char *path = NULL;
                json_object *list = NULL;

                if (r == 0 && asprintf(&path, "%s/%s", directory, entries[i]->d_name) < 0)
                        r = -ENOMEM;
                if (r == 0 && read_list(&list, path, &error) == -ENOMEM)
                        r = -ENOMEM;
                if (r == 0)
                        r = visit(list, path, &error, userdata);
                free(entries[i]);
        }
        free(entries);
        return r;
}

/* ------------------------------------------------------------------ one */

typedef struct Find {
        const char *name;
        json_object *found;
        sd_bus_error bad; /* of the first file that can't be read: maybe that is the one */
} Find;

static int find_visit(json_object *list, const char *path, const sd_bus_error *error,
                      void *userdata)
{
        Find *find = userdata;

        if (!list) {
                if (!sd_bus_error_is_set(&find->bad))
                        sd_bus_error_copy(&find->bad, error);
                return 0;
        }
        if (strcmp(cni_list_name(list), find->name) == 0) {
                find->found = list;
                return 1;
        }
        json_object_put(list);
        return 0;
}

int cni_find(json_object **ret, const CniPaths *paths, const NetworkSpec *spec, sd_bus_error *error)
{
        const char *directory = spec->kind == NETWORK_SPEC_CNI ? paths->foreign : paths->networks;
        Find find = {.name = spec->name};
        int r = walk(directory, find_visit, &find);

        if (r == 0 && spec->kind == NETWORK_SPEC_NAMED && strcmp(spec->name, CNI_BRIDGE_NAME) == 0)
                r = cni_bridge_new(&find.found, paths->run_dir, error);
        else if (r == 0)
                r = error_set(
                        error, -ENOENT, ERROR_NO_SUCH_NETWORK,
                        "There is no network \"%s\" in %s; \"uvmctl network list\" says which "
                        "there are.%s%s",
                        spec->name, directory, find.bad.message ? " Beware: " : "",
                        find.bad.message ?: "");
        sd_bus_error_free(&find.bad);
        if (r < 0)
                return r;
        *ret = find.found;
        return 0;
}

/* ------------------------------------------------------------------ each */

typedef struct Each {
        CniVisit visit;
        void *userdata;
} Each;

static int each_visit(json_object *list, const char *path, const sd_bus_error *error,
                      void *userdata)
{
        const Each *each = userdata;
        int r = list ? each->visit(list, path, each->userdata) : 0;

        json_object_put(list);
        return r;
}

int cni_find_own(const CniPaths *paths, CniVisit visit, void *userdata)
{
        Each each = {.visit = visit, .userdata = userdata};

        return walk(paths->networks, each_visit, &each);
}

int cni_find_each(const CniPaths *paths, CniVisit visit, void *userdata)
{
        _cleanup_(json_putp) json_object *bridge = NULL;
        Each each = {.visit = visit, .userdata = userdata};
        int r = walk(paths->networks, each_visit, &each);

        if (r == 0)
                r = walk(paths->foreign, each_visit, &each);
        if (r == 0 && cni_bridge_new(&bridge, paths->run_dir, NULL) >= 0)
                r = visit(bridge, NULL, userdata);
        return r;
}

/* ------------------------------------------------------------------ all */

typedef struct Listing {
        json_object *array;
        const char *kind, *prefix;
} Listing;

static void add_text(json_object *object, const char *key, const char *text)
{
        if (text)
                json_object_object_add(object, key, json_object_new_string(text));
}

static void add_subnet(const char *subnet, void *userdata)
{
        json_object_array_add(userdata, json_object_new_string(subnet));
}

static json_object *describe(json_object *list, const char *prefix, const char *name,
                             const char *kind, const char *path)
{
        json_object *item = json_object_new_object(), *subnets = json_object_new_array();
        char full[NETWORK_NAME_MAX + 8];

        snprintf(full, sizeof(full), "%s%s", prefix, name);
        add_text(item, "Name", full);
        add_text(item, "Kind", kind);
        add_text(item, "File", path);
        add_text(item, "Type", cni_list_type(list, 0));
        add_text(item, "Bridge",
                 cni_list_text(list, 0, "bridge") ?: cni_list_text(list, 0, "master"));
        cni_list_subnets(list, add_subnet, subnets);
        json_object_object_add(item, "Subnets", subnets);
        if (cni_list_number(list, 0, "mtu") > 0)
                json_object_object_add(item, "MTU",
                                       json_object_new_int64(cni_list_number(list, 0, "mtu")));
        json_object_object_add(item, "Made",
                               json_object_new_boolean(json_object_object_get_ex(
                                       list, NETWORK_DEFINITION_MARK, NULL)));
        return item;
}

static int list_visit(json_object *list, const char *path, const sd_bus_error *error,
                      void *userdata)
{
        const Listing *listing = userdata;
        json_object *item;

        if (list) {
                item = describe(list, listing->prefix, cni_list_name(list), listing->kind, path);
        } else {
                item = json_object_new_object();
                add_text(item, "Kind", listing->kind);
                add_text(item, "File", path);
                add_text(item, "Error", error->message);
        }
        json_object_array_add(listing->array, item);
        json_object_put(list);
        return 0;
}

static bool has_network(json_object *array, const char *name)
{
        for (size_t i = 0; i < json_object_array_length(array); i++) {
                json_object *item = json_object_array_get_idx(array, i), *value;

                if (json_object_object_get_ex(item, "Name", &value) &&
                    strcmp(json_object_get_string(value), name) == 0)
                        return true;
        }
        return false;
}

int cni_list_all(json_object **ret, const CniPaths *paths)
{
        _cleanup_(json_putp) json_object *array = json_object_new_array(), *bridge = NULL;
        Listing own = {.array = array, .kind = "uvm", .prefix = ""};
        Listing foreign = {.array = array, .kind = "cni", .prefix = "cni:"};
        int r = walk(paths->networks, list_visit, &own);

        if (r >= 0 && !has_network(array, CNI_BRIDGE_NAME) &&
            cni_bridge_new(&bridge, paths->run_dir, NULL) >= 0)
                json_object_array_add(array,
                                      describe(bridge, "", CNI_BRIDGE_NAME, "built-in", NULL));
        if (r >= 0)
                r = walk(paths->foreign, list_visit, &foreign);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(array);
        return 0;
}
