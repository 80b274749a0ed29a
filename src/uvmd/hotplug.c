/* Changes of a guest's memory, and what a guest may have at all; see hotplug.h. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "uvmd/admission.h"
#include "uvmd/bus/emit.h"
#include "uvmd/errors.h"
#include "uvmd/events.h"
#include "uvmd/journal.h"
#include "uvmd/sandbox.h"

/* How long a guest may take without coming any further. */
#define HOTPLUG_USEC (5 * USEC_PER_SEC)

#define MIB(bytes) ((unsigned long long)((bytes) >> 20))

/* ------------------------------------------------------------------ what it may have */

/* As much as the host has: who asks for more than fits meets admission. */
static uint64_t host_memory(void)
{
        long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
        uint64_t bytes = pages > 0 && size > 0 ? (uint64_t)pages * (uint64_t)size : 0;

        return MIN(bytes, SANDBOX_MEMORY_MAX) & ~(SANDBOX_MEMORY_STEP - 1);
}

static bool hotplug_guest_runs(const Sandbox *sandbox)
{
        return sandbox->hotplug.boot_memory > 0;
}

uint32_t hotplug_vcpus_max(const Sandbox *sandbox)
{
        if (hotplug_guest_runs(sandbox))
                return sandbox->hotplug.vcpus_max;
        return MAX(sandbox->config.vcpus_max, sandbox->config.vcpus);
}

uint64_t hotplug_memory_limit(const Sandbox *sandbox)
{
        if (hotplug_guest_runs(sandbox))
                return sandbox->hotplug.memory_limit;
        return MAX(sandbox->config.memory_limit ?: host_memory(), sandbox->config.memory);
}

uint64_t hotplug_memory(const Sandbox *sandbox)
{
        const Hotplug *hotplug = &sandbox->hotplug;

        return hotplug->boot_memory + hotplug->plugged -
               MIN(hotplug->ballooned, hotplug->boot_memory);
}

/* Memory is plugged in blocks, of 2 MiB or, with more than PLUG_BLOCKS_MAX of them, larger: that is
 * how the monitor's MEM device cuts the room that it has. */
#define PLUG_BLOCKS_MAX 16384
#define PLUG_ALIGNMENT  (128ULL << 20)

static uint64_t hotplug_block(const Hotplug *hotplug)
{
        uint64_t room = hotplug->memory_limit - MIN(hotplug->memory_limit, hotplug->boot_memory);
        uint64_t block = SANDBOX_MEMORY_STEP;

        room = (room + PLUG_ALIGNMENT - 1) & ~(PLUG_ALIGNMENT - 1);
        while (room / block > PLUG_BLOCKS_MAX)
                block *= 2;
        return block;
}

/* What is to be plugged for @bytes in all: whole blocks, down where there is no room for one more. */
static uint64_t hotplug_plug_target(const Hotplug *hotplug, uint64_t bytes)
{
        uint64_t block = hotplug_block(hotplug);
        uint64_t wanted = bytes - MIN(bytes, hotplug->boot_memory);
        uint64_t room = hotplug->memory_limit - MIN(hotplug->memory_limit, hotplug->boot_memory);

        wanted = (wanted + block - 1) & ~(block - 1);
        return MIN(wanted, room & ~(block - 1));
}

unsigned hotplug_count_slots(const Sandbox *sandbox)
{
        return (unsigned)sandbox->hotplug.has_balloon + sandbox->hotplug.has_mem;
}

void hotplug_plan(Sandbox *sandbox)
{
        Hotplug plan = {
                .vcpus_max = hotplug_vcpus_max(sandbox),
                .memory_limit = hotplug_memory_limit(sandbox),
                .boot_memory = sandbox->config.memory,
        };

        sandbox->hotplug = plan;
}

/* ------------------------------------------------------------------ the balloon, and an adoption */

static void hotplug_on_balloon(void *userdata, int r, const ShimReply *reply)
{
        Sandbox *sandbox = userdata;

        if (!reply || r == -ECANCELED)
                return;
        /* The guest runs as well without: only nothing comes back from it. */
        if (r < 0) {
                sandbox_log_warning_errno(sandbox, r, "it has no balloon");
                return;
        }
        sandbox->hotplug.has_balloon = true;
        sandbox->hotplug.balloon_slot = reply->value;
}

