/* The options of run, create and exec; see setup.h. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/parse.h"
#include "base/signals.h"
#include "uvmctl/setup.h"

const char setup_help[] = SETUP_HELP_PROCESS
        "  -d, --detach              print the container's id and leave it running\n"
        "      --rm                  remove it once it has exited\n"
        "      --name NAME           of the container and its sandbox\n"
        "      --sandbox NAME        put it into this sandbox instead of one of its own\n"
        "  -m, --memory SIZE         the guest's memory, e.g. 256m (128m)\n"
        "      --cpus N              CPUs; a fraction limits their time (1)\n"
        "      --memory-limit SIZE   what update may make of the memory (the host's)\n"
        "      --cpus-max N          and of the CPUs (as many as it has)\n"
        "      --merge-pages         share equal pages with other guests (KSM: a side channel)\n"
        "      --no-balloon          freed memory stays with the guest\n"
        "  -h, --hostname NAME       of the guest (the name)\n" NETWORK_HELP
        "      --entrypoint COMMAND  instead of the image's\n"
        "      --read-only           no writable layer\n"
        "  -v, --volume [SOURCE:]TARGET[:OPTIONS]\n"
        "                            mount a directory or file of the host (a path) or a volume\n"
        "                            (a name): ro, nosuid, noexec, nocopy, cache=loose|mmap|none,\n"
        "                            bps=SIZE, iops=N; no SOURCE: an anonymous volume\n"
        "      --image-volume WHAT   the image's volumes are anonymous, tmpfs, or ignored\n"
        "      --mount type=TYPE,source=SOURCE,target=TARGET[,OPTION…]\n"
        "                            the same in words; TYPE is bind, volume, tmpfs or\n"
        "                            block (fs=, serial=, options=)\n"
        "      --disk PATH[:GUEST[:FS]][:ro]\n"
        "                            a file or block device of the host as a disk, mounted at "
        "GUEST\n"
        "                            if FS says what is on it, else the device GUEST (/dev/NAME)\n"
        "      --throttle TARGET:bps=SIZE,iops=N[,bps-burst=SIZE][,iops-burst=N]\n"
        "                            how fast a mount or disk may go; / is the root file system\n"
        "      --storage WHERE       the writable layer: disk, or memory (with --rm)\n"
        "      --storage-size SIZE   how large it may become (10g)\n"
        "      --tmpfs DIR[:OPTIONS] a file system in memory\n"
        "      --cap-add CAPABILITY, --cap-drop CAPABILITY\n"
        "      --ulimit NAME=SOFT[:HARD]\n"
        "      --stop-signal SIGNAL  what stop sends first (SIGTERM)\n"
        "  -l, --label K=V\n"
        "      --log-driver DRIVER   journald or none\n" LIMIT_ARGS_HELP_SCOPE
                LIMIT_ARGS_HELP_CONTAINER
        "      --slice SLICE         where the scope goes (uvm.slice)\n"
        "      --firmware FILE       a firmware image made by uvm-mkfw\n"
        "      --kernel-arguments TEXT\n"
        "      --boot-timeout SECONDS\n";

enum {
        OPT_RM = 256,
        OPT_NAME,
        OPT_SANDBOX,
        OPT_CPUS,
        OPT_ENTRYPOINT,
        OPT_READ_ONLY,
        OPT_TMPFS,
        OPT_MOUNT,
        OPT_DISK,
        OPT_THROTTLE,
        OPT_IMAGE_VOLUME,
        OPT_STORAGE,
        OPT_STORAGE_SIZE,
        OPT_CAP_ADD,
        OPT_CAP_DROP,
        OPT_ULIMIT,
        OPT_STOP_SIGNAL,
        OPT_LOG_DRIVER,
        OPT_SLICE,
        OPT_FIRMWARE,
        OPT_KERNEL_ARGUMENTS,
        OPT_BOOT_TIMEOUT,
        OPT_ENV_FILE,
        OPT_PRIVILEGED,
        OPT_DETACH_KEYS,
        OPT_MEMORY_LIMIT,
        OPT_CPUS_MAX,
        OPT_MERGE_PAGES,
        OPT_NO_BALLOON,
};

#define SETUP_OPTIONS_PROCESS                                                                      \
        {"interactive", no_argument, NULL, 'i'}, {"tty", no_argument, NULL, 't'},                  \
                {"env", required_argument, NULL, 'e'},                                             \
                {"env-file", required_argument, NULL, OPT_ENV_FILE},                               \
                {"workdir", required_argument, NULL, 'w'}, {"user", required_argument, NULL, 'u'}, \
                {"privileged", no_argument, NULL, OPT_PRIVILEGED},                                 \
                {"detach-keys", required_argument, NULL, OPT_DETACH_KEYS},                         \
        {                                                                                          \
                "detach", no_argument, NULL, 'd'                                                   \
        }

static const struct option options_exec[] = {SETUP_OPTIONS_PROCESS, {0}};

static const struct option options_run[] = {
        SETUP_OPTIONS_PROCESS,
        {"rm", no_argument, NULL, OPT_RM},
        {"name", required_argument, NULL, OPT_NAME},
        {"sandbox", required_argument, NULL, OPT_SANDBOX},
        {"memory", required_argument, NULL, 'm'},
        {"cpus", required_argument, NULL, OPT_CPUS},
        {"memory-limit", required_argument, NULL, OPT_MEMORY_LIMIT},
        {"cpus-max", required_argument, NULL, OPT_CPUS_MAX},
        {"merge-pages", no_argument, NULL, OPT_MERGE_PAGES},
        {"no-balloon", no_argument, NULL, OPT_NO_BALLOON},
        {"hostname", required_argument, NULL, 'h'},
        NETWORK_OPTIONS,
        {"entrypoint", required_argument, NULL, OPT_ENTRYPOINT},
        {"read-only", no_argument, NULL, OPT_READ_ONLY},
        {"tmpfs", required_argument, NULL, OPT_TMPFS},
        {"volume", required_argument, NULL, 'v'},
        {"mount", required_argument, NULL, OPT_MOUNT},
        {"disk", required_argument, NULL, OPT_DISK},
        {"throttle", required_argument, NULL, OPT_THROTTLE},
        {"image-volume", required_argument, NULL, OPT_IMAGE_VOLUME},
        {"storage", required_argument, NULL, OPT_STORAGE},
        {"storage-size", required_argument, NULL, OPT_STORAGE_SIZE},
        {"cap-add", required_argument, NULL, OPT_CAP_ADD},
        {"cap-drop", required_argument, NULL, OPT_CAP_DROP},
        {"ulimit", required_argument, NULL, OPT_ULIMIT},
        {"stop-signal", required_argument, NULL, OPT_STOP_SIGNAL},
        {"label", required_argument, NULL, 'l'},
        {"log-driver", required_argument, NULL, OPT_LOG_DRIVER},
        {"slice", required_argument, NULL, OPT_SLICE},
        {"firmware", required_argument, NULL, OPT_FIRMWARE},
        {"kernel-arguments", required_argument, NULL, OPT_KERNEL_ARGUMENTS},
        {"boot-timeout", required_argument, NULL, OPT_BOOT_TIMEOUT},
        {0},
};

static void array_add(char ***array, size_t *n, char *item)
{
        char **grown = reallocarray(*array, *n + 1, sizeof(*grown));

        if (!grown || !item)
                abort();
        grown[(*n)++] = item;
        *array = grown;
}

/* "K=V" as it is, "K" with the value that it has here, if it has one. */
static void setup_add_environment(Setup *setup, const char *text)
{
        const char *value;
        char *entry;

        if (strchr(text, '=')) {
                entry = strdup(text);
        } else {
                value = getenv(text);
                if (!value)
                        return;
                if (asprintf(&entry, "%s=%s", text, value) < 0)
                        entry = NULL;
        }
        array_add(&setup->environment, &setup->n_environment, entry);
}

