/* Starts of sandboxes; see boot.h. All of it runs in the loop and waits for nobody. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "proto/firmware.h"
#include "uvmd/boot.h"
#include "uvmd/bus/hold.h"
#include "uvmd/errors.h"
#include "uvmd/journal.h"
#include "uvmd/kvm.h"
#include "uvmd/record.h"
#include "uvmd/rundir.h"

/* Where uvm-shim finds its end of the link. */
#define BOOT_SHIM_FD 3

/* vsock, rng and balloon, and what may be plugged in later; each slot costs the guest a probe at boot. */
#define BOOT_SLOTS_BASE  3
#define BOOT_SLOTS_SPARE 5
#define BOOT_SLOTS_MAX   32

/* ------------------------------------------------------------------ what is needed first */

static int boot_check_firmware(int fd, const Sandbox *sandbox, sd_bus_error *error)
{
        uint8_t header[FIRMWARE_HEADER_SIZE];
        _cleanup_(freep) Firmware *firmware = malloc(sizeof(*firmware));
        struct stat st;
        ssize_t n;
        int r;

        if (!firmware)
                return -ENOMEM;
        if (fstat(fd, &st) < 0)
                return errno_neg();
        n = pread(fd, header, sizeof(header), 0);
        if (n < 0)
                return errno_neg();
        r = firmware_decode(header, (size_t)n, (uint64_t)st.st_size, firmware);
        if (r != 0)
                return error_set(error, -EBADMSG, ERROR_BAD_FIRMWARE,
                                 "The firmware image can't be used: %s. Make one with uvm-mkfw.",
                                 firmware_strerror(r));
        if (sandbox->config.memory < firmware->min_memory)
                return error_set(error, -EINVAL, ERROR_INVALID_ARGUMENT,
                                 "The firmware image needs %llu MiB of memory; the sandbox has "
                                 "%llu.",
                                 (unsigned long long)(firmware->min_memory + (1 << 20) - 1) >> 20,
                                 (unsigned long long)sandbox->config.memory >> 20);
        return 0;
}

static int boot_open_firmware(Sandbox *sandbox, sd_bus_error *error)
{
        const char *path = sandbox->manager->paths.firmware;
        _cleanup_(freep) char *custom = NULL;
        _cleanup_(fd_closep) int fd = FD_NONE;
        int r;

        if (sandbox->config.custom_firmware) {
                path = custom = record_firmware_path(sandbox);
                if (!path)
                        return -ENOMEM;
        }
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return error_set(error, errno_neg(), ERROR_BAD_FIRMWARE,
                                 "Can't open the firmware image %s: %s.", path, strerror(errno));
        r = boot_check_firmware(fd, sandbox, error);
        if (r < 0)
                return r;
        sandbox->firmware = TAKE_FD(fd);
        return 0;
}

static int boot_take_range(Sandbox *sandbox, sd_bus_error *error)
{
        int r = idranges_take(sandbox->manager->ranges, &sandbox->range_base);

        if (r < 0)
                return error_set(error, r, ERROR_LIMIT_EXCEEDED,
                                 "All ranges of user ids are in use by running sandboxes; "
                                 "UVM_ID_RANGE_COUNT in /etc/default/uvm allows more.");
        return 0;
}

/* ------------------------------------------------------------------ the shim */

/* Only what the shim is to know; not the sockets of uvmd's own service manager. */
static char **boot_environment(void)
{
        static const char *const kept[] = {"PATH", "JOURNAL_STREAM", "UVM_TIME_SCALE",
                                           "UVM_LOG_LEVEL"};
        static char *environment[ELEMENTSOF(kept) + 1];
        size_t n = 0;

        for (size_t i = 0; i < ELEMENTSOF(kept); i++) {
                const char *value = getenv(kept[i]);

                if (value && asprintf(&environment[n], "%s=%s", kept[i], value) >= 0)
                        n++;
        }
        environment[n] = NULL;
        return environment;
}

