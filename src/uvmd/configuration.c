/* The option tables; see configuration.h. Ranges of resource limits are those of systemd. */
#include <errno.h>
#include <string.h>

#include "base/fd.h"
#include "base/parse.h"
#include "proto/agent_network.h"
#include "uvmd/capability.h"
#include "uvmd/configuration.h"
#include "uvmd/errors.h"
#include "uvmd/net/port_spec.h"
#include "uvmd/rlimit.h"
#include "uvmd/storage/layer.h"
#include "uvmd/strv.h"

#define OPTION(struct_, key_, type_, member_, ...)                                                \
        {                                                                                         \
                .key = (key_), .type = (type_), .offset = offsetof(struct_, member_), __VA_ARGS__ \
        }

static bool is_printable(const char *text)
{
        for (; *text; text++)
                if ((unsigned char)*text < ' ' || *text == 127)
                        return false;
        return true;
}

/* RFC 1123, also what Linux's sethostname() and /etc/hostname live with. */
static bool is_hostname(const char *text)
{
        size_t size = strlen(text);

        return size >= 1 && size <= 63 && text[0] != '-' && text[size - 1] != '-' &&
               strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-.") ==
                       size;
}

static bool is_slice(const char *text)
{
        size_t size = strlen(text);

        return size > 6 && size <= 200 && strcmp(text + size - 6, ".slice") == 0 &&
               strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                            ":-_.\\") == size;
}

static bool is_absolute(const char *text)
{
        return text[0] == '/';
}

static bool is_disk(const char *text)
{
        return text[0] == '/' || strcmp(text, "*") == 0;
}

static bool is_assignment(const char *text)
{
        return text[0] != '=' && strchr(text, '=');
}

static bool is_log_driver(const char *text)
{
        return strcmp(text, "journald") == 0 || strcmp(text, "none") == 0;
}

static bool is_image_volumes(const char *text)
{
        return strcmp(text, "anonymous") == 0 || strcmp(text, "tmpfs") == 0 ||
               strcmp(text, "ignore") == 0;
}

static bool is_storage(const char *text)
{
        return strcmp(text, "disk") == 0 || strcmp(text, "memory") == 0;
}

static bool is_capability(const char *text)
{
        return strcmp(text, "ALL") == 0 || capability_from_string(text) >= 0;
}

static bool is_rlimit(const char *text)
{
        return rlimit_from_string(text) >= 0;
}

static bool is_label(const char *text)
{
        return text[0] && is_printable(text);
}

#define SANDBOX(...) OPTION(SandboxConfig, __VA_ARGS__)

