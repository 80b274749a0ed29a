/*
 * Chains of CNI plugins and their ledger, with plugins made of shell. Everything is in network
 * namespaces of the test's own; whoever can't make one has nothing to test here.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "test/scratch.h"
#include "test/unit.h"
#include "uvmd/json.h"
#include "uvmd/jsonfile.h"
#include "uvmd/net/cni_chain.h"

#define ID       "0123456789abcdef"
#define INSTANCE "fedcba9876543210"
#define IFACE    "eth0"

static char directory[32], namespace[64], plugins[64], networks[64], state[64];
static CniPaths paths;

static void write_file(const char *name, const char *text, mode_t mode)
{
        char path[128];
        int fd;

        snprintf(path, sizeof(path), "%s/%s", directory, name);
        fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
        unit_assert(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
        close(fd);
}

/* Both plugins: say what they got, then do what the file "TYPE.COMMAND" of the directory says. */
static const char plugin[] = "#!/bin/sh\n"
                             "cd \"${0%/*}/..\" || exit 9\n"
                             "me=${0##*/}\n"
                             "input=$(cat)\n"
                             "has=\n"
                             "case $input in *prevResult*) has=+;; esac\n"
                             "echo \"$me $CNI_COMMAND $CNI_IFNAME$has\" >>log\n"
                             "[ -n \"$CNI_NETNS\" ] || echo no namespace >>log\n"
                             "if [ -e \"$me.$CNI_COMMAND\" ]; then . \"./$me.$CNI_COMMAND\"; fi\n"
                             "[ \"$CNI_COMMAND\" != ADD ] ||\n"
                             "  echo '{\"ips\": [{\"address\": \"10.0.0.2/24\"}]}'\n";

static void set_up(void)
{
        static const char list[] = "{\"cniVersion\": \"1.0.0\", \"name\": \"n\", \"plugins\": ["
                                   "{\"type\": \"one\"}, {\"type\": \"two\"}]}";

        strcpy(directory, "/tmp/uvm-cni-XXXXXX");
        unit_assert(mkdtemp(directory));
        snprintf(plugins, sizeof(plugins), "%s/bin", directory);
        snprintf(networks, sizeof(networks), "%s/networks.d", directory);
        snprintf(state, sizeof(state), "%s/state", directory);
        unit_assert(mkdir(plugins, 0755) == 0 && mkdir(networks, 0755) == 0 &&
                    mkdir(state, 0700) == 0);
        write_file("bin/one", plugin, 0755);
        write_file("bin/two", plugin, 0755);
        write_file("networks.d/n.conflist", list, 0644);
        write_file("log", "", 0644);
        paths = (CniPaths){
                .plugins = plugins,
                .networks = networks,
                .foreign = networks,
                .run_dir = directory,
        };
}

static void tear_down(void)
{
        scratch_remove(AT_FDCWD, directory);
}

/* What the plugins were called with since the last time. */
static void expect_log(const char *expected)
{
        char path[64], text[1024];
        ssize_t n;
        int fd;

        snprintf(path, sizeof(path), "%s/log", directory);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        n = read(fd, text, sizeof(text) - 1);
        close(fd);
        unit_assert(n >= 0 && truncate(path, 0) == 0);
        text[n] = 0;
        unit_assert_string(text, expected);
}

static int count_one(const char *id, const char *interface, void *userdata)
{
        unit_assert_string(id, ID);
        unit_assert_string(interface, IFACE);
        (*(unsigned *)userdata)++;
        return 0;
}

static unsigned count_owed(void)
{
        unsigned n = 0;

        unit_assert_int(ledger_each(state, count_one, &n), 0);
        return n;
}

static int add_as(const char *interface, sd_bus_error *error)
{
        char network[] = "n";
        NetworkConfig config = {.network = network};
        _cleanup_(ledger_close) Ledger ledger;
        int r = ledger_open(&ledger, state, INSTANCE, ID, interface);

        unit_assert_int(r, 0);
        unit_assert(!ledger.entry);
        return cni_chain_add(&ledger, &paths, &config, "box", namespace, error);
}

static int add(sd_bus_error *error)
{
        return add_as(IFACE, error);
}

static int delete (sd_bus_error *error)
{
        _cleanup_(ledger_close) Ledger ledger;

        unit_assert_int(ledger_open(&ledger, state, INSTANCE, ID, IFACE), 0);
        unit_assert(ledger.entry && ledger_is_own(&ledger));
        return cni_chain_delete(&ledger, &paths, error);
}