static void boot_exec_shim(const Sandbox *sandbox, int socket)
{
        const char *program = sandbox->manager->paths.shim;
        const char *arguments[] = {"uvm-shim", "--id", sandbox->id, "--fd", "3", NULL};
        char **environment = boot_environment();
        sigset_t none;
        int null, journal;

        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        setsid();
        null = open("/dev/null", O_RDWR);
        if (null < 0 || dup2(null, STDIN_FILENO) < 0)
                _exit(126);
        /* Its lines carry its own name, not the service's. */
        journal = getenv("JOURNAL_STREAM") ? sd_journal_stream_fd("uvm-shim", LOG_INFO, 1) : -1;
        if (journal >= 0)
                dup2(journal, STDERR_FILENO);
        if (fd_pass_to_exec(&socket, 1, BOOT_SHIM_FD) < 0)
                _exit(126);
        execve(program, (char *const *)arguments, environment);
        log_error_errno(errno_neg(), "Can't run %s", program);
        _exit(127);
}

static int boot_spawn_shim(Sandbox *sandbox)
{
        int pair[2], r;

        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
                return errno_neg();
        sandbox->leader = fork();
        if (sandbox->leader == 0)
                boot_exec_shim(sandbox, pair[1]);
        r = sandbox->leader < 0 ? errno_neg() : 0;
        fd_close(pair[1]);
        if (r < 0) {
                sandbox->leader = 0;
                fd_close(pair[0]);
                return r;
        }
        r = sd_event_add_child(sandbox->manager->event, &sandbox->leader_source, sandbox->leader,
                               WEXITED, sandbox_on_leader_exit, sandbox);
        if (r < 0) {
                kill(sandbox->leader, SIGKILL);
                fd_close(pair[0]);
                return r;
        }
        return shim_link_new(&sandbox->link, sandbox->manager->event, pair[0], &sandbox_link_events,
                             sandbox);
}

/* ------------------------------------------------------------------ LAUNCH, devices, BOOT */

/* The shim's "no" to a step, as the start's failure. */
static void boot_on_refusal(Sandbox *sandbox, int r, const ShimReply *reply, const char *step)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;

        /* Without a reply the link has ended, and these two say that the guest has: its state tells
         * why, and comes on its own. */
        if (!reply || r == -ECANCELED || r == -ETIMEDOUT)
                return;
        error_set(&error, r, r == -ENOMEM ? ERROR_OUT_OF_MEMORY : ERROR_BOOT_FAILED,
                  "The virtual machine can't start: %s failed: %s", step,
                  reply->text[0] ? reply->text : strerror(-r));
        sandbox_fail(sandbox, r, &error);
}

static void boot_on_boot_reply(void *userdata, int r, const ShimReply *reply)
{
        Sandbox *sandbox = userdata;

        if (r < 0 && sandbox->state == SANDBOX_STARTING)
                boot_on_refusal(sandbox, r, reply, "the boot");
}

static void boot_on_rng_reply(void *userdata, int r, const ShimReply *reply)
{
        Sandbox *sandbox = userdata;

        if (r < 0 && sandbox->state == SANDBOX_STARTING)
                boot_on_refusal(sandbox, r, reply, "adding the random number device");
}

static void boot_continue_containers(Sandbox *sandbox)
{
        Container *container, *next;

        HASH_ITER (hh, sandbox->containers, container, next)
                container_continue(container);
}

/* Once every container that is meant to be there has its device. */
static void boot_boot(Sandbox *sandbox)
{
        ShimMessage message = {.type = SHIM_BOOT};
        Container *container, *next;
        int r;

        HASH_ITER (hh, sandbox->containers, container, next)
                if (container->stage == CONTAINER_EXPORTING ||
                    container->stage == CONTAINER_PLUGGING || mounts_are_moving(container) ||
                    upper_is_moving(container))
                        return;
        sandbox->boot = SANDBOX_BOOT_BOOTED;
        r = shim_link_request(sandbox->link, &message, NULL, 0, boot_on_boot_reply, sandbox);
        if (r < 0) {
                sandbox_fail(sandbox, r, NULL);
                return;
        }
        network_continue(sandbox);
        boot_continue_containers(sandbox);
}

/* The agent is there and has taken the network: containers may start. */
static void boot_finish(Sandbox *sandbox)
{
        if (!network_is_ready(sandbox))
                return;
        sandbox_set_state(sandbox, SANDBOX_RUNNING);
        boot_continue_containers(sandbox);
}

