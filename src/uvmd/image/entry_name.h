/*
 * Names in archives, as strings: which are refused, and what a layer's special names mean. Pure.
 *
 * An archive's entry is named relative to the root, "./" in front and "/" behind are allowed and taken
 * off. Absolute names, "..", empty ones and those too long are refused: no image that a tool made has
 * them, and whoever has them means no good.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define ENTRY_NAME_MAX      4096 /* bytes, with the NUL */
#define ENTRY_COMPONENT_MAX 255
#define ENTRY_DEPTH_MAX     256

/* What is wrong with a name. */
typedef enum EntryNameError {
        ENTRY_NAME_E_ABSOLUTE = 1,
        ENTRY_NAME_E_DOTDOT,
        ENTRY_NAME_E_LONG, /* the name, one of its components, or more than ENTRY_DEPTH_MAX of these */
} EntryNameError;

/*
 * Normalises @name into @ret: no "." components, no doubled or trailing slashes; "" is the root
 * itself. 0, or ENTRY_NAME_E_*.
 */
int entry_name_check(const char *name, char ret[ENTRY_NAME_MAX]);
const char *entry_name_strerror(int error);

/* What the last component of a normalised name means in an OCI layer (image-spec, "layer"). */
typedef enum EntryKind {
        ENTRY_PLAIN,
        ENTRY_WHITEOUT, /* ".wh.NAME": NAME of the layers below is gone */
        ENTRY_OPAQUE,   /* ".wh..wh..opq": so is all that the directory had in them */
        ENTRY_IGNORED,  /* other names that begin with ".wh..wh.": notes of AUFS to itself */
} EntryKind;

EntryKind entry_name_kind(const char *name);

/* The last component, inside @name. */
const char *entry_name_last(const char *name);
