/*
 * Containers find each other by name: a guest's /etc/hosts has the sandboxes of its owner that are in one of its
 * networks, by their names and what they are called there. It is written anew when one comes or goes; see
 * network_guest.h.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "uvmd/journal.h"
#include "uvmd/net/cni_result.h"
#include "uvmd/net/network.h"
#include "uvmd/net/network_guest.h"
#include "uvmd/sandbox.h"
#include "uvmd/strv.h"

#define NAMES_MAX      512 /* lines that a guest is told of others */
#define NAMES_LINE_MAX 2048

typedef struct Line {
        const NetworkAttachment *attachment;
        bool is_own;
        char ***lines;
        int r;
} Line;

/* "192.0.2.7/24" as "192.0.2.7 NAME ALIAS…"; its own line has the guest's host name as well. */
static void add_line(const char *address, void *userdata)
{
        Line *line = userdata;
        const Sandbox *sandbox = line->attachment->sandbox;
        const char *hostname = sandbox->config.hostname;
        char text[NAMES_LINE_MAX];
        size_t at;

        at = (size_t)snprintf(text, sizeof(text), "%.*s %s", (int)strcspn(address, "/"), address,
                              sandbox->name);
        if (line->is_own && hostname && strcmp(hostname, sandbox->name) != 0)
                at += (size_t)snprintf(text + at, sizeof(text) - at, " %s", hostname);
        for (char **alias = line->attachment->config.aliases; alias && *alias; alias++)
                if (at + 1 + strlen(*alias) < sizeof(text))
                        at += (size_t)snprintf(text + at, sizeof(text) - at, " %s", *alias);
        if (line->r >= 0 && strv_length(*line->lines) < NAMES_MAX)
                line->r = strv_append(line->lines, text);
}

static bool is_there(const NetworkAttachment *attachment)
{
        return attachment->state == ATTACHMENT_ATTACHED && attachment->goal != ATTACHMENT_GONE &&
               attachment->result;
}

/* What @sandbox is told of @other in the network of @here. */
static int add_sandbox(const NetworkAttachment *here, const Sandbox *other, char ***lines)
{
        int r = 0;

        for_each_attachment (attachment, &other->network) {
                Line line = {
                        .attachment = attachment,
                        .is_own = other == here->sandbox,
                        .lines = lines,
                };

                if (r < 0 || !is_there(attachment) || (line.is_own && attachment != here) ||
                    strcmp(attachment->config.network, here->config.network) != 0)
                        continue;
                cni_result_addresses(attachment->result, add_line, &line);
                r = line.r;
        }
        return r;
}

/* Whoever else may call uvmd names sandboxes as they like: only the owner's own are believed. */
int network_names_add(const Sandbox *sandbox, char ***lines)
{
        Sandbox *other, *next;
        int r = 0;

        for_each_attachment (here, &sandbox->network) {
                if (r < 0 || !is_there(here))
                        continue;
                r = add_sandbox(here, sandbox, lines);
                HASH_ITER (hh, sandbox->manager->sandboxes, other, next)
                        if (r >= 0 && other != sandbox && other->owner == sandbox->owner)
                                r = add_sandbox(here, other, lines);
        }
        return r;
}

/* One that has just been told, while it boots, hears of what came since. */
static bool is_listening(const Sandbox *sandbox)
{
        return sandbox->network.named &&
               (sandbox->state == SANDBOX_STARTING || sandbox->state == SANDBOX_RUNNING);
}

static int names_on_defer(sd_event_source *source, void *userdata)
{
        Manager *manager = userdata;
        Sandbox *sandbox, *next;

        manager->network_names = sd_event_source_disable_unref(manager->network_names);
        HASH_ITER (hh, manager->sandboxes, sandbox, next) {
                int r = is_listening(sandbox) ? network_send_resolver(sandbox) : 0;

                if (r < 0)
                        sandbox_log_warning_errno(sandbox, r, "can't tell it of new names");
        }
        return 0;
}

/* Not at once: of many changes it hears together. */
void network_names_changed(Manager *manager)
{
        int r = manager->network_names ? 0
                                       : sd_event_add_defer(manager->event, &manager->network_names,
                                                            names_on_defer, manager);

        if (r < 0)
                log_error_errno(r, "Can't tell guests of new names");
}
