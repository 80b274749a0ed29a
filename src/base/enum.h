/*
 * Names of enums: one table gives both directions.
 *
 *   ENUM_TABLE(vm_state, VmState, VM_STATE_MAX) = {[VM_CREATED] = "created", …};
 *
 * defines `const char *vm_state_to_string(VmState)` (never NULL) and
 * `int vm_state_from_string(const char *)` (the value, or -EINVAL).
 */
#pragma once

#include <errno.h>
#include <string.h>

#define ENUM_DECLARE(prefix, type)                  \
        const char *prefix##_to_string(type value); \
        int prefix##_from_string(const char *name)

#define ENUM_TABLE(prefix, type, max)                                                      \
        static const char *const prefix##_names[max];                                      \
        const char *prefix##_to_string(type value)                                         \
        {                                                                                  \
                const char *name = (unsigned)value < (max) ? prefix##_names[value] : NULL; \
                return name ? name : "unknown";                                            \
        }                                                                                  \
        int prefix##_from_string(const char *name)                                         \
        {                                                                                  \
                for (int i = 0; i < (int)(max); i++)                                       \
                        if (prefix##_names[i] && strcmp(prefix##_names[i], name) == 0)     \
                                return i;                                                  \
                return -EINVAL;                                                            \
        }                                                                                  \
        static const char *const prefix##_names[max]