const Option sandbox_options[] = {
        SANDBOX("Memory", OPTION_U64, memory, .min = SANDBOX_MEMORY_MIN, .max = SANDBOX_MEMORY_MAX),
        SANDBOX("VCPUs", OPTION_U32, vcpus, .min = 1, .max = SANDBOX_VCPUS_MAX),
        SANDBOX("MemoryLimit", OPTION_U64, memory_limit, .min = SANDBOX_MEMORY_MIN,
                .max = SANDBOX_MEMORY_MAX),
        SANDBOX("VCPUsMax", OPTION_U32, vcpus_max, .min = 1, .max = SANDBOX_VCPUS_MAX),
        SANDBOX("Balloon", OPTION_BOOL, balloon, .is_on = true),
        SANDBOX("MergePages", OPTION_BOOL, merge_pages),
        SANDBOX("Hostname", OPTION_STRING, hostname, .is_valid = is_hostname,
                .expected = "a host name: letters, digits, '-' and '.', at most 63"),
        SANDBOX("Firmware", OPTION_FD, firmware),
        SANDBOX("KernelArguments", OPTION_STRING, kernel_arguments, .max = SANDBOX_ARGUMENTS_MAX,
                .is_valid = is_printable, .expected = "one line of printable text"),
        SANDBOX("BootTimeout", OPTION_U64, boot_timeout, .min = 1000, .max = 3600000000ULL),
        SANDBOX("AutoRemove", OPTION_BOOL, auto_remove),
        SANDBOX("Labels", OPTION_MAP, labels, .max = CONFIG_LABELS_MAX, .is_valid = is_label,
                .expected = "a map from printable names, each once"),
        SANDBOX("Slice", OPTION_STRING, slice, .is_valid = is_slice,
                .expected = "the name of a slice unit, like \"uvm.slice\""),
        SANDBOX("Description", OPTION_STRING, description, .max = 256, .is_valid = is_printable,
                .expected = "one line of printable text"),
        UNIT_LIMIT_OPTIONS(SandboxConfig, limits.),
        SANDBOX("Network", OPTION_STRING, network.network, .max = NETWORK_TEXT_MAX,
                .is_valid = network_spec_is_valid, .expected = NETWORK_SPEC_EXPECTED),
        SANDBOX("NetworkNamespace", OPTION_FD, network_namespace),
        SANDBOX("Interface", OPTION_STRING, network.interface, .max = AGENT_NAME_MAX,
                .is_valid = agent_interface_name_is_valid,
                .expected = "the name of an interface, at most 15 bytes"),
        SANDBOX("MACAddress", OPTION_STRING, network.mac, .max = 17,
                .is_valid = network_mac_is_valid, .expected = NETWORK_MAC_EXPECTED),
        SANDBOX("Addresses", OPTION_STRINGS, network.addresses, .max = NETWORK_ADDRESSES_MAX,
                .is_valid = network_any_address_is_valid, .expected = NETWORK_ADDRESSES_EXPECTED),
        SANDBOX("Ports", OPTION_STRINGS, network.ports, .max = NETWORK_PORTS_MAX,
                .is_valid = port_spec_is_valid, .expected = NETWORK_PORTS_EXPECTED),
        SANDBOX("Aliases", OPTION_STRINGS, network.aliases, .max = NETWORK_ALIASES_MAX,
                .is_valid = network_alias_is_valid, .expected = NETWORK_ALIASES_EXPECTED),
        SANDBOX("IngressRate", OPTION_U64, network.ingress_rate, .max = NETWORK_RATE_MAX),
        SANDBOX("IngressBurst", OPTION_U64, network.ingress_burst, .max = NETWORK_BURST_MAX),
        SANDBOX("EgressRate", OPTION_U64, network.egress_rate, .max = NETWORK_RATE_MAX),
        SANDBOX("EgressBurst", OPTION_U64, network.egress_burst, .max = NETWORK_BURST_MAX),
        SANDBOX("PluginArguments", OPTION_STRINGS, network.arguments, .max = NETWORK_ARGUMENTS_MAX,
                .is_valid = network_argument_is_valid, .expected = NETWORK_ARGUMENTS_EXPECTED),
        SANDBOX("Dns", OPTION_STRINGS, dns, .max = CONFIG_DNS_MAX,
                .is_valid = network_address_is_valid, .expected = "a list of addresses"),
        SANDBOX("DnsSearch", OPTION_STRINGS, dns_search, .max = CONFIG_DNS_MAX,
                .is_valid = network_word_is_valid, .expected = "a list of domains"),
        SANDBOX("DnsOptions", OPTION_STRINGS, dns_options, .max = CONFIG_DNS_MAX,
                .is_valid = network_word_is_valid,
                .expected = "a list of options as in resolv.conf(5)"),
        SANDBOX("Hosts", OPTION_STRINGS, hosts, .max = CONFIG_HOSTS_MAX,
                .is_valid = network_host_is_valid, .expected = "a list of \"NAME:ADDRESS\""),
};
const size_t sandbox_options_n = ELEMENTSOF(sandbox_options);

#define TASK_OPTIONS(struct_, task_)                                                        \
        OPTION(struct_, "Command", OPTION_STRINGS, task_ command),                          \
                OPTION(struct_, "Environment", OPTION_STRINGS, task_ environment,           \
                       .is_valid = is_assignment, .expected = "a list of \"NAME=value\""),  \
                OPTION(struct_, "WorkingDirectory", OPTION_STRING, task_ working_directory, \
                       .is_valid = is_absolute, .expected = "an absolute path"),            \
                OPTION(struct_, "User", OPTION_STRING, task_ user, .max = 256),             \
                OPTION(struct_, "Terminal", OPTION_BOOL, task_ terminal),                   \
                OPTION(struct_, "Rows", OPTION_U32, task_ rows, .max = UINT16_MAX),         \
                OPTION(struct_, "Columns", OPTION_U32, task_ columns, .max = UINT16_MAX),   \
                OPTION(struct_, "OpenStdin", OPTION_BOOL, task_ open_stdin),                \
                OPTION(struct_, "Privileged", OPTION_BOOL, task_ privileged),               \
                OPTION(struct_, "LogDriver", OPTION_STRING, task_ log_driver,               \
                       .is_valid = is_log_driver, .expected = "\"journald\" or \"none\"")

