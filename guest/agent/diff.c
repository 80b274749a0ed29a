/* The request DIFF; see diff.h. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/io.h"

#include "agent/diff.h"
#include "agent/names.h"
#include "agent/operation.h"
#include "agent/walk.h"

/* Of a level of the walk: the lower side doesn't show through. */
#define OPAQUE     (1u << 0)
#define OPAQUE_KEY "trusted.overlay.opaque"

/* Together less than a reply holds, as in processes.c. */
#define CHANGES_MAX AGENT_STRINGS_MAX
#define BYTES_MAX   (200 * 1024)
#define BYTES_FIXED 5 /* of each, besides its path */

typedef struct Diff {
        Operation operation;
        uint32_t skip;
} Diff;

/* The two sides of a name. */
typedef struct Sides {
        bool upper, lower; /* there is one */
        struct stat upper_status, lower_status;
} Sides;

typedef struct Listing {
        const AgentContainerSpec *spec;
        Walk walk;
        AgentChanges changes;
        uint32_t skip;
        size_t bytes;
} Listing;

static bool is_whiteout(const struct stat *status)
{
        return S_ISCHR(status->st_mode) && status->st_rdev == makedev(0, 0);
}

static bool is_opaque(int directory)
{
        char value = 0;

        return fgetxattr(directory, OPAQUE_KEY, &value, 1) == 1 && value == 'y';
}

/* Made by us, if it is still as empty as that. */
static bool is_mount_point(const Listing *listing, const Sides *sides)
{
        const struct stat *status = &sides->upper_status;

        if (!S_ISDIR(status->st_mode) && (!S_ISREG(status->st_mode) || status->st_size > 0))
                return false;
        if (S_ISREG(status->st_mode) && names_is_place(listing->walk.path))
                return true;
        for (uint32_t i = 0; i < listing->spec->n_mounts; i++)
                if (strcmp(listing->spec->mounts[i].target, listing->walk.path) == 0)
                        return true;
        return false;
}

/* 0, or -E2BIG: the answer is full. */
static int add(Listing *listing, AgentChangeKind kind)
{
        AgentChanges *changes = &listing->changes;
        size_t size = BYTES_FIXED + strlen(listing->walk.path);

        if (listing->skip > 0) {
                listing->skip--;
                return 0;
        }
        if (changes->n_changes == CHANGES_MAX || listing->bytes + size > BYTES_MAX) {
                changes->more = true;
                return -E2BIG;
        }
        if (strlen(listing->walk.path) > AGENT_PATH_MAX)
                return -ENAMETOOLONG;
        changes->changes[changes->n_changes] = (AgentChange){
                .kind = kind,
                .path = strdup(listing->walk.path),
        };
        if (!changes->changes[changes->n_changes].path)
                return -ENOMEM;
        changes->n_changes++;
        listing->bytes += size;
        return 0;
}

static bool look(const WalkPlace *place, const char *name, struct stat *ret)
{
        return place->there && fstatat(place->fd, name, ret, AT_SYMLINK_NOFOLLOW) == 0;
}

static int open_below(const WalkPlace *place, const char *name, int *ret)
{
        *ret = openat(place->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        return *ret < 0 ? errno_neg() : 0;
}

static int enter(Listing *listing, const WalkLevel *level, const char *name, const Sides *sides)
{
        int upper = FD_NONE, lower = FD_NONE, r = open_below(&level->places[0], name, &upper);
        unsigned flags = level->flags;

        if (r < 0)
                return r == -ENOENT ? 0 : r;
        if (is_opaque(upper))
                flags |= OPAQUE;
        if (sides->lower && S_ISDIR(sides->lower_status.st_mode)) {
                r = open_below(&level->places[1], name, &lower);
                if (r < 0) {
                        fd_close(upper);
                        return r;
                }
        }
        return walk_enter(&listing->walk, upper, lower, flags & OPAQUE ? WALK_MERGED : WALK_SORTED,
                          flags);
}

static int visit(Listing *listing, const char *name)
{
        const WalkLevel *level = walk_top(&listing->walk);
        Sides sides;
        int r;

        sides.upper = look(&level->places[0], name, &sides.upper_status);
        sides.lower = look(&level->places[1], name, &sides.lower_status);
        if (!sides.upper || is_whiteout(&sides.upper_status))
                return sides.lower ? add(listing, AGENT_CHANGE_DELETED) : 0;
        if (sides.lower || !is_mount_point(listing, &sides)) {
                r = add(listing, sides.lower ? AGENT_CHANGE_MODIFIED : AGENT_CHANGE_ADDED);
                if (r < 0)
                        return r;
        }
        return S_ISDIR(sides.upper_status.st_mode) ? enter(listing, level, name, &sides) : 0;
}

static int list_changes(Listing *listing)
{
        int upper = FD_NONE, lower = FD_NONE, r;
        const char *name;

        upper = openat(OPERATION_FD_UPPER, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        lower = openat(OPERATION_FD_LOWER, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (upper < 0 || lower < 0) {
                r = errno_neg();
                fd_close(upper);
                fd_close(lower);
                return r;
        }
        r = walk_enter(&listing->walk, upper, lower, WALK_SORTED, 0);
        while (r == 0 && walk_top(&listing->walk)) {
                r = walk_next(&listing->walk, &name);
                if (r == 0)
                        r = name ? visit(listing, name) : walk_leave(&listing->walk);
        }
        return r == -E2BIG ? 0 : r;
}

static int write_changes(const AgentChanges *changes, int output)
{
        _cleanup_(freep) uint8_t *payload = malloc(FRAME_PAYLOAD_MAX);
        size_t size;
        int r = payload ? agent_changes_encode(changes, payload, FRAME_PAYLOAD_MAX, &size)
                        : -ENOMEM;

        return r < 0 ? r : io_write_full(output, payload, size);
}

static int diff_run(Operation *operation, int output, Fault *fault)
{
        const AgentContainerSpec *spec = &operation->container->spec;
        const Diff *diff = CONTAINER_OF(operation, Diff, operation);
        Listing listing = {.spec = spec, .skip = diff->skip};
        int r;

        if (spec->root.upper == AGENT_UPPER_NONE)
                return fault_set(fault, -EOPNOTSUPP, "a container without a writable layer");
        listing.changes.changes = calloc(CHANGES_MAX, sizeof(*listing.changes.changes));
        r = listing.changes.changes ? list_changes(&listing) : -ENOMEM;
        if (r == 0)
                r = write_changes(&listing.changes, output);
        if (r < 0)
                fault_set(fault, r, "cannot list the changes%s%s", listing.walk.path ? " at " : "",
                          listing.walk.path ? listing.walk.path : "");
        walk_done(&listing.walk);
        agent_changes_done(&listing.changes);
        return r;
}

static void diff_free(Operation *operation)
{
        free(CONTAINER_OF(operation, Diff, operation));
}

static const OperationKind diff_kind = {
        .ends_with_container = true,
        .run = diff_run,
        .free = diff_free,
};

void diff_start(Container *container, uint32_t request, const AgentDiff *message)
{
        Diff *diff = calloc(1, sizeof(*diff));

        if (!diff) {
                guest_reply_error(container->guest, request, -ENOMEM, "changes");
                return;
        }
        diff->skip = message->skip;
        operation_start(&diff->operation, &diff_kind, container, request);
}
