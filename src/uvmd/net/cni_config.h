/*
 * Configurations of CNI networks (specification 1.0.0, "network configuration format") and what a
 * plugin gets of them. Pure. A configuration is an administrator's file: it is checked so that a
 * mistake in it is told as such.
 */
#pragma once

#include <json-c/json.h>
#include <systemd/sd-bus.h>

#include "uvmd/net/network_config.h"

#define CNI_PLUGINS_MAX 16
#define CNI_VERSION     "1.0.0"

/*
 * Makes a list of what a file holds: a list (conflist), or one plugin's configuration (conf), which
 * becomes a list of one. New object in *ret. 0, -EBADMSG with @error (which tells @file), or -ENOMEM.
 */
int cni_list_new(json_object **ret, json_object *file, const char *name, sd_bus_error *error);

/* Whether CHECK may be asked for: since version 0.4.0, if the list doesn't forbid it. */
bool cni_list_allows_check(json_object *list);

/* Of a list that cni_list_new() has made. Borrowed. */
const char *cni_list_name(json_object *list);
size_t cni_list_count(json_object *list);
const char *cni_list_type(json_object *list, size_t i);

/* The text of plugin @i's member @key, or NULL. Borrowed. */
const char *cni_list_text(json_object *list, size_t i, const char *key);

/* The type of its IPAM plugin, or NULL. Borrowed. */
const char *cni_list_ipam(json_object *list, size_t i);

/* Its number, or 0. */
uint32_t cni_list_number(json_object *list, size_t i, const char *key);

/*
 * What is wanted for one sandbox, as the runtimeConfig of CONVENTIONS.md: portMappings, ips, mac, bandwidth,
 * aliases.
 * New object; NULL: out of memory.
 */
json_object *cni_runtime_new(const NetworkConfig *config);

/* The same as CNI_ARGS, with the sandbox's @name as Kubernetes' runtimes give it. free() it; NULL: out of memory. */
char *cni_arguments_new(const NetworkConfig *config, const char *name);

/* Whether some plugin of the list takes each of these, but for aliases, which uvmd minds itself. 0 or -EINVAL with @error. */
int cni_runtime_check(json_object *list, json_object *runtime, sd_bus_error *error);

/* What plugin @i reads: its configuration with name, version, its part of @runtime, and @previous
 * (NULL: none) as prevResult. New object; NULL: out of memory. */
json_object *cni_plugin_config(json_object *list, size_t i, json_object *runtime,
                               json_object *previous);

/* Subnets of the list's host-local ranges: calls @visit for each text. */
void cni_list_subnets(json_object *list, void (*visit)(const char *subnet, void *userdata),
                      void *userdata);
