/*
 * What CreateSandbox, CreateContainer and Exec take: one struct and one option table each. The
 * tables follow dbus/org.uvm1.*.xml; the records on disk use them too.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "uvmd/limits.h"
#include "uvmd/net/network_config.h"
#include "uvmd/options.h"

#define SANDBOX_MEMORY_MIN      (32ULL << 20)
#define SANDBOX_MEMORY_MAX      (1ULL << 40)
#define SANDBOX_MEMORY_DEFAULT  (128ULL << 20)
#define SANDBOX_MEMORY_STEP     (2ULL << 20)
#define SANDBOX_VCPUS_MAX       32
#define SANDBOX_BOOT_DEFAULT    (10 * 1000000ULL) /* µs */
#define SANDBOX_ARGUMENTS_MAX   512               /* bytes of KernelArguments */
#define CONFIG_LABELS_MAX       64
#define CONFIG_DNS_MAX          16
#define CONFIG_HOSTS_MAX        64
#define CONTAINER_GRACE_DEFAULT (10 * 1000000ULL) /* µs from the stop signal to SIGKILL */

typedef struct SandboxConfig {
        uint64_t memory, memory_limit; /* limit 0: the host's */
        uint32_t vcpus, vcpus_max;     /* max 0: no more */
        bool balloon, merge_pages;
        char *hostname;
        int firmware; /* owned; FD_NONE: the installed one, or a copy beside the record */
        bool custom_firmware;
        char *kernel_arguments;
        uint64_t boot_timeout; /* not scaled yet */
        bool auto_remove;
        char **labels;
        char *slice;
        char *description;
        UnitLimits limits;     /* of the scope */
        NetworkConfig network; /* the first one; its network NULL: none */
        int network_namespace; /* a caller's, owned, until it is held; FD_NONE */
        char **dns, **dns_search, **dns_options, **hosts;
} SandboxConfig;

/* Limits inside the guest. Disks are named by where the container has them: "/" is its writable layer,
 * "*" every disk. UINT64_MAX, and "" for CPUs, are no limit; they aren't kept. */
typedef struct ContainerLimits {
        uint64_t memory, memory_high, memory_low, pids_max, cpu_quota, cpu_weight, io_weight;
        OptionList io_read_bandwidth, io_write_bandwidth, io_read_iops, io_write_iops;
        char *cpuset;
} ContainerLimits;

/* What a container's first process and an exec share. */
typedef struct TaskConfig {
        char **command;
        char **environment;
        char *working_directory;
        char *user;
        bool terminal;
        uint32_t rows, columns;
        bool open_stdin;
        bool privileged;
        char *log_driver;
} TaskConfig;

typedef struct ContainerConfig {
        TaskConfig task;
        char *image;
        char **entrypoint;
        char *hostname;
        bool read_only;
        char *storage; /* where the writable layer is: "disk" or "memory" */
        uint64_t storage_size;
        char **tmpfs;
        char *image_volumes;  /* NULL: "anonymous" */
        char **mount_targets; /* where the caller is going to mount something */
        ContainerLimits limits;
        char **capabilities_add, **capabilities_drop;
        OptionList rlimits;
        bool no_new_privileges;
        int32_t stop_signal; /* 0: the image's */
        bool main;
        char **labels;
} ContainerConfig;

extern const Option sandbox_options[];
extern const size_t sandbox_options_n;
extern const Option container_options[];
extern const size_t container_options_n;
extern const Option container_limits_options[]; /* of a ContainerLimits */
extern const size_t container_limits_options_n;
extern const Option process_options[]; /* of a TaskConfig */
extern const size_t process_options_n;

/* Sets the defaults that are not "nothing given". */
void sandbox_config_init(SandboxConfig *config);
void sandbox_config_done(SandboxConfig *config);
void container_config_done(ContainerConfig *config);
void task_config_done(TaskConfig *config);

/*
 * What the tables can't say: rounds the memory, checks hostnames, slices and that options fit
 * together. 0 or -EINVAL with @error.
 */
int sandbox_config_check(SandboxConfig *config, sd_bus_error *error);
int container_config_check(const ContainerConfig *config, sd_bus_error *error);