static void boot_on_launch_reply(void *userdata, int r, const ShimReply *reply)
{
        Sandbox *sandbox = userdata;
        Container *container, *next;
        ShimMessage message = {
                .type = SHIM_ADD_DEVICE,
                .add_device = {.kind = SHIM_DEVICE_RNG},
        };

        if (sandbox->state != SANDBOX_STARTING)
                return;
        if (r < 0) {
                boot_on_refusal(sandbox, r, reply, "uvm-vmm");
                return;
        }
        sandbox->boot = SANDBOX_BOOT_PLUGGING;
        r = shim_link_request(sandbox->link, &message, NULL, 0, boot_on_rng_reply, sandbox);
        if (r < 0) {
                sandbox_fail(sandbox, r, NULL);
                return;
        }
        hotplug_on_launched(sandbox);
        HASH_ITER (hh, sandbox->containers, container, next) {
                container_continue(container);
                mounts_continue(container);
                upper_continue(container);
        }
        network_continue(sandbox);
        boot_continue(sandbox);
}

static void boot_copy(char *into, size_t size, const char *from)
{
        snprintf(into, size, "%s", from ?: "");
}

static unsigned boot_count_slots(const Sandbox *sandbox)
{
        unsigned slots = BOOT_SLOTS_BASE + BOOT_SLOTS_SPARE + network_plan_slots(sandbox);
        Container *container, *next;

        HASH_ITER (hh, sandbox->containers, container, next)
                slots += 1 + upper_is_wanted(container) + mounts_count_directories(container);
        return MIN(slots, BOOT_SLOTS_MAX);
}

/* What the board and the monitor's user namespace must be like: neither changes while it runs. Exports
 * are made before the launch and ask whether a slot is left; it counts once more, for a namespace that
 * was given is looked at meanwhile. */
static void boot_plan(Sandbox *sandbox)
{
        Container *container, *next;

        sandbox->identity = false;
        hotplug_plan(sandbox);
        sandbox->slots = boot_count_slots(sandbox);
        HASH_ITER (hh, sandbox->containers, container, next)
                sandbox->identity = sandbox->identity || mounts_need_identity(container);
}

static void boot_fill_launch(const Sandbox *sandbox, ShimLaunch *launch)
{
        *launch = (ShimLaunch){
                .flags = (sandbox->identity ? SHIM_LAUNCH_IDENTITY : 0U) |
                         (sandbox->config.merge_pages ? SHIM_LAUNCH_MERGE_PAGES : 0U),
                .range_base = sandbox->range_base,
                .range_size = IDRANGE_SIZE,
                .vcpus = sandbox->config.vcpus,
                .max_vcpus = sandbox->hotplug.vcpus_max,
                .slots = sandbox->slots,
                .memory = sandbox->config.memory,
                .memory_max = sandbox->hotplug.memory_limit,
                .boot_usec = sandbox->config.boot_timeout,
                .stop_usec = CONTAINER_GRACE_DEFAULT,
        };
        boot_copy(launch->vmm, sizeof(launch->vmm), sandbox->manager->paths.vmm);
        boot_copy(launch->cmdline, sizeof(launch->cmdline), sandbox->config.kernel_arguments);
        boot_copy(launch->hostname, sizeof(launch->hostname), sandbox_hostname(sandbox));
        boot_copy(launch->name, sizeof(launch->name), sandbox->name);
        snprintf(launch->owner, sizeof(launch->owner), "%u", sandbox->owner);
}

static int boot_send_launch(Sandbox *sandbox)
{
        ShimMessage message = {.type = SHIM_LAUNCH};
        _cleanup_(freep) char *path = rundir_path(sandbox->manager->paths.run_dir, sandbox->id,
                                                  NULL);
        _cleanup_(fd_closep) int directory = FD_NONE;
        int r;

        if (!path)
                return -ENOMEM;
        directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (directory < 0)
                return errno_neg();
        sandbox->slots = MAX(sandbox->slots, boot_count_slots(sandbox));
        boot_fill_launch(sandbox, &message.launch);
        r = shim_link_request(sandbox->link, &message,
                              (const int[]){directory, sandbox->kvm, sandbox->firmware},
                              SHIM_LAUNCH_FDS, boot_on_launch_reply, sandbox);
        sandbox->kvm = fd_close(sandbox->kvm);
        sandbox->firmware = fd_close(sandbox->firmware);
        return r;
}

/* Slots can't be added later: a namespace that was given is looked at before. */
static void boot_launch(Sandbox *sandbox)
{
        int r;

        if (network_is_counting(sandbox))
                return;
        sandbox->boot = SANDBOX_BOOT_LAUNCHED;
        r = boot_send_launch(sandbox);
        if (r < 0)
                sandbox_fail(sandbox, r, NULL);
}

