/* Verbs over what uvmd keeps by name and lists at once: images, networks, volumes. */
#pragma once

#include "client/json.h"
#include "client/objects.h"
#include "uvmctl/verbs.h"

typedef struct ListingOptions {
        bool quiet, json;
} ListingOptions;

typedef void (*ListingPrint)(json_object *all);

/* -q and --format, up to the first plain argument (optind). A status. */
int listing_parse(const Verb *verb, int argc, char **argv, ListingOptions *ret);

/* All that the manager's method @member lists, as an array; NULL after a report. */
json_object *listing_load(sd_bus *bus, const char *member);

/*
 * Prints what @member lists: if quiet only what is under @key, whatever the format, else as JSON or with
 * @print. A status.
 */
int listing_run(const char *member, const ListingOptions *options, const char *key,
                ListingPrint print);

/* `[-f] NAME…`: @member removes each. @none says what is missing if no name is given. A status. */
int listing_remove(const Verb *verb, int argc, char **argv, const char *member, const char *none);