#define CONTAINER_LIMIT(struct_, key_, member_, ...) \
        OPTION(struct_, key_, OPTION_U64, member_, .unlimited = true, __VA_ARGS__)
#define CONTAINER_DISKS(struct_, key_, member_)                                      \
        OPTION(struct_, key_, OPTION_NAMED, member_, .max = 64, .is_valid = is_disk, \
               .expected = "a list of limits for \"/\", places of disks or \"*\"")
#define CONTAINER_LIMITS(struct_, limits_)                                                         \
        CONTAINER_LIMIT(struct_, "Memory", limits_ memory, .min = 1 << 20),                        \
                CONTAINER_LIMIT(struct_, "MemoryHigh", limits_ memory_high, .min = 1 << 20),       \
                CONTAINER_LIMIT(struct_, "MemoryLow", limits_ memory_low, .min = 1 << 20),         \
                CONTAINER_LIMIT(struct_, "PidsMax", limits_ pids_max, .min = 1),                   \
                CONTAINER_LIMIT(struct_, "CPUQuotaPerSecUSec", limits_ cpu_quota, .min = 10000),   \
                CONTAINER_LIMIT(struct_, "CPUWeight", limits_ cpu_weight, .min = 1, .max = 10000), \
                CONTAINER_LIMIT(struct_, "IOWeight", limits_ io_weight, .min = 1, .max = 10000),   \
                CONTAINER_DISKS(struct_, "IOReadBandwidthMax", limits_ io_read_bandwidth),         \
                CONTAINER_DISKS(struct_, "IOWriteBandwidthMax", limits_ io_write_bandwidth),       \
                CONTAINER_DISKS(struct_, "IOReadIOPSMax", limits_ io_read_iops),                   \
                CONTAINER_DISKS(struct_, "IOWriteIOPSMax", limits_ io_write_iops),                 \
                OPTION(struct_, "CPUSet", OPTION_STRING, limits_ cpuset,                           \
                       .is_valid = cpulist_is_valid,                                               \
                       .expected = "a list of CPUs like \"0-2,5\", or empty")

const Option container_limits_options[] = {CONTAINER_LIMITS(ContainerLimits, )};
const size_t container_limits_options_n = ELEMENTSOF(container_limits_options);

#define CONTAINER(...) OPTION(ContainerConfig, __VA_ARGS__)

const Option container_options[] = {
        TASK_OPTIONS(ContainerConfig, task.),
        CONTAINER("Image", OPTION_STRING, image, .is_valid = name_is_valid,
                  .expected = "the name or id of an image"),
        CONTAINER("Entrypoint", OPTION_STRINGS, entrypoint),
        CONTAINER("Hostname", OPTION_STRING, hostname, .is_valid = is_hostname,
                  .expected = "a host name: letters, digits, '-' and '.', at most 63"),
        CONTAINER("ReadOnly", OPTION_BOOL, read_only),
        CONTAINER("Storage", OPTION_STRING, storage, .is_valid = is_storage,
                  .expected = "\"disk\" or \"memory\""),
        CONTAINER("StorageSize", OPTION_U64, storage_size, .min = LAYER_SIZE_MIN,
                  .max = LAYER_SIZE_MAX),
        CONTAINER("Tmpfs", OPTION_MAP, tmpfs, .max = 64, .is_valid = is_absolute,
                  .expected = "a map from absolute paths, each once"),
        CONTAINER("ImageVolumes", OPTION_STRING, image_volumes, .is_valid = is_image_volumes,
                  .expected = "\"anonymous\", \"tmpfs\" or \"ignore\""),
        CONTAINER("MountTargets", OPTION_STRINGS, mount_targets, .max = 64, .is_valid = is_absolute,
                  .expected = "a list of absolute paths"),
        CONTAINER_LIMITS(ContainerConfig, limits.),
        CONTAINER("CapabilitiesAdd", OPTION_STRINGS, capabilities_add, .max = 64,
                  .is_valid = is_capability, .expected = "a list of capabilities or \"ALL\""),
        CONTAINER("CapabilitiesDrop", OPTION_STRINGS, capabilities_drop, .max = 64,
                  .is_valid = is_capability, .expected = "a list of capabilities or \"ALL\""),
        CONTAINER("Rlimits", OPTION_RANGES, rlimits, .max = 16, .is_valid = is_rlimit,
                  .expected = "a list of resource limits like (\"nofile\", 1024, 4096)"),
        CONTAINER("NoNewPrivileges", OPTION_BOOL, no_new_privileges),
        CONTAINER("StopSignal", OPTION_I32, stop_signal, .min = 1, .max = 64),
        CONTAINER("Main", OPTION_BOOL, main),
        CONTAINER("Labels", OPTION_MAP, labels, .max = CONFIG_LABELS_MAX, .is_valid = is_label,
                  .expected = "a map from printable names, each once"),
};
const size_t container_options_n = ELEMENTSOF(container_options);