void hotplug_on_launched(Sandbox *sandbox)
{
        ShimMessage message = {
                .type = SHIM_ADD_DEVICE,
                .add_device = {.kind = SHIM_DEVICE_BALLOON},
        };
        int r = 0;

        if (sandbox->config.balloon)
                r = shim_link_request(sandbox->link, &message, NULL, 0, hotplug_on_balloon,
                                      sandbox);
        if (r < 0)
                sandbox_log_warning_errno(sandbox, r, "can't ask for a balloon");
}

/* The slots too: what was plugged in right before the end of an uvmd is in no record. */
static void hotplug_take_devices(Hotplug *hotplug, const ControlStats *stats)
{
        for (uint32_t i = 0; i < stats->n_devices; i++) {
                const ControlDeviceStats *device = &stats->devices[i];

                if (device->kind == CONTROL_DEVICE_BALLOON) {
                        hotplug->has_balloon = true;
                        hotplug->balloon_slot = device->slot;
                        hotplug->ballooned = stats->memory.balloon_bytes;
                } else if (device->kind == CONTROL_DEVICE_MEM) {
                        hotplug->has_mem = true;
                        hotplug->mem_slot = device->slot;
                        hotplug->plugged = stats->memory.plugged_bytes;
                }
        }
}

static void hotplug_on_stats(void *userdata, int r, const ShimReply *reply)
{
        Sandbox *sandbox = userdata;
        ControlMessage monitor;
        ShimStats stats;

        if (r < 0 || shim_stats_decode(reply->payload, reply->payload_size, &stats) < 0 ||
            stats.vmm_size == 0 || control_decode(stats.vmm, stats.vmm_size, &monitor) < 0 ||
            monitor.type != CONTROL_STATS)
                return;
        hotplug_take_devices(&sandbox->hotplug, &monitor.stats);
        bus_emit_sandbox_resized(sandbox);
}

void hotplug_adopt(Sandbox *sandbox)
{
        ShimMessage message = {.type = SHIM_GET_STATS};

        if (!hotplug_guest_runs(sandbox)) {
                hotplug_plan(sandbox); /* the record is an older uvmd's */
                sandbox->hotplug.vcpus_max = sandbox->config.vcpus;
                sandbox->hotplug.memory_limit = sandbox->config.memory;
        }
        shim_link_request(sandbox->link, &message, NULL, 0, hotplug_on_stats, sandbox);
}

/* ------------------------------------------------------------------ memory */

static uint64_t distance(uint64_t a, uint64_t b)
{
        return a > b ? a - b : b - a;
}

static uint64_t hotplug_distance(const Hotplug *hotplug)
{
        return distance(hotplug->plugged, hotplug->plug_target) +
               distance(hotplug->ballooned, hotplug->balloon_target);
}

static void hotplug_settle(Sandbox *sandbox, int r, const sd_bus_error *error)
{
        Hotplug *hotplug = &sandbox->hotplug;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = TAKE_PTR(hotplug->memory_call);

        hotplug->limit = sd_event_source_disable_unref(hotplug->limit);
        event_sandbox_resized(sandbox);
        sandbox_save(sandbox);
        bus_emit_sandbox_resized(sandbox);
        if (!call)
                return;
        if (r < 0)
                error_reply(call, r, error);
        else
                sd_bus_reply_method_return(call, "t", hotplug_memory(sandbox));
}

static int hotplug_resize(Sandbox *sandbox, uint32_t slot, uint64_t bytes, ShimReplyHandler handler)
{
        ShimMessage message = {
                .type = SHIM_RESIZE,
                .resize = {.slot = slot, .bytes = bytes},
        };

        if (!sandbox->link)
                return -ENOTCONN;
        return shim_link_request(sandbox->link, &message, NULL, 0, handler, sandbox);
}

/* It comes no further: what it has is what it is to have from now on, so that nothing happens later
 * that nobody waits for. */
static void hotplug_give_up(Sandbox *sandbox, int r, const sd_bus_error *error)
{
        Hotplug *hotplug = &sandbox->hotplug;

        if (hotplug->has_mem && hotplug->plug_target != hotplug->plugged)
                hotplug_resize(sandbox, hotplug->mem_slot, hotplug->plugged, NULL);
        if (hotplug->has_balloon && hotplug->balloon_target != hotplug->ballooned)
                hotplug_resize(sandbox, hotplug->balloon_slot, hotplug->ballooned, NULL);
        hotplug->plug_target = hotplug->plugged;
        hotplug->balloon_target = hotplug->ballooned;
        sandbox->config.memory = MAX(hotplug_memory(sandbox), SANDBOX_MEMORY_MIN);
        hotplug_settle(sandbox, r, error);
}

