/* Workers of networks; see network_worker.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "uvmd/errors.h"
#include "uvmd/journal.h"
#include "uvmd/json.h"
#include "uvmd/net/cni_chain.h"
#include "uvmd/net/network_make.h"
#include "uvmd/net/network_worker.h"
#include "uvmd/net/ovs.h"
#include "uvmd/sandbox.h"

typedef struct NetworkTask {
        const Manager *manager;
        const char *id, *name, *interface, *namespace;
        const NetworkConfig *config;
} NetworkTask;

static int answer_json(int socket, json_object *json)
{
        const char *text = json ? json_object_to_json_string_ext(json, JSON_C_TO_STRING_PLAIN)
                                : "{}";

        if (!text)
                return -ENOMEM;
        return worker_answer(socket, text, strlen(text), NULL, 0);
}

static int work_delete(Ledger *ledger, const CniPaths *paths, sd_bus_error *error)
{
        if (!ledger->entry)
                return ledger_clear(ledger);
        return ovs_owns(ledger->entry) ? ovs_delete(ledger, error)
                                       : cni_chain_delete(ledger, paths, error);
}

static int work_open(Ledger *ledger, const Manager *manager, const char *id, const char *interface,
                     sd_bus_error *error)
{
        int r = ledger_open(ledger, manager->paths.state_dir, manager->instance, id, interface);

        if (r < 0)
                return error_set(error, r, ERROR_FAILED, "Can't use %s.json: %s.",
                                 ledger->path ?: "the ledger", strerror(-r));
        return 0;
}

static int work_add(Ledger *ledger, const NetworkTask *task, const CniPaths *paths,
                    sd_bus_error *error)
{
        NetworkSpec spec;
        int r = network_spec_parse(&spec, task->config->network);

        if (r < 0)
                return r;
        return spec.kind == NETWORK_SPEC_OVS ? ovs_add(ledger, task->config, task->namespace, error)
                                             : cni_chain_add(ledger, paths, task->config,
                                                             task->name, task->namespace, error);
}

/* The worker has the manager as it was when it began. */
static void task_is_about(const NetworkTask *task)
{
        const Sandbox *sandbox = manager_find_sandbox((Manager *)task->manager, task->id);

        if (sandbox)
                journal_about(sandbox);
}

static int attach_main(int socket, void *userdata, sd_bus_error *error)
{
        const NetworkTask *task = userdata;
        _cleanup_(ledger_close) Ledger ledger;
        json_object *result = NULL;
        CniPaths paths;
        int r;

        task_is_about(task);
        cni_paths_init(&paths, task->manager->paths.run_dir);
        r = work_open(&ledger, task->manager, task->id, task->interface, error);
        if (r >= 0 && ledger.entry)
                r = work_delete(&ledger, &paths, error);
        if (r >= 0 && !ledger.entry) {
                /* The lock goes with what was owed. */
                ledger_close(&ledger);
                r = work_open(&ledger, task->manager, task->id, task->interface, error);
        }
        if (r >= 0)
                r = work_add(&ledger, task, &paths, error);
        if (r < 0) {
                if (!ledger.entry && ledger.path)
                        ledger_clear(&ledger);
                return r;
        }
        json_object_object_get_ex(ledger.entry, "Result", &result);
        return answer_json(socket, result);
}

static int detach_main(int socket, void *userdata, sd_bus_error *error)
{
        const NetworkTask *task = userdata;
        _cleanup_(ledger_close) Ledger ledger;
        CniPaths paths;
        int r;

        task_is_about(task);
        cni_paths_init(&paths, task->manager->paths.run_dir);
        r = work_open(&ledger, task->manager, task->id, task->interface, error);
        if (r >= 0)
                r = work_delete(&ledger, &paths, error);
        return r < 0 ? r : worker_answer(socket, NULL, 0, NULL, 0);
}

static int check_main(int socket, void *userdata, sd_bus_error *error)
{
        const NetworkTask *task = userdata;
        _cleanup_(ledger_close) Ledger ledger;
        CniPaths paths;
        int r;

        cni_paths_init(&paths, task->manager->paths.run_dir);
        r = work_open(&ledger, task->manager, task->id, task->interface, error);
        if (r >= 0 && !ledger.entry) {
                ledger_clear(&ledger);
                r = error_set(error, -ENOENT, ERROR_FAILED, "Nothing of it is on the host.");
        }
        if (r >= 0)
                r = ovs_owns(ledger.entry) ? ovs_check_port(&ledger, error)
                                           : cni_chain_check(&ledger, &paths, error);
        return r < 0 ? r : worker_answer(socket, NULL, 0, NULL, 0);
}

static int list_main(int socket, void *userdata, sd_bus_error *error)
{
        const NetworkTask *task = userdata;
        _cleanup_(json_putp) json_object *array = NULL;
        CniPaths paths;
        int r;

        cni_paths_init(&paths, task->manager->paths.run_dir);
        r = cni_list_all(&array, &paths);
        return r < 0 ? r : answer_json(socket, array);
}