static void boot_on_scope(void *userdata, int r, const sd_bus_error *error)
{
        Sandbox *sandbox = userdata;

        if (sandbox->state != SANDBOX_STARTING)
                return;
        sandbox->phases[SANDBOX_PHASE_SCOPE] = clock_now_usec();
        sandbox->boot = SANDBOX_BOOT_SCOPED;
        if (r < 0)
                sandbox_fail(sandbox, r, error);
        else
                boot_continue(sandbox);
}

static int boot_make_scope(Sandbox *sandbox)
{
        _cleanup_(freep) char *name = sandbox_unit_name(sandbox), *description = NULL;
        int r;

        if (!name || asprintf(&description, "uVM virtual machine %s", sandbox->id) < 0)
                return -ENOMEM;
        r = unit_new(&sandbox->unit, sandbox->manager->bus, name, sandbox);
        if (r < 0)
                return r;
        return unit_start(sandbox->unit, &sandbox->config,
                          sandbox->config.description ?: description, sandbox->leader,
                          boot_on_scope);
}

/* ------------------------------------------------------------------ the start */

void boot_continue(Sandbox *sandbox)
{
        if (sandbox->state != SANDBOX_STARTING)
                return;
        switch (sandbox->boot) {
        case SANDBOX_BOOT_SCOPED:
                boot_launch(sandbox);
                break;
        case SANDBOX_BOOT_PLUGGING:
                boot_boot(sandbox);
                break;
        case SANDBOX_BOOT_GREETED:
                boot_finish(sandbox);
                break;
        case SANDBOX_BOOT_NONE:
        case SANDBOX_BOOT_LAUNCHED:
        case SANDBOX_BOOT_BOOTED:
                break;
        }
}

int boot_begin(Sandbox *sandbox, sd_bus_error *error)
{
        _cleanup_(fd_closep) int directory = FD_NONE;
        Container *container, *next;
        int r;

        memset(sandbox->phases, 0, sizeof(sandbox->phases));
        sandbox->phases[SANDBOX_PHASE_START] = clock_now_usec();
        boot_plan(sandbox);
        r = kvm_open(&sandbox->kvm, error);
        if (r >= 0)
                r = boot_open_firmware(sandbox, error);
        if (r >= 0)
                r = boot_take_range(sandbox, error);
        if (r >= 0)
                r = rundir_make(sandbox->manager->paths.run_dir, sandbox->id, &directory);
        if (r >= 0)
                r = boot_spawn_shim(sandbox);
        if (r >= 0)
                r = boot_make_scope(sandbox);
        if (r >= 0)
                r = network_set_up(sandbox, error);
        /* From here on there is something to find again. */
        if (r >= 0)
                sandbox_save(sandbox);
        /* While systemd works on the scope the exports are made. */
        HASH_ITER (hh, sandbox->containers, container, next)
                if (r >= 0)
                        r = container_set_up(container, error);
        return r;
}

int sandbox_start(Sandbox *sandbox, sd_bus_message *call, sd_bus_error *error)
{
        _cleanup_(sd_bus_error_free) sd_bus_error failure = SD_BUS_ERROR_NULL;
        Container *container, *next;
        int r;

        if (sandbox->state != SANDBOX_CREATED && sandbox->state != SANDBOX_STOPPED)
                return error_set(error, -EBUSY, ERROR_WRONG_STATE,
                                 "The sandbox %s is %s; Start is for one that is created or "
                                 "stopped.",
                                 sandbox->name, sandbox_state_to_string(sandbox->state));
        HASH_ITER (hh, sandbox->containers, container, next)
                if (mounts_are_moving(container))
                        return error_set(error, -EBUSY, ERROR_WRONG_STATE,
                                         "A mount is being attached: wait until AttachVolume has "
                                         "answered.");
        r = admission_check(sandbox->manager, sandbox, sandbox->config.memory,
                            sandbox->config.vcpus, error);
        if (r < 0)
                return r;
        sandbox_set_state(sandbox, SANDBOX_STARTING);
        bus_hold_call(&sandbox->start_calls, call);
        r = boot_begin(sandbox, &failure);
        if (r < 0)
                sandbox_fail(sandbox, r, &failure);
        return 0;
}
