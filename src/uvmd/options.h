/*
 * Configuration by table: one line for each key says its type, range and place in a struct. The same
 * table reads a{sv} from the bus, writes and reads the JSON of a record, and frees the struct.
 *
 * The struct's members are what the type's comment says; all zero is "nothing given", defaults are
 * set by whoever makes the struct, before reading.
 */
#pragma once

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-bus.h>

typedef enum OptionType {
        OPTION_BOOL,    /* b      bool */
        OPTION_I32,     /* i      int32_t, min and max apply as signed */
        OPTION_U32,     /* u      uint32_t */
        OPTION_U64,     /* t      uint64_t */
        OPTION_STRING,  /* s      char *; max is its size in bytes */
        OPTION_STRINGS, /* as     char **, see strv.h; max is their number */
        OPTION_MAP,     /* a{ss}  char **, a map; max is the number of keys, each once */
        OPTION_FD,      /* h      int, owned, FD_NONE without; never recorded */
        OPTION_NAMED,   /* a(st)  OptionList, values[0] */
        OPTION_RANGES,  /* a(stt) OptionList, values[0] ≤ values[1] */
        OPTION_TYPE_MAX,
} OptionType;

typedef struct OptionListItem {
        char *name;
        uint64_t values[2];
} OptionListItem;

typedef struct OptionList {
        OptionListItem *items;
        size_t n;
} OptionList;

typedef struct Option {
        const char *key;
        OptionType type;
        size_t offset;
        uint64_t min, max;              /* inclusive; max 0 is "the type's" */
        bool is_on;                     /* BOOL: true where nothing is given */
        bool unlimited;                 /* U64: UINT64_MAX may be given whatever the range */
        bool (*is_valid)(const char *); /* strings, items and keys of maps; NULL: any */
        const char *expected;           /* … what they must be, for the message */
} Option;

#define OPTION_STRING_MAX 4096   /* bytes of a string where the table says nothing else */
#define OPTION_ITEMS_MAX  1024   /* items of a list, likewise */
#define OPTION_TOTAL_MAX  131072 /* bytes of all strings of one list */

/*
 * Reads an a{sv} at the message's place into @target. 0 or -errno with @error set: UnknownOption
 * for a key that is not in the table, InvalidArgument for a wrong type, a value out of range or a
 * key given twice. @target may be half filled then; options_done() frees it.
 */
int options_read(sd_bus_message *message, const Option *table, size_t n, void *target,
                 sd_bus_error *error);

/* A JSON object of all that is given (zero and NULL are left out). NULL: out of memory. */
json_object *options_to_json(const Option *table, size_t n, const void *source);

/* The inverse; ranges are checked again, unknown keys are ignored. 0, -EBADMSG or -ENOMEM. */
int options_from_json(const Option *table, size_t n, void *target, json_object *json);

/*
 * Moves what @source was given into @target, over what that has; items of NAMED lists are replaced or
 * added by name. 0 or -ENOMEM, with part of it moved.
 */
int options_merge(const Option *table, size_t n, void *target, void *source);

/* By type, as D-Bus has them. */
extern const char *const option_signatures[OPTION_TYPE_MAX];

/* Sets @name's value in a NAMED list (0 or -ENOMEM); drops the items that have @value. */
int option_list_set(OptionList *list, const char *name, uint64_t value);
void option_list_drop(OptionList *list, uint64_t value);

/* Makes what stands for "no limit" (UINT64_MAX, an empty string) not given. */
void options_tidy(const Option *table, size_t n, void *target);

/* Appends {sv}s of what is given, in the table's order; fds are left out. 0 or -errno. */
int options_append(sd_bus_message *message, const Option *table, size_t n, const void *source);

/* Frees what the table's members own and sets them to "nothing given". */
void options_done(const Option *table, size_t n, void *target);
