/* Lines of /proc whose names and arguments a container chooses. */
#include <errno.h>

#include "agent/procstat.h"
#include "test/unit.h"

static void test_stat(void)
{
        static const char line[] =
                "42 (a) b (c\n) S 7 42 42 34816 42 4194304 1 2 3 4 10 20 5 6 20 0 "
                "1 0 12345 1000000 77 18446744073709551615 1 1\n";
        ProcStat stat;

        unit_assert_int(procstat_parse(line, &stat), 0);
        unit_assert_string(stat.name, "a) b (c?");
        unit_assert_int(stat.state, 'S');
        unit_assert_int(stat.ppid, 7);
        unit_assert_int(stat.tty, 34816);
        unit_assert_int(stat.cpu_ticks, 30);
        unit_assert_int(stat.start_ticks, 12345);
        unit_assert_int(stat.size, 1000000);
        unit_assert_int(stat.rss_pages, 77);
}

static void test_stat_refused(void)
{
        ProcStat stat;

        unit_assert_int(procstat_parse("", &stat), -EBADMSG);
        unit_assert_int(procstat_parse("1 (x", &stat), -EBADMSG);
        unit_assert_int(procstat_parse("1 )x(", &stat), -EBADMSG);
        unit_assert_int(procstat_parse("1 (x)", &stat), -EBADMSG);
        unit_assert_int(procstat_parse("1 (x) ", &stat), -EBADMSG);
        unit_assert_int(procstat_parse("1 (x) S 1 2", &stat), -EBADMSG);
}

static void test_status(void)
{
        char data[] = "Name:\tx\nNSpid:\t900\t12\t3\nUid:\t0\t1\t2\t1000\nNSpidx:\t5\n";
        Text text = {.data = data, .size = sizeof(data) - 1};

        unit_assert_int(procstat_last_number(&text, "NSpid"), 3);
        unit_assert_int(procstat_last_number(&text, "Uid"), 1000);
        unit_assert_int(procstat_last_number(&text, "Name"), 0);
        unit_assert_int(procstat_last_number(&text, "Gid"), 0);
}

static void test_command(void)
{
        char line[16];

        procstat_command("sh\0-c\0a\nb\033\0", 12, line, sizeof(line));
        unit_assert_string(line, "sh -c a b?");
        procstat_command("0123456789abcdefgh", 18, line, sizeof(line));
        unit_assert_string(line, "0123456789abcde");
        procstat_command(NULL, 0, line, sizeof(line));
        unit_assert_string(line, "");
}

UNIT_MAIN(UNIT_TEST(test_stat), UNIT_TEST(test_stat_refused), UNIT_TEST(test_status),
          UNIT_TEST(test_command))
