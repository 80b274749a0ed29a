/* Records of sandboxes: what goes out comes in again, and files that were cut or edited are refused. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "test/unit.h"
#include "uvmd/net/network_guest.h"
#include "uvmd/record.h"
#include "uvmd/strv.h"

static Manager manager;
static char directory[] = "/tmp/uvm-record-XXXXXX";

static void opens_an_empty_store(void)
{
        char path[64];

        unit_assert(mkdtemp(directory));
        snprintf(path, sizeof(path), "%s/images", directory);
        unit_assert_int(image_store_open(&manager.images, NULL, path), 0);
        unit_assert(!image_store_find(manager.images, "busybox"));
}

static const char full[] =
        "{\"Version\": 1, \"Name\": \"web\", \"Owner\": 1000, \"State\": \"running\","
        " \"Reason\": \"\", \"Created\": 5, \"Started\": 6, \"RangeBase\": 1879048192,"
        " \"NextToken\": 9, \"Phases\": [1, 2, 3], \"Config\": {\"Memory\": 134217728,"
        "  \"Hostname\": \"h\", \"AutoRemove\": true, \"Labels\": {\"k\": \"v\"}},"
        " \"Network\": {\"Given\": true, \"Held\": true, \"Attachments\": [],"
        "  \"Devices\": [{\"Ifindex\": 5, \"Slot\": 4, \"Interface\": \"eth0\","
        "   \"MACAddress\": \"02:00:00:00:00:07\"}],"
        "  \"Throttles\": [{\"Interface\": \"eth0\", \"Transmit\": {\"BytesPerSecond\": 1000},"
        "   \"Receive\": {}}]},"
        " \"Containers\": [{\"Id\": \"0123456789abcdef\", \"Name\": \"c\","
        "  \"ImageId\": \"fedcba9876543210\", \"Slot\": 3, \"Ready\": true,"
        "  \"Mounts\": [{\"Id\": 2, \"State\": \"mounted\", \"Goal\": \"kept\","
        "    \"Route\": \"device\", \"Cache\": \"mmap\", \"Slot\": 5,"
        "    \"Origin\": {\"Uid\": 1000, \"Gid\": 100, \"Inode\": 7, \"Directory\": true},"
        "    \"Config\": {\"Type\": \"bind\", \"Target\": \"/b\", \"SourcePath\": \"/s\","
        "     \"ReadOnly\": true}},"
        "   {\"Id\": 1, \"State\": \"mounting\", \"Goal\": \"new\", \"Route\": \"none\","
        "    \"Cache\": \"none\", \"Origin\": {},"
        "    \"Config\": {\"Type\": \"tmpfs\", \"Target\": \"/a\"}}],"
        "  \"Task\": {\"State\": \"running\", \"Token\": 4, \"ExitCode\": -1, \"Started\": 7,"
        "   \"Command\": [\"sh\", \"-c\", \"\"]},"
        "  \"Config\": {\"Image\": \"busybox\", \"Main\": true}}],"
        " \"Processes\": [{\"Container\": \"0123456789abcdef\","
        "  \"Task\": {\"State\": \"exited\", \"Token\": 5, \"ExitCode\": 3, \"OOMKilled\": true,"
        "   \"Command\": [\"ls\"]}, \"Config\": {\"Command\": [\"ls\"], \"Terminal\": true}}]}";

/* Sorted by target; one that the agent was being asked for is taken as mounted, to be undone. */
static void check_mounts(const Container *container)
{
        const Mount *bind = mount_find(container, "/b"), *tmpfs = mount_find(container, "/a");

        unit_assert(bind && tmpfs && LIST_ENTRY(container->mounts.next, Mount, link) == tmpfs);
        unit_assert_int(bind->state, MOUNT_MOUNTED);
        unit_assert_int(bind->goal, MOUNT_KEPT);
        unit_assert_int(bind->slot, 5);
        unit_assert_string(bind->tag, "m2");
        unit_assert_string(bind->config.source_path, "/s");
        unit_assert(bind->config.read_only && bind->origin.directory);
        unit_assert_int(bind->origin.uid, 1000);
        unit_assert_int(bind->origin.inode, 7);
        unit_assert_int(tmpfs->state, MOUNT_MOUNTED);
        unit_assert_int(tmpfs->goal, MOUNT_NEW);
}

/* A device that a guest has is found again by its slot, its interface by the number. */
static void check_network(const Sandbox *sandbox)
{
        const Nic *nic = network_find_nic(sandbox, "eth0");

        unit_assert(nic && network_has_namespace(sandbox) && sandbox->network.given);
        unit_assert_int(nic->state, NIC_PLUGGED);
        unit_assert_int(nic->slot, 4);
        unit_assert_int(nic->ifindex, 5);
        unit_assert_int(nic->network.mac[5], 7);
        unit_assert_int(network_count_slots(sandbox), 1);
        unit_assert_int(network_find_throttle(sandbox, "eth0")->transmit.bytes, 1000);
}

