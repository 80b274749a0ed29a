/* Names, as the host says them; see names.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"

#include "agent/names.h"
#include "agent/nametext.h"

#define PATH_SIZE 512

static void print_path(const Guest *guest, const char *id, const char *file, char path[PATH_SIZE])
{
        snprintf(path, PATH_SIZE, "%s/names/%s%s%s", guest->state, id, *file ? "/" : "", file);
}

/* Over what is there, and then what is too much off: a reader may see both ends of a change, but never
 * nothing. */
static int write_file(const Guest *guest, const char *id, const char *file, const char *text)
{
        _cleanup_(fd_closep) int fd = FD_NONE;
        size_t size = strlen(text);
        char path[PATH_SIZE];

        print_path(guest, id, file, path);
        fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
        if (fd < 0)
                return errno_neg();
        if (pwrite(fd, text, size, 0) != (ssize_t)size)
                return errno ? errno_neg() : -ENOSPC;
        return ftruncate(fd, (off_t)size) < 0 ? errno_neg() : 0;
}

static bool is_private(const AgentContainerSpec *spec)
{
        return spec->namespaces & AGENT_NAMESPACE_NET;
}

static int write_hosts(const Container *container)
{
        const Guest *guest = container->guest;
        const AgentContainerSpec *spec = &container->spec;
        _cleanup_(freep) char *text = NULL;
        char name[256] = "";

        if ((spec->namespaces & AGENT_NAMESPACE_UTS) && spec->hostname && *spec->hostname)
                snprintf(name, sizeof(name), "%s", spec->hostname);
        else
                (void)gethostname(name, sizeof(name) - 1);
        text = nametext_hosts(is_private(spec) ? NULL : &guest->resolver, name);
        return text ? write_file(guest, container->id, "hosts", text) : -ENOMEM;
}

static int write_resolver(const Container *container)
{
        _cleanup_(freep) char *text = nametext_resolver(&container->guest->resolver);

        return text ? write_file(container->guest, container->id, "resolv.conf", text) : -ENOMEM;
}

int names_prepare(Container *container, Fault *fault)
{
        const Guest *guest = container->guest;
        char path[PATH_SIZE];
        int r = 0;

        container->names = guest->resolver_changes;
        /* Of an agent before this one (tests). */
        names_remove(guest, container->id);
        print_path(guest, container->id, "", path);
        if (mkdir(path, 0755) < 0)
                r = errno_neg();
        if (r == 0)
                r = write_hosts(container);
        if (r == 0 && !is_private(&container->spec) && nametext_has_resolver(&guest->resolver))
                r = write_resolver(container);
        return r < 0 ? fault_set(fault, r, "cannot write the container's names") : 0;
}

/* @servers: the host has said something for resolv.conf, now or before. */
static int rewrite(Container *container, bool servers)
{
        int r = write_hosts(container);

        if (r == 0 && servers && !is_private(&container->spec))
                r = write_resolver(container);
        container->names = container->guest->resolver_changes;
        return r < 0 ? log_warning_errno(r, "cannot write the names of container %s", container->id)
                     : 0;
}

void names_refresh(Container *container)
{
        if (container->names != container->guest->resolver_changes)
                rewrite(container, nametext_has_resolver(&container->guest->resolver));
}

void names_remove(const Guest *guest, const char *id)
{
        static const char *const files[] = {"hosts", "resolv.conf"};
        char path[PATH_SIZE];

        for (size_t i = 0; i < ELEMENTSOF(files); i++) {
                print_path(guest, id, files[i], path);
                unlink(path);
        }
        print_path(guest, id, "", path);
        if (rmdir(path) < 0 && errno != ENOENT)
                log_warning_errno(errno_neg(), "cannot remove %s", path);
}

void names_set(Guest *guest, uint32_t request, AgentResolver *resolver)
{
        bool servers = nametext_has_resolver(&guest->resolver) || nametext_has_resolver(resolver);
        int result = 0;

        if (!nametext_is_valid(resolver)) {
                guest_reply_error(guest, request, -EINVAL, "names with control characters");
                return;
        }
        agent_resolver_done(&guest->resolver);
        guest->resolver = *resolver;
        *resolver = (AgentResolver){};
        guest->resolver_changes++;
        list_for_each (item, &guest->containers) {
                Container *container = LIST_ENTRY(item, Container, link);
                int r = container->state == CONTAINER_DELETING ? 0 : rewrite(container, servers);

                result = result < 0 ? result : r;
        }
        if (result < 0)
                guest_reply_error(guest, request, result, "cannot write all containers' names");
        else
                guest_reply(guest, request, NULL);
}
