/*
 * Core scheduling on a machine whose cores have siblings, which few have: the kernel's part is played.
 * Where this machine has some, jail_test looks at what the kernel has made of it.
 */
#include <errno.h>
#include <stdarg.h>
#include <sys/prctl.h>

#include "test/unit.h"
#include "vmm/jail/jail_steps.h"

static int answer; /* errno of the next call, or 0 */
static unsigned n_calls;
static unsigned long asked[4];

int __wrap_prctl(int option, ...);
int __wrap_prctl(int option, ...)
{
        va_list arguments;

        unit_assert_int(option, PR_SCHED_CORE);
        va_start(arguments, option);
        for (unsigned i = 0; i < 4; i++)
                asked[i] = va_arg(arguments, unsigned long);
        va_end(arguments);
        n_calls++;
        errno = answer;
        return answer ? -1 : 0;
}

static void check(int error, int expected)
{
        const char *step = NULL;

        n_calls = 0;
        answer = error;
        unit_assert_int(jail_core_schedule(&step), expected);
        unit_assert_int(n_calls, 1);
        /* A new cookie, of this process, for all of its threads. */
        unit_assert_int((int)asked[0], PR_SCHED_CORE_CREATE);
        unit_assert_int((int)asked[1], 0);
        unit_assert_int((int)asked[2], PR_SCHED_CORE_SCOPE_THREAD_GROUP);
        unit_assert_int((int)asked[3], 0);
        unit_assert_string(step, "have cores for this process alone");
}

static void asks_for_a_cookie(void)
{
        check(0, 0);
}

static void goes_on_where_there_is_none(void)
{
        check(ENODEV, 0);
        check(EINVAL, 0);
}

static void fails_otherwise(void)
{
        check(ENOMEM, -ENOMEM);
        check(EPERM, -EPERM);
}

UNIT_MAIN(UNIT_TEST(asks_for_a_cookie), UNIT_TEST(goes_on_where_there_is_none),
          UNIT_TEST(fails_otherwise))