int network_attach_start(Worker **ret, Manager *manager, const char *id, const char *interface,
                         const NetworkConfig *config, const char *namespace, WorkerHandler handler,
                         void *userdata)
{
        const Sandbox *sandbox = manager_find_sandbox(manager, id);
        NetworkTask task = {
                .manager = manager,
                .id = id,
                .name = sandbox ? sandbox->name : id,
                .interface = interface,
                .config = config,
                .namespace = namespace,
        };

        return worker_start(ret, manager->event, "uvmd-network", attach_main, &task,
                            clock_limit_usec(NETWORK_ATTACH_USEC), handler, userdata);
}

int network_detach_start(Worker **ret, Manager *manager, const char *id, const char *interface,
                         WorkerHandler handler, void *userdata)
{
        NetworkTask task = {.manager = manager, .id = id, .interface = interface};

        return worker_start(ret, manager->event, "uvmd-network", detach_main, &task,
                            clock_limit_usec(NETWORK_ATTACH_USEC), handler, userdata);
}

int network_check_start(Worker **ret, Manager *manager, const char *id, const char *interface,
                        WorkerHandler handler, void *userdata)
{
        NetworkTask task = {.manager = manager, .id = id, .interface = interface};

        return worker_start(ret, manager->event, "uvmd-network", check_main, &task,
                            clock_limit_usec(NETWORK_ATTACH_USEC), handler, userdata);
}

int network_list_start(Worker **ret, Manager *manager, WorkerHandler handler, void *userdata)
{
        NetworkTask task = {.manager = manager};

        return worker_start(ret, manager->event, "uvmd-networks", list_main, &task,
                            clock_limit_usec(NETWORK_ATTACH_USEC), handler, userdata);
}

/* ------------------------------------------------------------------ descriptions */

typedef struct MakeTask {
        const Manager *manager;
        const char *name;
        NetworkDefinition *definition; /* NULL: it is to go */
} MakeTask;

static int make_main(int socket, void *userdata, sd_bus_error *error)
{
        const MakeTask *task = userdata;
        CniPaths paths;
        int r;

        cni_paths_init(&paths, task->manager->paths.run_dir);
        r = task->definition ? network_make(task->definition, &paths, task->name, error)
                             : network_unmake(&paths, task->name, error);
        return r < 0 ? r : worker_answer(socket, NULL, 0, NULL, 0);
}

int network_make_start(Worker **ret, Manager *manager, const char *name,
                       NetworkDefinition *definition, WorkerHandler handler, void *userdata)
{
        MakeTask task = {.manager = manager, .name = name, .definition = definition};

        return worker_start(ret, manager->event, "uvmd-networks", make_main, &task,
                            clock_limit_usec(NETWORK_ATTACH_USEC), handler, userdata);
}

int network_unmake_start(Worker **ret, Manager *manager, const char *name, WorkerHandler handler,
                         void *userdata)
{
        return network_make_start(ret, manager, name, NULL, handler, userdata);
}

/* ------------------------------------------------------------------ what was left */

static bool is_settled(const Sandbox *sandbox)
{
        return !sandbox || sandbox->state == SANDBOX_CREATED || sandbox->state == SANDBOX_STOPPED;
}

static int count_left(const char *id, const char *interface, void *userdata)
{
        return is_settled(manager_find_sandbox(userdata, id)) ? -EEXIST : 0;
}

static int sweep_settled(const char *id, const char *interface, Manager *manager)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_(ledger_close) Ledger ledger;
        CniPaths paths;
        int r;

        cni_paths_init(&paths, manager->paths.run_dir);
        r = work_open(&ledger, manager, id, interface, &error);
        /* It has been started meanwhile, which took back what was left. */
        if (r >= 0 && ledger.entry && ledger_is_own(&ledger))
                return 0;
        if (r >= 0)
                r = work_delete(&ledger, &paths, &error);
        if (r < 0)
                log_warning("Sandbox %s: what it left in a network as %s is not all gone: %s", id,
                            interface, error.message ?: strerror(-r));
        else
                log_info("Sandbox %s: took back what it had left in a network as %s", id,
                         interface);
        return 0;
}

static int sweep_one(const char *id, const char *interface, void *userdata)
{
        return is_settled(manager_find_sandbox(userdata, id))
                       ? sweep_settled(id, interface, userdata)
                       : 0;
}

static int sweep_main(int socket, void *userdata, sd_bus_error *error)
{
        const NetworkTask *task = userdata;
        int r = ledger_each(task->manager->paths.state_dir, sweep_one, (void *)task->manager);

        return r < 0 ? r : worker_answer(socket, NULL, 0, NULL, 0);
}

static void sweep_done(void *userdata, int r, const sd_bus_error *error, const uint8_t *payload,
                       size_t size, IoMessage *message)
{
        Manager *manager = userdata;

        manager->network_sweep = NULL;
        if (r < 0)
                log_error_errno(r, "Can't take back what networks are owed");
}

/* The worker has the records as they are now: it decides by its own copy. */
void network_sweep(Manager *manager)
{
        NetworkTask task = {.manager = manager};
        int r = ledger_each(manager->paths.state_dir, count_left, manager);

        if (r == -EEXIST)
                r = worker_start(&manager->network_sweep, manager->event, "uvmd-network",
                                 sweep_main, &task, clock_limit_usec(10 * NETWORK_ATTACH_USEC),
                                 sweep_done, manager);
        if (r < 0)
                log_error_errno(r, "Can't take back what networks are owed");
}