static int setup_read_env_file(Setup *setup, const char *path)
{
        FILE *file = fopen(path, "re");
        _cleanup_(freep) char *line = NULL;
        size_t room = 0;
        ssize_t n;

        if (!file)
                return client_fail_errno(-errno, "--env-file %s", path);
        while ((n = getline(&line, &room, file)) > 0) {
                if (line[n - 1] == '\n')
                        line[n - 1] = 0;
                if (line[0] && line[0] != '#')
                        setup_add_environment(setup, line);
        }
        fclose(file);
        return 0;
}

typedef int (*SetupParse)(MountSpec *spec, const char *text, char **ret_error);

/* @option is what the person wrote, for the message. */
static int setup_add_spec(MountSpec **specs, size_t *n, const Verb *verb, const char *option,
                          SetupParse parse)
{
        MountSpec *grown = reallocarray(*specs, *n + 1, sizeof(*grown));
        _cleanup_(freep) char *error = NULL;
        int r;

        if (!grown)
                abort();
        *specs = grown;
        grown += (*n)++;
        r = parse(grown, optarg, &error);
        if (r < 0)
                return verb_usage_error(verb, "%s: %s", option, error ? error : strerror(-r));
        return 0;
}

static int setup_bytes(const Verb *verb, const char *option, uint64_t *ret)
{
        if (parse_bytes(optarg, ret) < 0)
                return verb_usage_error(verb, "%s: \"%s\" is no size such as 256m or 1.5g", option,
                                        optarg);
        return 0;
}