static int hotplug_on_limit(sd_event_source *source, uint64_t usec, void *userdata)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        Sandbox *sandbox = userdata;

        error_set(
                &error, -ETIMEDOUT, ERROR_TIMEOUT,
                "The guest doesn't go on: it has %llu MiB of memory, and %llu MiB were asked for. "
                "It may need what it has, or have no room to manage more.",
                MIB(hotplug_memory(sandbox)), MIB(sandbox->config.memory));
        hotplug_give_up(sandbox, -ETIMEDOUT, &error);
        return 0;
}

static void hotplug_check(Sandbox *sandbox)
{
        Hotplug *hotplug = &sandbox->hotplug;
        uint64_t left = hotplug_distance(hotplug);

        if (!hotplug->memory_call)
                return;
        if (left == 0) {
                hotplug_settle(sandbox, 0, NULL);
                return;
        }
        if (left >= hotplug->distance)
                return;
        hotplug->distance = left;
        if (hotplug->limit)
                sd_event_source_set_time_relative(hotplug->limit, clock_limit_usec(HOTPLUG_USEC));
}

void hotplug_on_memory(Sandbox *sandbox, const ShimMemory *memory)
{
        Hotplug *hotplug = &sandbox->hotplug;
        uint64_t before = hotplug_memory(sandbox);

        if (hotplug->has_mem && memory->slot == hotplug->mem_slot)
                hotplug->plugged = memory->actual;
        else if (hotplug->has_balloon && memory->slot == hotplug->balloon_slot)
                hotplug->ballooned = memory->actual;
        else
                return;
        /* Of a change under way its end is told. */
        if (!hotplug->memory_call && hotplug_memory(sandbox) != before)
                event_sandbox_resized(sandbox);
        bus_emit_sandbox_resized(sandbox);
        hotplug_check(sandbox);
}

static void hotplug_on_resized(void *userdata, int r, const ShimReply *reply)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        Sandbox *sandbox = userdata;

        /* Without a reply the link has ended, and another adopts. */
        if (!reply || r >= 0 || r == -ECANCELED || !sandbox->hotplug.memory_call)
                return;
        error_set(&error, r, r == -EOPNOTSUPP ? ERROR_NOT_SUPPORTED : ERROR_FAILED,
                  "The virtual machine's memory can't be changed: %s",
                  reply->text[0] ? reply->text : strerror(-r));
        hotplug_give_up(sandbox, r, &error);
}

static int hotplug_apply(Sandbox *sandbox)
{
        Hotplug *hotplug = &sandbox->hotplug;
        int r = 0;

        if (hotplug->has_mem)
                r = hotplug_resize(sandbox, hotplug->mem_slot, hotplug->plug_target,
                                   hotplug_on_resized);
        if (r >= 0 && hotplug->has_balloon)
                r = hotplug_resize(sandbox, hotplug->balloon_slot, hotplug->balloon_target,
                                   hotplug_on_resized);
        if (r >= 0)
                hotplug_check(sandbox);
        return r;
}

static void hotplug_on_mem(void *userdata, int r, const ShimReply *reply)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        Sandbox *sandbox = userdata;

        if (!reply || r == -ECANCELED)
                return;
        if (r >= 0) {
                sandbox->hotplug.has_mem = true;
                sandbox->hotplug.mem_slot = reply->value;
                r = hotplug_apply(sandbox);
                if (r >= 0)
                        return;
        }
        error_set(&error, r, r == -EOPNOTSUPP ? ERROR_NOT_SUPPORTED : ERROR_FAILED,
                  "No memory can be plugged into the virtual machine: %s",
                  reply->text[0] ? reply->text : strerror(-r));
        hotplug_give_up(sandbox, r, &error);
}

