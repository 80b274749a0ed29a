/* Scope-bound ownership: a local that owns something says so where it is declared. */
#pragma once

#include <stddef.h>
#include <stdlib.h>

#define _cleanup_(f) __attribute__((cleanup(f)))

/* Hands a resource over to its next owner and leaves the "nothing" value behind. */
#define TAKE_PTR(p)                               \
        ({                                        \
                __typeof__(p) *taken_p_ = &(p);   \
                __typeof__(p) taken_ = *taken_p_; \
                *taken_p_ = NULL;                 \
                taken_;                           \
        })

/* DEFINE_CLEANUP(Foo *, foo_free) makes foo_freep() for _cleanup_(foo_freep). */
#define DEFINE_CLEANUP(type, function)               \
        static inline void function##p(type *object) \
        {                                            \
                if (*object)                         \
                        function(*object);           \
        }

static inline void freep(void *p)
{
        free(*(void **)p);
}

#define ELEMENTSOF(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b)     ((a) < (b) ? (a) : (b))
#define MAX(a, b)     ((a) > (b) ? (a) : (b))

#define CONTAINER_OF(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))