static int setup_count(const Verb *verb, const char *option, uint64_t min, uint64_t max,
                       uint64_t *ret)
{
        if (parse_u64(optarg, min, max, ret) < 0)
                return verb_usage_error(verb, "%s: \"%s\" is no whole number from %llu to %llu",
                                        option, optarg, (unsigned long long)min,
                                        (unsigned long long)max);
        return 0;
}

static int setup_seconds(const Verb *verb, const char *option, uint64_t *ret)
{
        uint64_t milli;

        if (parse_milli(optarg, 3600000, &milli) < 0)
                return verb_usage_error(verb, "%s: \"%s\" is no number of seconds up to 3600",
                                        option, optarg);
        *ret = milli * USEC_PER_MSEC;
        return 0;
}

static int setup_parse_size(Setup *setup, const Verb *verb, int option)
{
        int r = limit_args_take(&setup->limits, verb, option, optarg);

        if (r >= 0)
                return r;
        switch (option) {
        case 'm':
                return setup_bytes(verb, "--memory", &setup->memory);
        case OPT_MEMORY_LIMIT:
                return setup_bytes(verb, "--memory-limit", &setup->memory_limit);
        case OPT_STORAGE_SIZE:
                return setup_bytes(verb, "--storage-size", &setup->storage_size);
        case OPT_CPUS:
                if (parse_milli(optarg, 32000, &setup->milli_cpus) < 0)
                        return verb_usage_error(
                                verb, "--cpus: \"%s\" is no number of CPUs up to 32", optarg);
                return 0;
        case OPT_CPUS_MAX:
                return setup_count(verb, "--cpus-max", 1, 32, &setup->vcpus_max);
        case OPT_MERGE_PAGES:
                setup->merge_pages = true;
                return 0;
        case OPT_NO_BALLOON:
                setup->no_balloon = true;
                return 0;
        case OPT_BOOT_TIMEOUT:
                return setup_seconds(verb, "--boot-timeout", &setup->boot_timeout_usec);
        default:
                return client_fail("wrong arguments\nTry: uvmctl %s --help", verb->name);
        }
}

static int setup_parse_process(Setup *setup, const Verb *verb, int option)
{
        switch (option) {
        case 'i':
                setup->interactive = true;
                return 0;
        case 't':
                setup->terminal = true;
                return 0;
        case 'd':
                setup->detach = true;
                return 0;
        case 'e':
                setup_add_environment(setup, optarg);
                return 0;
        case OPT_ENV_FILE:
                return setup_read_env_file(setup, optarg);
        case 'w':
                setup->workdir = optarg;
                return 0;
        case 'u':
                setup->user = optarg;
                return 0;
        case OPT_PRIVILEGED:
                setup->privileged = true;
                return 0;
        case OPT_DETACH_KEYS:
                setup->detach_keys = optarg;
                return 0;
        default:
                return setup_parse_size(setup, verb, option);
        }
}

