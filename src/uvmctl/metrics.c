/* OpenMetrics text; see metrics.h. Names are anybody's: they are escaped as label values. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "client/objects.h"
#include "uvmctl/metrics.h"

/* What a family's samples are of. */
typedef enum MetricOf {
        METRIC_OF_SANDBOX,
        METRIC_OF_DEVICE,
        METRIC_OF_CONTAINER,
} MetricOf;

/* The sample's name is the family's, with _total if it is a counter. Labels after those of the object
 * are fixed for a family's line; lines of one family stand together. */
typedef struct Metric {
        MetricOf of;
        const char *key;
        const char *family, *unit;
        bool counter;
        double scale;
        const char *label; /* 'direction="read"', or NULL */
        const char *help;
} Metric;

#define NSEC 1e-9
#define USEC 1e-6

static const Metric metrics[] = {
        {METRIC_OF_SANDBOX, "CPUUsageNSec", "uvm_sandbox_cpu_seconds", "seconds", true, NSEC, NULL,
         "CPU time of all that the sandbox runs on the host."},
        {METRIC_OF_SANDBOX, "VCPUTimeNSec", "uvm_sandbox_vcpu_seconds", "seconds", true, NSEC, NULL,
         "CPU time of its virtual CPUs."},
        {METRIC_OF_SANDBOX, "VCPUs", "uvm_sandbox_vcpus", NULL, false, 1, NULL, "Virtual CPUs."},
        {METRIC_OF_SANDBOX, "MemoryCurrent", "uvm_sandbox_memory_usage_bytes", "bytes", false, 1,
         NULL, "Memory on the host, with caches."},
        {METRIC_OF_SANDBOX, "MemoryMax", "uvm_sandbox_memory_max_bytes", "bytes", false, 1, NULL,
         "What the unit may use."},
        {METRIC_OF_SANDBOX, "Memory", "uvm_sandbox_memory_bytes", "bytes", false, 1, NULL,
         "What the guest is to have."},
        {METRIC_OF_SANDBOX, "MemoryPlugged", "uvm_sandbox_memory_plugged_bytes", "bytes", false, 1,
         NULL, "Plugged in since it booted."},
        {METRIC_OF_SANDBOX, "MemoryBalloon", "uvm_sandbox_memory_balloon_bytes", "bytes", false, 1,
         NULL, "Given back on request."},
        {METRIC_OF_SANDBOX, "MemoryReported", "uvm_sandbox_memory_reported_bytes", "bytes", true, 1,
         NULL, "Free pages given back."},
        {METRIC_OF_SANDBOX, "GuestMemoryTotal", "uvm_sandbox_guest_memory_total_bytes", "bytes",
         false, 1, NULL, "MemTotal of the guest."},
        {METRIC_OF_SANDBOX, "GuestMemoryAvailable", "uvm_sandbox_guest_memory_available_bytes",
         "bytes", false, 1, NULL, "MemAvailable of the guest."},
        {METRIC_OF_SANDBOX, "TasksCurrent", "uvm_sandbox_tasks", NULL, false, 1, NULL,
         "Threads on the host."},
        {METRIC_OF_SANDBOX, "IOReadBytes", "uvm_sandbox_io_bytes", "bytes", true, 1,
         "direction=\"read\"", "Block I/O of the unit on the host."},
        {METRIC_OF_SANDBOX, "IOWriteBytes", "uvm_sandbox_io_bytes", "bytes", true, 1,
         "direction=\"write\"", NULL},
        {METRIC_OF_DEVICE, "Requests", "uvm_device_requests", NULL, true, 1, NULL,
         "Requests of the guest: 9p messages, disk requests, packets sent."},
        {METRIC_OF_DEVICE, "BytesToGuest", "uvm_device_bytes", "bytes", true, 1,
         "direction=\"to_guest\"", "Data that passed a device."},
        {METRIC_OF_DEVICE, "BytesFromGuest", "uvm_device_bytes", "bytes", true, 1,
         "direction=\"from_guest\"", NULL},
        {METRIC_OF_DEVICE, "DelayedUSec", "uvm_device_throttled_seconds", "seconds", true, USEC,
         NULL, "How long requests waited for the device's throttle."},
        {METRIC_OF_DEVICE, "Deliveries", "uvm_device_received_packets", "packets", true, 1, NULL,
         "Packets to the guest."},
        {METRIC_OF_DEVICE, "Drops", "uvm_device_dropped_packets", "packets", true, 1, NULL,
         "Packets to the guest that it had no room for."},
        {METRIC_OF_DEVICE, "Waiting", "uvm_device_waiting_requests", NULL, false, 1, NULL,
         "Requests of a disk that wait until the host has room for what they write."},
        {METRIC_OF_CONTAINER, "CPUUsageNSec", "uvm_container_cpu_seconds", "seconds", true, NSEC,
         NULL, "CPU time inside the guest."},
        {METRIC_OF_CONTAINER, "MemoryCurrent", "uvm_container_memory_usage_bytes", "bytes", false,
         1, NULL, "Memory inside the guest, with caches."},
        {METRIC_OF_CONTAINER, "MemoryMax", "uvm_container_memory_max_bytes", "bytes", false, 1,
         NULL, "What it may use."},
        {METRIC_OF_CONTAINER, "TasksCurrent", "uvm_container_tasks", NULL, false, 1, NULL,
         "Processes and threads."},
        {METRIC_OF_CONTAINER, "OOMKills", "uvm_container_oom_kills", NULL, true, 1, NULL,
         "Processes killed for want of memory."},
        {METRIC_OF_CONTAINER, "IOReadBytes", "uvm_container_io_bytes", "bytes", true, 1,
         "direction=\"read\"", "Block I/O inside the guest."},
        {METRIC_OF_CONTAINER, "IOWriteBytes", "uvm_container_io_bytes", "bytes", true, 1,
         "direction=\"write\"", NULL},
};