static int hotplug_begin(Sandbox *sandbox, sd_bus_message *call)
{
        Hotplug *hotplug = &sandbox->hotplug;
        ShimMessage message = {
                .type = SHIM_ADD_DEVICE,
                .add_device = {.kind = SHIM_DEVICE_MEM},
        };
        int r = sd_event_add_time_relative(sandbox->manager->event, &hotplug->limit,
                                           CLOCK_MONOTONIC, clock_limit_usec(HOTPLUG_USEC), 0,
                                           hotplug_on_limit, sandbox);

        if (r < 0)
                return r;
        hotplug->memory_call = sd_bus_message_ref(call);
        hotplug->distance = hotplug_distance(hotplug);
        if (hotplug->plug_target == 0 || hotplug->has_mem)
                return hotplug_apply(sandbox);
        return shim_link_request(sandbox->link, &message, NULL, 0, hotplug_on_mem, sandbox);
}

static int hotplug_check_memory(const Sandbox *sandbox, uint64_t bytes, sd_bus_error *error)
{
        uint64_t limit = hotplug_memory_limit(sandbox);

        if (bytes < SANDBOX_MEMORY_MIN || bytes > SANDBOX_MEMORY_MAX)
                return error_set(error, -ERANGE, ERROR_INVALID_ARGUMENT,
                                 "Memory is out of range: 32 MiB to 1 TiB is allowed.");
        if (hotplug_guest_runs(sandbox) || sandbox->config.memory_limit)
                if (bytes > limit)
                        return error_set(error, -ERANGE, ERROR_LIMIT_EXCEEDED,
                                         "The sandbox may have %llu MiB of memory, not %llu; its "
                                         "MemoryLimit is set when it is made.",
                                         MIB(limit), MIB(bytes));
        if (hotplug_guest_runs(sandbox) && bytes < sandbox->hotplug.boot_memory &&
            !sandbox->hotplug.has_balloon)
                return error_set(error, -EOPNOTSUPP, ERROR_NOT_SUPPORTED,
                                 "The guest booted with %llu MiB and has no balloon: it can't give "
                                 "any of them back.",
                                 MIB(sandbox->hotplug.boot_memory));
        return admission_check(sandbox->manager, sandbox, bytes, sandbox->config.vcpus, error);
}

int hotplug_set_memory(Sandbox *sandbox, uint64_t bytes, sd_bus_message *call, sd_bus_error *error)
{
        Hotplug *hotplug = &sandbox->hotplug;
        int r;

        if (bytes <= SANDBOX_MEMORY_MAX)
                bytes = (bytes + SANDBOX_MEMORY_STEP - 1) & ~(SANDBOX_MEMORY_STEP - 1);
        r = hotplug_check_memory(sandbox, bytes, error);
        if (r < 0)
                return r;
        if (sandbox->state == SANDBOX_CREATED || sandbox->state == SANDBOX_STOPPED) {
                sandbox->config.memory = bytes;
                hotplug_settle(sandbox, 0, NULL);
                return sd_bus_reply_method_return(call, "t", bytes);
        }
        if (sandbox->state != SANDBOX_RUNNING || !sandbox->link)
                return error_set(error, -EBUSY, ERROR_WRONG_STATE, "The sandbox is %s.",
                                 sandbox_state_to_string(sandbox->state));
        if (hotplug->memory_call)
                return error_set(error, -EBUSY, ERROR_WRONG_STATE,
                                 "The memory is being changed already.");
        hotplug->plug_target = hotplug_plug_target(hotplug, bytes);
        if (hotplug->plug_target)
                bytes = hotplug->boot_memory + hotplug->plug_target;
        sandbox->config.memory = bytes;
        hotplug->balloon_target = hotplug->boot_memory - MIN(bytes, hotplug->boot_memory);
        sandbox_log_info(sandbox, "memory %llu → %llu MiB", MIB(hotplug_memory(sandbox)),
                         MIB(bytes));
        r = hotplug_begin(sandbox, call);
        if (r < 0) {
                hotplug->memory_call = sd_bus_message_unref(hotplug->memory_call);
                hotplug_give_up(sandbox, r, NULL);
        }
        return r;
}

void hotplug_on_guest_gone(Sandbox *sandbox)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        Hotplug *hotplug = &sandbox->hotplug;

        if (hotplug->memory_call) {
                error_set(&error, -ECANCELED, ERROR_WRONG_STATE, "The sandbox has stopped.");
                error_reply(hotplug->memory_call, -ECANCELED, &error);
        }
        sd_bus_message_unref(hotplug->memory_call);
        sd_bus_message_unref(hotplug->vcpus_call);
        sd_event_source_disable_unref(hotplug->limit);
        sd_event_source_disable_unref(hotplug->vcpus_limit);
        *hotplug = (Hotplug){};
}