const Option process_options[] = {TASK_OPTIONS(TaskConfig, )};
const size_t process_options_n = ELEMENTSOF(process_options);

void sandbox_config_init(SandboxConfig *config)
{
        *config = (SandboxConfig){
                .memory = SANDBOX_MEMORY_DEFAULT,
                .vcpus = 1,
                .balloon = true,
                .firmware = FD_NONE,
                .network_namespace = FD_NONE,
                .boot_timeout = SANDBOX_BOOT_DEFAULT,
        };
}

void sandbox_config_done(SandboxConfig *config)
{
        options_done(sandbox_options, sandbox_options_n, config);
}

void container_config_done(ContainerConfig *config)
{
        options_done(container_options, container_options_n, config);
}

void task_config_done(TaskConfig *config)
{
        options_done(process_options, process_options_n, config);
}

static bool is_given(char *const *strings)
{
        return strings && strings[0];
}

static int sandbox_check_network(const SandboxConfig *config, sd_bus_error *error)
{
        const NetworkConfig *network = &config->network;

        if (config->network_namespace >= 0 && network->network)
                return error_set(error, -EINVAL, ERROR_INVALID_ARGUMENT,
                                 "Network and NetworkNamespace exclude each other; AttachNetwork "
                                 "adds to what is in a namespace.");
        if (network->network)
                return network_config_check(network, error);
        if (network->interface || network->mac || is_given(network->addresses) ||
            is_given(network->ports))
                return error_set(
                        error, -EINVAL, ERROR_INVALID_ARGUMENT,
                        "Interface, MACAddress, Addresses and Ports are of a network: set Network, "
                        "to \"bridge\" for instance.");
        return 0;
}

int sandbox_config_check(SandboxConfig *config, sd_bus_error *error)
{
        int r = limits_check(&config->limits, error);

        if (config->memory_limit && config->memory > config->memory_limit)
                return error_set(error, -EINVAL, ERROR_INVALID_ARGUMENT,
                                 "Memory must not be above MemoryLimit.");
        if (config->vcpus_max && config->vcpus > config->vcpus_max)
                return error_set(error, -EINVAL, ERROR_INVALID_ARGUMENT,
                                 "VCPUs must not be above VCPUsMax.");
        config->memory_limit = config->memory_limit & ~(SANDBOX_MEMORY_STEP - 1);
        config->memory = (config->memory + SANDBOX_MEMORY_STEP - 1) & ~(SANDBOX_MEMORY_STEP - 1);
        return r < 0 ? r : sandbox_check_network(config, error);
}

int container_config_check(const ContainerConfig *config, sd_bus_error *error)
{
        if (!config->image)
                return error_set(error, -EINVAL, ERROR_INVALID_ARGUMENT,
                                 "Image is required; ListImages says which there are.");
        for (char **at = config->tmpfs; at && *at; at += 2)
                if (strcmp(at[0], "/") == 0)
                        return error_set(error, -EINVAL, ERROR_INVALID_ARGUMENT,
                                         "Tmpfs can't be mounted over the root.");
        return 0;
}
