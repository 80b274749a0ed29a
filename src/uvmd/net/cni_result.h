/*
 * What CNI plugins print (specification 1.0.0, "result types"). Pure: a plugin is a program of the
 * administrator's, but what it says ends in records, in a guest and on the bus, so it is checked.
 */
#pragma once

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <systemd/sd-bus.h>

#define CNI_OUTPUT_MAX  (48 * 1024) /* bytes of one plugin's answer */
#define CNI_RESULT_LIST 64          /* items of each list in it */

/* Parses a success: an object whose lists are of the form that the specification gives them. New
 * object. 0, -EBADMSG, -ENOMEM. */
int cni_result_parse(json_object **ret, const char *text, size_t size);

/* Whether it is such a result: for one that was kept in a file. */
int cni_result_check(json_object *result);

/* "The CNI plugin bridge failed: …" from the error that it printed (@text), from its standard error
 * @words, or else from its exit @status, as of waitpid(2). Returns -EIO. */
int cni_error_explain(const char *plugin, const char *text, size_t size, const char *words,
                      int status, sd_bus_error *error);

/* Text lists of it: "ips" (addresses with prefix lengths), or "nameservers", "search", "options" of
 * its "dns". The visitor gets each that is well formed. */
void cni_result_addresses(json_object *result, void (*visit)(const char *text, void *userdata),
                          void *userdata);
void cni_result_dns(json_object *result, const char *key,
                    void (*visit)(const char *text, void *userdata), void *userdata);

/* Its routes; @gateway NULL: it names none. Well-formed ones only. */
void cni_result_routes(json_object *result,
                       void (*visit)(const char *to, const char *gateway, void *userdata),
                       void *userdata);

/* The gateway beside its first address of IPv6, or of IPv4; NULL: there is none. Borrowed. */
const char *cni_result_gateway(json_object *result, bool six);

/* A copy for an interface with its @peer on the host, which has all the addresses. NULL: out of memory. */
json_object *cni_result_with_interface(json_object *result, const char *peer, const char *name);
