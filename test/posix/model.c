/*
 * fsmodel: random operations on files until a difference to a model, or the time is over.
 *
 *   fsmodel file|tree [--seed N] [--seconds N] [--operations N] [--drop-caches] DIRECTORY
 *
 * "file" reads, writes, truncates, maps and reopens one file; "tree" makes, renames, links, changes
 * and removes names, with some files held open. Works in a new directory below DIRECTORY, as root,
 * and removes it when all was well. Exit status: 0, or 1 after a difference, with the seed that
 * shows it again. --drop-caches is for guests.
 */
#include <fcntl.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "model.h"

#define HISTORY 24

/* Every so many operations all is compared. */
#define CHECK_EACH 200

static uint64_t seed, state, operation;
static char history[HISTORY][160];
static int drop_fd = -1;

/* splitmix64. */
uint32_t model_random(uint32_t limit)
{
        uint64_t value = state += 0x9e3779b97f4a7c15ULL;

        value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9ULL;
        value = (value ^ (value >> 27)) * 0x94d049bb133111ebULL;
        return (uint32_t)((value ^ (value >> 31)) >> 32) % limit;
}

void model_tell(const char *format, ...)
{
        va_list arguments;

        va_start(arguments, format);
        vsnprintf(history[operation % HISTORY], sizeof(history[0]), format, arguments);
        va_end(arguments);
}

_Noreturn void model_differs(const char *format, ...)
{
        uint64_t first = operation < HISTORY ? 0 : operation - HISTORY + 1;
        va_list arguments;

        for (uint64_t i = first; i <= operation; i++)
                printf("# %llu: %s\n", (unsigned long long)i, history[i % HISTORY]);
        printf("not ok - seed %llu, operation %llu: ", (unsigned long long)seed,
               (unsigned long long)operation);
        va_start(arguments, format);
        vprintf(format, arguments);
        va_end(arguments);
        printf("\n");
        exit(1);
}

void model_drop_caches(void)
{
        model_tell("drop the caches");
        if (drop_fd >= 0)
                MODEL_TRY(pwrite(drop_fd, "3", 1, 0));
}

static double now(void)
{
        struct timespec time;

        clock_gettime(CLOCK_MONOTONIC, &time);
        return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void run(void (*step)(void), void (*check)(void), double seconds, uint64_t limit)
{
        double end = now() + seconds;

        for (operation = 1; operation <= limit && now() < end; operation++) {
                history[operation % HISTORY][0] = 0;
                step();
                if (operation % CHECK_EACH == 0)
                        check();
        }
        operation--;
        check();
}

static int run_in(const char *model, const char *directory, double seconds, uint64_t limit)
{
        char name[32], command[64];

        snprintf(name, sizeof(name), "%s-%llu", model, (unsigned long long)seed);
        if (chdir(directory) < 0 || mkdir(name, 0755) < 0 || chdir(name) < 0) {
                perror(directory);
                return 2;
        }
        umask(0);
        if (strcmp(model, "file") == 0) {
                model_file_start();
                run(model_file_step, model_file_check, seconds, limit);
        } else {
                model_tree_start();
                run(model_tree_step, model_tree_check, seconds, limit);
        }
        printf("ok - %s: seed %llu, %llu operations\n", model, (unsigned long long)seed,
               (unsigned long long)operation);
        snprintf(command, sizeof(command), "cd .. && rm -rf %s", name);
        return system(command) == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
        static const struct option options[] = {
                {"seed", required_argument, NULL, 's'},
                {"seconds", required_argument, NULL, 't'},
                {"operations", required_argument, NULL, 'n'},
                {"drop-caches", no_argument, NULL, 'd'},
                {},
        };
        uint64_t limit = UINT64_MAX;
        double seconds = 10;
        int option;

        if (getrandom(&seed, 4, 0) != 4)
                return 2;
        while ((option = getopt_long(argc, argv, "", options, NULL)) >= 0)
                switch (option) {
                case 's':
                        seed = strtoull(optarg, NULL, 10);
                        break;
                case 't':
                        seconds = atof(optarg);
                        break;
                case 'n':
                        limit = strtoull(optarg, NULL, 10);
                        break;
                case 'd':
                        drop_fd = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);
                        break;
                default:
                        return 2;
                }
        if (argc - optind != 2 ||
            (strcmp(argv[optind], "file") != 0 && strcmp(argv[optind], "tree") != 0)) {
                fputs("fsmodel: \"file\" or \"tree\", and a directory\n", stderr);
                return 2;
        }
        state = seed;
        return run_in(argv[optind], argv[optind + 1], seconds, limit);
}
