/* The options of a mount; see mount_config.h. */
#include <errno.h>
#include <string.h>

#include "base/fd.h"
#include "base/parse.h"
#include "uvmd/errors.h"
#include "uvmd/mount_config.h"

ENUM_TABLE(mount_kind, MountKind, MOUNT_KIND_MAX_)
= {
        [MOUNT_BIND] = "bind",
        [MOUNT_VOLUME] = "volume",
        [MOUNT_TMPFS] = "tmpfs",
        [MOUNT_BLOCK] = "block",
};

static bool is_kind(const char *text)
{
        return mount_kind_from_string(text) >= 0;
}

static bool is_cache(const char *text)
{
        return agent_cache_from_string(text) >= 0;
}

/* Each component is a name: what is mounted over what is plain to see then. */
bool mount_target_is_valid(const char *text)
{
        if (text[0] != '/' || !text[1])
                return false;
        while (*text == '/') {
                size_t n = strcspn(++text, "/");

                if (n == 0 || n > 255 || (n == 1 && text[0] == '.') ||
                    (n == 2 && text[0] == '.' && text[1] == '.'))
                        return false;
                text += n;
        }
        return true;
}

static bool is_absolute(const char *text)
{
        return text[0] == '/';
}

static bool is_printable(const char *text)
{
        for (; *text; text++)
                if ((unsigned char)*text <= ' ' || *text == 127)
                        return false;
        return true;
}

static bool is_word(const char *text)
{
        return text[0] && is_printable(text) && !strchr(text, '/');
}

#define MOUNT(key_, type_, member_, ...)                                                  \
        {                                                                                 \
                .key = (key_), .type = (type_), .offset = offsetof(MountConfig, member_), \
                __VA_ARGS__                                                               \
        }

const Option mount_options[] = {
        MOUNT("Type", OPTION_STRING, type, .is_valid = is_kind,
              .expected = "\"bind\", \"volume\", \"tmpfs\" or \"block\""),
        MOUNT("Target", OPTION_STRING, target, .max = MOUNT_TARGET_MAX,
              .is_valid = mount_target_is_valid,
              .expected = "an absolute path below \"/\" without \".\", \"..\" or empty components"),
        MOUNT("Source", OPTION_FD, source),
        MOUNT("SourcePath", OPTION_STRING, source_path, .max = 4095, .is_valid = is_absolute,
              .expected = "an absolute path"),
        MOUNT("Volume", OPTION_STRING, volume, .max = 128, .is_valid = is_printable,
              .expected = "the name of a volume"),
        MOUNT("ReadOnly", OPTION_BOOL, read_only),
        MOUNT("NoSuid", OPTION_BOOL, nosuid),
        MOUNT("NoDev", OPTION_BOOL, nodev),
        MOUNT("NoExec", OPTION_BOOL, noexec),
        MOUNT("NoCopy", OPTION_BOOL, nocopy),
        MOUNT("Cache", OPTION_STRING, cache, .is_valid = is_cache,
              .expected = "\"loose\", \"mmap\" or \"none\""),
        MOUNT("FileSystem", OPTION_STRING, file_system, .max = 32, .is_valid = is_word,
              .expected = "the name of a file system"),
        MOUNT("Options", OPTION_STRING, options, .max = 1024, .is_valid = is_printable,
              .expected = "mount options without blanks"),
        MOUNT("Serial", OPTION_STRING, serial, .max = 20, .is_valid = is_word,
              .expected = "a word of at most 20 bytes"),
        MOUNT("BytesPerSecond", OPTION_U64, bytes, .max = THROTTLE_MAX),
        MOUNT("BytesBurst", OPTION_U64, bytes_burst, .max = THROTTLE_MAX),
        MOUNT("OperationsPerSecond", OPTION_U64, ops, .max = THROTTLE_MAX),
        MOUNT("OperationsBurst", OPTION_U64, ops_burst, .max = THROTTLE_MAX),
};
const size_t mount_options_n = ELEMENTSOF(mount_options);

