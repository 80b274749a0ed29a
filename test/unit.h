/*
 * The unit tests' frame: a test program is a list of void functions run by UNIT_MAIN. Output is
 * TAP, which meson reads; a failed check ends the program with its file, line and values.
 */
#pragma once

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct UnitTest {
        const char *name;
        void (*run)(void);
} UnitTest;

#define UNIT_TEST(function)                        \
        {                                          \
                .name = #function, .run = function \
        }

#define unit_fail(...)                                           \
        do {                                                     \
                printf("Bail out! %s:%d: ", __FILE__, __LINE__); \
                printf(__VA_ARGS__);                             \
                putchar('\n');                                   \
                fflush(stdout);                                  \
                abort();                                         \
        } while (0)

#define unit_assert(condition)                       \
        do {                                         \
                if (!(condition))                    \
                        unit_fail("%s", #condition); \
        } while (0)

#define unit_assert_int(actual, expected)                                                \
        do {                                                                             \
                intmax_t actual_ = (intmax_t)(actual), expected_ = (intmax_t)(expected); \
                if (actual_ != expected_)                                                \
                        unit_fail("%s is %jd, not %jd", #actual, actual_, expected_);    \
        } while (0)

#define unit_assert_string(actual, expected)                                \
        do {                                                                \
                const char *actual_ = (actual), *expected_ = (expected);    \
                if (!actual_ || strcmp(actual_, expected_) != 0)            \
                        unit_fail("%s is \"%s\", not \"%s\"", #actual,      \
                                  actual_ ? actual_ : "(null)", expected_); \
        } while (0)

#define unit_assert_bytes(actual, expected, size)                            \
        do {                                                                 \
                if (memcmp((actual), (expected), (size)) != 0)               \
                        unit_fail("%s differs from %s", #actual, #expected); \
        } while (0)

static inline int unit_run(const UnitTest *tests, size_t n)
{
        printf("1..%zu\n", n);
        for (size_t i = 0; i < n; i++) {
                tests[i].run();
                printf("ok %zu %s\n", i + 1, tests[i].name);
                fflush(stdout);
        }
        return 0;
}

#define UNIT_MAIN(...)                                                    \
        int main(void)                                                    \
        {                                                                 \
                static const UnitTest tests[] = {__VA_ARGS__};            \
                return unit_run(tests, sizeof(tests) / sizeof(tests[0])); \
        }
