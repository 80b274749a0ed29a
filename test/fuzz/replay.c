/*
 * Runs a fuzz target over the files of its corpus, without libFuzzer: how every build replays them.
 * usage: <target>_fuzz DIRECTORY|FILE...
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "test/fuzz/fuzz.h"

static int replay_file(int directory, const char *name)
{
        _cleanup_(freep) uint8_t *data = NULL;
        _cleanup_(fd_closep) int fd = openat(directory, name, O_RDONLY | O_CLOEXEC);
        struct stat status;
        ssize_t n;

        if (fd < 0 || fstat(fd, &status) < 0)
                return -1;
        /* Exactly as long as the file, so that the sanitizers see one byte too many. */
        data = malloc((size_t)status.st_size + (status.st_size == 0));
        n = data ? read(fd, data, (size_t)status.st_size) : -1;
        if (n != status.st_size)
                return -1;
        LLVMFuzzerTestOneInput(data, (size_t)n);
        return 0;
}

static int replay_directory(const char *path, unsigned *count)
{
        DIR *directory = opendir(path);
        struct dirent *entry;

        if (!directory) {
                (*count)++;
                return replay_file(AT_FDCWD, path);
        }
        while ((entry = readdir(directory))) {
                if (entry->d_name[0] == '.')
                        continue;
                if (replay_file(dirfd(directory), entry->d_name) < 0) {
                        closedir(directory);
                        return -1;
                }
                (*count)++;
        }
        closedir(directory);
        return 0;
}

int main(int argc, char **argv)
{
        unsigned count = 0;

        for (int i = 1; i < argc; i++)
                if (replay_directory(argv[i], &count) < 0) {
                        perror(argv[i]);
                        return EXIT_FAILURE;
                }
        printf("%u inputs\n", count);
        return count > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