/* ------------------------------------------------------------------ lines */

static void print_head(FILE *to, const char *family, const char *type, const char *unit,
                       const char *help)
{
        fprintf(to, "# TYPE %s %s\n", family, type);
        if (unit)
                fprintf(to, "# UNIT %s %s\n", family, unit);
        fprintf(to, "# HELP %s %s\n", family, help);
}

static void print_label(FILE *to, const char *separator, const char *name, const char *value)
{
        fprintf(to, "%s%s=\"", separator, name);
        for (; *value; value++) {
                if (*value == '\\' || *value == '"')
                        fputc('\\', to);
                if (*value == '\n')
                        fputs("\\n", to);
                else
                        fputc(*value, to);
        }
        fputc('"', to);
}

/* Every sample says whose it is: the id is unique, the name is for people. */
static void print_sandbox(FILE *to, const MetricsSandbox *sandbox)
{
        print_label(to, "{", "sandbox", client_json_string(sandbox->properties, "Id"));
        print_label(to, ",", "name", client_json_string(sandbox->properties, "Name"));
}

static void print_value(FILE *to, const Metric *metric, json_object *figures)
{
        json_object *value;
        uint64_t number;

        json_object_object_get_ex(figures, metric->key, &value);
        number = json_object_get_uint64(value);
        if (metric->label)
                fprintf(to, ",%s", metric->label);
        if (metric->scale == 1)
                fprintf(to, "} %" PRIu64 "\n", number);
        else
                fprintf(to, "} %.9g\n", (double)number * metric->scale);
}

/* UINT64_MAX is "no limit": that is no figure. */
static bool has_value(const Metric *metric, json_object *figures)
{
        json_object *value;

        return json_object_object_get_ex(figures, metric->key, &value) &&
               json_object_get_uint64(value) != UINT64_MAX;
}

static void print_name(FILE *to, const Metric *metric)
{
        fprintf(to, "%s%s", metric->family, metric->counter ? "_total" : "");
}

/* ------------------------------------------------------------------ samples */

static void print_of_sandbox(FILE *to, const Metric *metric, const MetricsSandbox *sandbox)
{
        if (!has_value(metric, sandbox->figures))
                return;
        print_name(to, metric);
        print_sandbox(to, sandbox);
        print_value(to, metric, sandbox->figures);
}

static void print_of_devices(FILE *to, const Metric *metric, const MetricsSandbox *sandbox)
{
        json_object *devices;

        if (!json_object_object_get_ex(sandbox->figures, "Devices", &devices))
                return;
        for (size_t i = 0; i < json_object_array_length(devices); i++) {
                json_object *device = json_object_array_get_idx(devices, i);

                if (!has_value(metric, device))
                        continue;
                print_name(to, metric);
                print_sandbox(to, sandbox);
                fprintf(to, ",slot=\"%" PRId64 "\"", client_json_int(device, "Slot"));
                print_label(to, ",", "kind", client_json_string(device, "Kind"));
                print_label(to, ",", "device", client_json_string(device, "Name"));
                print_label(to, ",", "container", client_json_string(device, "Container"));
                print_value(to, metric, device);
        }
}

static void print_of_containers(FILE *to, const Metric *metric, const MetricsSandbox *sandbox)
{
        json_object *containers;

        if (!json_object_object_get_ex(sandbox->figures, "Containers", &containers))
                return;
        json_object_object_foreach (containers, name, container) {
                if (!has_value(metric, container))
                        continue;
                print_name(to, metric);
                print_sandbox(to, sandbox);
                print_label(to, ",", "container", name);
                print_value(to, metric, container);
        }
}