static int setup_parse_option(Setup *setup, const Verb *verb, int option)
{
        if (option == 'p' || option == 'P' ||
            (option >= NETWORK_OPT_FIRST && option <= NETWORK_OPT_LAST))
                return network_take_option(&setup->network, verb, option);
        switch (option) {
        case OPT_RM:
                setup->remove = true;
                return 0;
        case OPT_NAME:
                setup->name = optarg;
                return 0;
        case OPT_SANDBOX:
                setup->sandbox = optarg;
                return 0;
        case 'h':
                setup->hostname = optarg;
                return 0;
        case OPT_ENTRYPOINT:
                setup->entrypoint = optarg;
                return 0;
        case OPT_READ_ONLY:
                setup->read_only = true;
                return 0;
        case OPT_TMPFS:
                array_add(&setup->tmpfs, &setup->n_tmpfs, optarg);
                return 0;
        case 'v':
                return setup_add_spec(&setup->mounts, &setup->n_mounts, verb, "-v",
                                      mount_spec_parse_volume);
        case OPT_MOUNT:
                return setup_add_spec(&setup->mounts, &setup->n_mounts, verb, "--mount",
                                      mount_spec_parse_mount);
        case OPT_DISK:
                return setup_add_spec(&setup->mounts, &setup->n_mounts, verb, "--disk",
                                      mount_spec_parse_disk);
        case OPT_THROTTLE:
                return setup_add_spec(&setup->throttles, &setup->n_throttles, verb, "--throttle",
                                      mount_spec_parse_throttle);
        case OPT_IMAGE_VOLUME:
                setup->image_volumes = optarg;
                return 0;
        case OPT_STORAGE:
                setup->storage = optarg;
                return 0;
        case OPT_CAP_ADD:
                array_add(&setup->cap_add, &setup->n_cap_add, optarg);
                return 0;
        case OPT_CAP_DROP:
                array_add(&setup->cap_drop, &setup->n_cap_drop, optarg);
                return 0;
        case OPT_ULIMIT:
                array_add(&setup->ulimits, &setup->n_ulimits, optarg);
                return 0;
        case OPT_STOP_SIGNAL:
                setup->stop_signal = signal_parse(optarg);
                return setup->stop_signal > 0
                               ? 0
                               : verb_usage_error(verb, "there is no signal \"%s\"", optarg);
        case 'l':
                array_add(&setup->labels, &setup->n_labels, optarg);
                return 0;
        case OPT_LOG_DRIVER:
                setup->log_driver = optarg;
                return 0;
        case OPT_SLICE:
                setup->slice = optarg;
                return 0;
        case OPT_FIRMWARE:
                setup->firmware = optarg;
                return 0;
        case OPT_KERNEL_ARGUMENTS:
                setup->kernel_arguments = optarg;
                return 0;
        default:
                return setup_parse_process(setup, verb, option);
        }
}

int setup_parse(Setup *setup, const Verb *verb, int argc, char **argv, bool is_exec)
{
        /* "+": what follows the image or container is the command's own. */
        const char *shorts = is_exec ? "+ite:w:u:d" : "+ite:w:u:dm:h:l:v:p:P";
        _cleanup_(freep) struct option *all = is_exec ? NULL : limit_args_join(options_run);
        int option;

        *setup = (Setup){0};
        while ((option = getopt_long(argc, argv, shorts, all ? all : options_exec, NULL)) >= 0) {
                int r = setup_parse_option(setup, verb, option);

                if (r)
                        return r;
        }
        if (setup->detach && setup->remove && is_exec)
                return verb_usage_error(verb, "-d and --rm don't go together");
        if (setup->sandbox && network_is_given(&setup->network))
                return verb_usage_error(verb, "a container in --sandbox has that one's networks: "
                                              "see uvmctl network attach");
        return is_exec || setup->sandbox ? 0 : network_complete(&setup->network, verb);
}

void setup_done(Setup *setup)
{
        for (size_t i = 0; i < setup->n_environment; i++)
                free(setup->environment[i]);
        free(setup->environment);
        free(setup->labels);
        free(setup->tmpfs);
        for (size_t i = 0; i < setup->n_mounts; i++)
                mount_spec_done(&setup->mounts[i]);
        free(setup->mounts);
        for (size_t i = 0; i < setup->n_throttles; i++)
                mount_spec_done(&setup->throttles[i]);
        free(setup->throttles);
        network_options_done(&setup->network);
        free(setup->cap_add);
        free(setup->cap_drop);
        free(setup->ulimits);
        limit_args_done(&setup->limits);
}