static void check(Sandbox *sandbox)
{
        Container *container = sandbox_find_container(sandbox, "c");
        Task *task = sandbox_find_task(sandbox, 5);

        check_network(sandbox);
        unit_assert_string(sandbox->name, "web");
        unit_assert_int(sandbox->owner, 1000);
        unit_assert_int(sandbox->state, SANDBOX_RUNNING);
        unit_assert_int(sandbox->range_base, 1879048192);
        unit_assert_int(sandbox->next_token, 9);
        unit_assert_int(sandbox->phases[2], 3);
        unit_assert_int(sandbox->config.memory, 134217728);
        unit_assert(sandbox->config.auto_remove);
        unit_assert_string(strv_map_get(sandbox->config.labels, "k"), "v");
        unit_assert(container && container->stage == CONTAINER_READY);
        unit_assert_string(container->image_id, "fedcba9876543210");
        unit_assert_int(container->slot, 3);
        unit_assert(container->config.main);
        check_mounts(container);
        unit_assert_int(container->task.state, TASK_RUNNING);
        unit_assert_int(strv_length(container->task.command), 3);
        unit_assert(task && task->kind == TASK_PROCESS);
        unit_assert_int(task->code, 3);
        unit_assert(task->oom);
        unit_assert(task_config(task)->terminal);
}

static void goes_round(void)
{
        json_object *json = json_tokener_parse(full), *again;
        Sandbox *sandbox;

        unit_assert(json);
        unit_assert_int(record_from_json(&manager, "aaaaaaaaaaaaaaaa", json, &sandbox), 0);
        check(sandbox);
        again = record_to_json(sandbox);
        sandbox_free(sandbox);
        unit_assert_int(record_from_json(&manager, "bbbbbbbbbbbbbbbb", again, &sandbox), 0);
        check(sandbox);
        sandbox_free(sandbox);
        json_object_put(json);
        json_object_put(again);
        unit_assert(!manager.sandboxes);
}

static void refuses_changed_ones(void)
{
        static const struct {
                const char *from, *to;
        } changes[] = {
                {"\"Version\": 1", "\"Version\": 2"},
                {"\"web\"", "\"../web\""},
                {"\"State\": \"running\", \"Reason\"", "\"State\": \"odd\", \"Reason\""},
                {"\"0123456789abcdef\", \"Name\"", "\"../../etc/passwd\", \"Name\""},
                {"fedcba9876543210", "fedcba987654321/"},
                {"\"Token\": 5", "\"Token\": 4"},
                {"\"Token\": 5", "\"Token\": 0"},
                {"\"State\": \"exited\"", "\"State\": 4"},
                {"[\"ls\"]", "{}"},
                {"{\"Container\": \"0123456789abcdef\"", "{\"Container\": \"none\""},
                {"\"Memory\": 134217728", "\"Memory\": 1"},
                {"\"mounted\"", "\"odd\""},
                {"\"kept\"", "7"},
                {"\"Type\": \"bind\"", "\"Type\": \"odd\""},
                {"\"Target\": \"/b\"", "\"Target\": \"/b/../c\""},
                {"\"Target\": \"/b\",", ""},
                {"\"Cache\": \"mmap\"", "\"Cache\": \"none\", \"Cache\": \"odd\""},
                {"\"SourcePath\": \"/s\"", "\"Volume\": \"v\""},
        };

        for (size_t i = 0; i < ELEMENTSOF(changes); i++) {
                const char *at = strstr(full, changes[i].from);
                char text[sizeof(full) + 64];
                json_object *json;
                Sandbox *sandbox;

                unit_assert(at);
                snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - full), full, changes[i].to,
                         at + strlen(changes[i].from));
                json = json_tokener_parse(text);
                unit_assert(json);
                if (record_from_json(&manager, "aaaaaaaaaaaaaaaa", json, &sandbox) != -EBADMSG)
                        unit_fail("\"%s\" for \"%s\" is taken", changes[i].to, changes[i].from);
                json_object_put(json);
                unit_assert(!manager.sandboxes);
        }
}

static void survives_on_disk(void)
{
        json_object *json = json_tokener_parse(full);
        Manager other = {.images = manager.images};
        Sandbox *sandbox;
        char path[64];

        manager.paths.state_dir = other.paths.state_dir = directory;
        unit_assert_int(record_load_all(&manager), 0);
        unit_assert_int(record_from_json(&manager, "aaaaaaaaaaaaaaaa", json, &sandbox), 0);
        unit_assert_int(record_save(sandbox), 0);
        unit_assert_int(record_load_all(&other), 0);
        check(manager_find_sandbox(&other, "aaaaaaaaaaaaaaaa"));
        sandbox_free(manager_find_sandbox(&other, "aaaaaaaaaaaaaaaa"));

        record_remove(sandbox);
        sandbox_free(sandbox);
        unit_assert_int(record_load_all(&other), 0);
        unit_assert(!other.sandboxes);
        snprintf(path, sizeof(path), "%s/sandboxes", directory);
        unit_assert(rmdir(path) == 0);
        snprintf(path, sizeof(path), "%s/images", directory);
        unit_assert(rmdir(path) == 0 && rmdir(directory) == 0);
        image_store_close(manager.images);
        json_object_put(json);
}

UNIT_MAIN(UNIT_TEST(opens_an_empty_store), UNIT_TEST(goes_round), UNIT_TEST(refuses_changed_ones),
          UNIT_TEST(survives_on_disk))