static void there_and_back(void)
{
        set_up();
        unit_assert_int(add(NULL), 0);
        expect_log("one ADD eth0\ntwo ADD eth0+\n");
        unit_assert_int(count_owed(), 1);
        unit_assert_int(delete (NULL), 0);
        expect_log("two DEL eth0+\none DEL eth0+\n");
        unit_assert_int(count_owed(), 0);
        tear_down();
}

static void expect_failure(const char *told)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;

        unit_assert(add(&error) < 0);
        if (!strstr(error.message ?: "", told))
                unit_fail("\"%s\" says nothing of \"%s\"", error.message ?: "", told);
}

static void failures_take_back(void)
{
        set_up();
        write_file("two.ADD", "echo '{\"code\": 99, \"msg\": \"not today\"}'; exit 1\n", 0644);
        expect_failure("The CNI plugin two failed: not today.");
        expect_log("one ADD eth0\ntwo ADD eth0+\ntwo DEL eth0+\none DEL eth0+\n");
        write_file("two.ADD", "echo words >&2; exit 1\n", 0644);
        expect_failure("two failed: words.");
        write_file("two.ADD", "echo no JSON; exit 0\n", 0644);
        expect_failure("two printed no result: \"no JSON");
        write_file("two.ADD", "head -c 100000 /dev/zero; exit 0\n", 0644);
        expect_failure("two printed more than");
        write_file("two.ADD", "kill -9 $$\n", 0644);
        expect_failure("two failed (signal 9).");
        write_file("networks.d/n.conflist", "{\"name\": \"n\", \"type\": \"three\"}", 0644);
        expect_failure("install the package containernetworking-plugins");
        write_file("networks.d/n.conflist", "{\"name\": \"m\", \"type\": \"three\"}", 0644);
        expect_failure("There is no network \"n\"");
        unit_assert_int(count_owed(), 0);
        tear_down();
}

static void what_can_not_be_taken_back_stays_owed(void)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;

        set_up();
        unit_assert_int(add(NULL), 0);
        write_file("two.DEL", "echo busy >&2; exit 1\n", 0644);
        unit_assert(delete (&error) < 0);
        unit_assert_string(error.message, "The CNI plugin two failed: busy.");
        expect_log("one ADD eth0\ntwo ADD eth0+\ntwo DEL eth0+\none DEL eth0+\n");
        unit_assert_int(count_owed(), 1);
        write_file("two.DEL", "", 0644);
        unit_assert_int(delete (NULL), 0);
        unit_assert_int(count_owed(), 0);
        tear_down();
}

/* The worker dies in the middle of @plugin_command; what it began is known to the next. */
static void killed_in(const char *script, const char *log)
{
        pid_t pid;
        int status;

        set_up();
        write_file(script, "kill -9 $PPID; sleep 0.3; echo late >>log\n", 0644);
        pid = fork();
        if (pid == 0)
                _exit(add(NULL) < 0);
        unit_assert(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status));
        unit_assert_int(count_owed(), 1);
        unit_assert_int(delete (NULL), 0);
        expect_log(log);
        unit_assert_int(count_owed(), 0);
        tear_down();
}

static void killed(void)
{
        killed_in("one.ADD", "one ADD eth0\ntwo DEL eth0\none DEL eth0\n");
        killed_in("two.ADD", "one ADD eth0\ntwo ADD eth0+\ntwo DEL eth0+\none DEL eth0+\n");
}

/* A program that outlives the plugin and the worker holds the lock until it has ended. */
static void leftover_programs_are_waited_for(void)
{
        set_up();
        write_file("one.ADD", "(sleep 0.3; echo child >>log) >/dev/null 2>&1 &\n", 0644);
        unit_assert_int(add(NULL), 0);
        unit_assert_int(delete (NULL), 0);
        expect_log("one ADD eth0\ntwo ADD eth0+\nchild\ntwo DEL eth0+\none DEL eth0+\n");
        tear_down();
}