#define ORIGIN(key_, type_, member_)                                                     \
        {                                                                                \
                .key = (key_), .type = (type_), .offset = offsetof(MountOrigin, member_) \
        }

const Option mount_origin_options[] = {
        ORIGIN("Uid", OPTION_U32, uid),
        ORIGIN("Gid", OPTION_U32, gid),
        ORIGIN("Device", OPTION_U64, device),
        ORIGIN("Inode", OPTION_U64, inode),
        ORIGIN("Born", OPTION_U64, born),
        ORIGIN("BornNSec", OPTION_U64, born_nsec),
        ORIGIN("Directory", OPTION_BOOL, directory),
        ORIGIN("Identity", OPTION_BOOL, identity),
        ORIGIN("Anonymous", OPTION_BOOL, anonymous),
};
const size_t mount_origin_options_n = ELEMENTSOF(mount_origin_options);

void mount_config_init(MountConfig *config)
{
        *config = (MountConfig){.source = FD_NONE};
}

void mount_config_done(MountConfig *config)
{
        options_done(mount_options, mount_options_n, config);
}

MountKind mount_config_kind(const MountConfig *config)
{
        return (MountKind)mount_kind_from_string(config->type);
}

ThrottleLimits mount_config_throttle(const MountConfig *config)
{
        return (ThrottleLimits){
                .bytes = config->bytes,
                .bytes_burst = config->bytes_burst,
                .ops = config->ops,
                .ops_burst = config->ops_burst,
        };
}

/* Which types take an option. */
#define FOR(kind)  (1U << MOUNT_##kind)
#define FOR_TREES  (FOR(BIND) | FOR(VOLUME))
#define FOR_SOURCE (FOR(BIND) | FOR(BLOCK))

typedef struct MountRule {
        const char *key;
        bool given;
        unsigned needed, taken;
} MountRule;

int mount_config_check(const MountConfig *config, sd_bus_error *error)
{
        bool throttled = config->bytes || config->bytes_burst || config->ops || config->ops_burst;
        const MountRule rules[] = {
                {"Target", config->target, FOR_TREES | FOR(TMPFS) | FOR(BLOCK), ~0U},
                {"SourcePath", config->source_path, FOR_SOURCE, FOR_SOURCE},
                {"Volume", config->volume, 0, FOR(VOLUME)},
                {"Source", config->source >= 0, 0, FOR_SOURCE},
                {"Cache", config->cache, 0, FOR_TREES},
                {"NoCopy", config->nocopy, 0, FOR(VOLUME)},
                {"FileSystem", config->file_system, 0, FOR(BLOCK)},
                {"Options", config->options, 0, FOR(TMPFS) | FOR(BLOCK)},
                {"Serial", config->serial, 0, FOR(BLOCK)},
                {"a limit", throttled, 0, FOR_TREES | FOR(BLOCK)},
        };
        unsigned kind;

        if (!config->type)
                return error_set(error, -EINVAL, ERROR_INVALID_ARGUMENT, "Type is required.");
        /* A record's strings were not seen by the table. */
        if (!is_kind(config->type) || (config->target && !mount_target_is_valid(config->target)) ||
            (config->cache && !is_cache(config->cache)))
                return -EINVAL;
        kind = 1U << mount_config_kind(config);
        for (size_t i = 0; i < ELEMENTSOF(rules); i++) {
                if ((rules[i].needed & kind) && !rules[i].given)
                        return error_set(error, -EINVAL, ERROR_INVALID_ARGUMENT,
                                         "%s is required for a mount of type %s.", rules[i].key,
                                         config->type);
                if (rules[i].given && !(rules[i].taken & kind))
                        return error_set(error, -EINVAL, ERROR_INVALID_ARGUMENT,
                                         "A mount of type %s takes no %s.", config->type,
                                         rules[i].key);
        }
        return 0;
}