static void print_metric(FILE *to, const Metric *metric, const MetricsSandbox *sandboxes, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                if (!sandboxes[i].figures)
                        continue;
                switch (metric->of) {
                case METRIC_OF_SANDBOX:
                        print_of_sandbox(to, metric, &sandboxes[i]);
                        break;
                case METRIC_OF_DEVICE:
                        print_of_devices(to, metric, &sandboxes[i]);
                        break;
                case METRIC_OF_CONTAINER:
                        print_of_containers(to, metric, &sandboxes[i]);
                        break;
                }
        }
}

/* How long something waited for want of a resource, of the unit on the host. */
static void print_pressure(FILE *to, const MetricsSandbox *sandboxes, size_t n)
{
        print_head(to, "uvm_sandbox_pressure_seconds", "counter", "seconds",
                   "How long some or all of its tasks waited for CPU time, memory or I/O.");
        for (size_t i = 0; i < n; i++) {
                json_object *pressure;

                if (!sandboxes[i].figures ||
                    !json_object_object_get_ex(sandboxes[i].figures, "Pressure", &pressure))
                        continue;
                json_object_object_foreach (pressure, resource, times)
                        for (int j = 0; j < 2; j++) {
                                const char *key = j ? "FullUSec" : "SomeUSec";

                                fputs("uvm_sandbox_pressure_seconds_total", to);
                                print_sandbox(to, &sandboxes[i]);
                                fprintf(to, ",resource=\"%s\",share=\"%s\"} %.6f\n", resource,
                                        j ? "full" : "some",
                                        (double)client_json_int(times, key) * USEC);
                        }
        }
}

static void print_info(FILE *to, const MetricsSandbox *sandboxes, size_t n)
{
        print_head(to, "uvm_sandbox", "info", NULL, "Each sandbox, running or not.");
        for (size_t i = 0; i < n; i++) {
                json_object *properties = sandboxes[i].properties;

                fputs("uvm_sandbox_info", to);
                print_sandbox(to, &sandboxes[i]);
                print_label(to, ",", "state", client_json_string(properties, "State"));
                print_label(to, ",", "reason", client_json_string(properties, "Reason"));
                print_label(to, ",", "unit", client_json_string(properties, "Unit"));
                fprintf(to, ",owner=\"%" PRId64 "\"} 1\n", client_json_int(properties, "Owner"));
        }
}

void metrics_print(FILE *to, const MetricsSandbox *sandboxes, size_t n)
{
        print_info(to, sandboxes, n);
        for (size_t i = 0; i < ELEMENTSOF(metrics); i++) {
                if (metrics[i].help)
                        print_head(to, metrics[i].family, metrics[i].counter ? "counter" : "gauge",
                                   metrics[i].unit, metrics[i].help);
                print_metric(to, &metrics[i], sandboxes, n);
        }
        print_pressure(to, sandboxes, n);
        fputs("# EOF\n", to);
}

/* ------------------------------------------------------------------ collecting */

typedef struct Collection {
        sd_bus *bus;
        MetricsSandbox *sandboxes;
        size_t n;
} Collection;

static int collect(const Object *sandbox, void *userdata)
{
        Collection *collection = userdata;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        MetricsSandbox *grown = reallocarray(collection->sandboxes, collection->n + 1,
                                             sizeof(*grown));

        if (!grown)
                abort();
        collection->sandboxes = grown;
        grown[collection->n] = (MetricsSandbox){.properties = sandbox->properties};
        /* One that stops meanwhile has no figures. */
        if (strcmp(client_json_string(sandbox->properties, "State"), "running") == 0 &&
            sd_bus_call_method(collection->bus, "org.uvm1", sandbox->path,
                               client_interface_name(CLIENT_SANDBOX), "GetStats", &error, &reply,
                               NULL) >= 0)
                grown[collection->n].figures = client_json_read(reply);
        collection->n++;
        return 0;
}

int metrics_collect(FILE *to)
{
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        _cleanup_(objects_freep) Objects *objects = NULL;
        Collection collection = {0};
        int r = client_bus_open(&bus);

        if (!r)
                r = objects_load(bus, &objects);
        collection.bus = bus;
        if (!r)
                r = objects_each(objects, CLIENT_SANDBOX, collect, &collection);
        if (!r)
                metrics_print(to, collection.sandboxes, collection.n);
        for (size_t i = 0; i < collection.n; i++)
                json_object_put(collection.sandboxes[i].figures);
        free(collection.sandboxes);
        return r;
}