static void an_entry_that_makes_no_sense(void)
{
        static const char *const bad[] = {
                "{}",
                "{\"List\": {\"name\": \"n\", \"type\": \"one\"}, \"Runtime\": {}}",
                "{\"List\": {\"name\": \"n\", \"plugins\": [{\"type\": \"/b\"}]}, \"Runtime\": {}}",
                "{\"List\": {\"name\": \"n\", \"plugins\": [{\"type\": \"one\"}]}, \"Runtime\": 5}",
        };
        _cleanup_(ledger_close) Ledger ledger = {.lock = FD_NONE};

        set_up();
        unit_assert_int(ledger_open(&ledger, state, INSTANCE, ID, IFACE), 0);
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                json_object *entry = NULL;

                unit_assert_int(jsonfile_parse(bad[i], strlen(bad[i]), &entry), 0);
                unit_assert_int(ledger_write(&ledger, entry), 0);
                if (cni_chain_delete(&ledger, &paths, NULL) != -EBADMSG)
                        unit_fail("%s", bad[i]);
        }
        ledger_close(&ledger);
        write_file("state/networks/" ID "." IFACE ".json", "{\"cut", 0644);
        unit_assert_int(ledger_open(&ledger, state, INSTANCE, ID, IFACE), 0);
        unit_assert(!ledger.entry);
        unit_assert_int(count_owed(), 0);
        expect_log("");
        tear_down();
}

static void names_of_others(void)
{
        static const char *const names[] = {
                "x.json",
                ID ".json",
                ID ".eth0",
                ID ".eth0.lock",
                ID ".sixteen-bytes-xx.json",
                ID ".lo.json",
                "0123456789ABCDEF.eth0.json",
                ID "eth0.json",
        };

        set_up();
        unit_assert_int(count_owed(), 0);
        unit_assert_int(add(NULL), 0);
        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                char path[128];

                snprintf(path, sizeof(path), "state/networks/%s", names[i]);
                write_file(path, "{}", 0644);
        }
        unit_assert_int(count_owed(), 1);
        tear_down();
}

static void arguments(void)
{
        set_up();
        write_file("two.ADD", "echo \"$CNI_ARGS\" >>log\n", 0644);
        write_file("two.DEL", "echo \"$CNI_ARGS\" >>log\n", 0644);
        unit_assert_int(add(NULL), 0);
        expect_log("one ADD eth0\ntwo ADD eth0+\nIgnoreUnknown=1;K8S_POD_NAME=box\n");
        unit_assert_int(delete (NULL), 0);
        expect_log("two DEL eth0+\nIgnoreUnknown=1;K8S_POD_NAME=box\none DEL eth0+\n");
        tear_down();
}

static int check(void)
{
        _cleanup_(ledger_close) Ledger ledger;

        unit_assert_int(ledger_open(&ledger, state, INSTANCE, ID, IFACE), 0);
        return cni_chain_check(&ledger, &paths, NULL);
}

static void checks(void)
{
        set_up();
        unit_assert_int(add(NULL), 0);
        expect_log("one ADD eth0\ntwo ADD eth0+\n");
        unit_assert_int(check(), 0);
        expect_log("one CHECK eth0+\ntwo CHECK eth0+\n");
        write_file("one.CHECK", "exit 1\n", 0644);
        unit_assert_int(check(), -EIO);
        expect_log("one CHECK eth0+\n");
        unit_assert_int(count_owed(), 1);
        unit_assert_int(delete (NULL), 0);
        tear_down();
}

/* What they share two don't make at once. */
static void one_after_the_other(void)
{
        int status;
        pid_t pid;

        set_up();
        write_file("two.ADD", "mkdir busy || exit 1; sleep 0.1; rmdir busy\n", 0644);
        pid = fork();
        if (pid == 0)
                _exit(add_as("eth1", NULL) < 0);
        unit_assert_int(add(NULL), 0);
        unit_assert(waitpid(pid, &status, 0) == pid);
        unit_assert_int(status, 0);
        tear_down();
}

static const UnitTest tests[] = {
        UNIT_TEST(there_and_back),
        UNIT_TEST(failures_take_back),
        UNIT_TEST(what_can_not_be_taken_back_stays_owed),
        UNIT_TEST(killed),
        UNIT_TEST(leftover_programs_are_waited_for),
        UNIT_TEST(an_entry_that_makes_no_sense),
        UNIT_TEST(names_of_others),
        UNIT_TEST(arguments),
        UNIT_TEST(checks),
        UNIT_TEST(one_after_the_other),
};

int main(void)
{
        /* The chain writes sysctls of the namespace that it is given: never those of the machine. */
        if (unshare(CLONE_NEWNET) < 0) {
                puts("1..0 # SKIP can't make a network namespace");
                return 0;
        }
        snprintf(namespace, sizeof(namespace), "/proc/%d/ns/net", getpid());
        return unit_run(tests, ELEMENTSOF(tests));
}
