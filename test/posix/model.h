/*
 * Random operations against a directory and against a model of it in memory. What one run does is
 * decided by its seed alone: it can be run again up to the operation that went wrong.
 */
#pragma once

#include <stdint.h>

/* The next random number below @limit, which is not 0. */
uint32_t model_random(uint32_t limit);

/* Tells what is about to be done; kept for when it goes wrong. */
__attribute__((format(printf, 1, 2))) void model_tell(const char *format, ...);

/* Tells the seed, the last operations and what is wrong, and ends the program. */
_Noreturn __attribute__((format(printf, 1, 2))) void model_differs(const char *format, ...);

/* The value of a call that must succeed. */
#define MODEL_TRY(call)                                 \
        ({                                              \
                long _value = (call);                   \
                if (_value < 0)                         \
                        model_differs("%s: %m", #call); \
                _value;                                 \
        })

/* Makes the kernel forget what it can, if that was asked for: all of its file systems pay. */
void model_drop_caches(void);

/* The two models: both work in the working directory, which is empty. */
void model_file_start(void);
void model_file_step(void);
void model_file_check(void);

void model_tree_start(void);
void model_tree_step(void);
void model_tree_check(void);
