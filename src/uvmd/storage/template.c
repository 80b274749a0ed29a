/*
 * Templates of file systems; see template.h. mke2fs runs as nobody, without capabilities, network or
 * any file of ours but the one it fills; that one gets its name when it is complete.
 */
#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/parse.h"
#include "uvmd/errors.h"
#include "uvmd/storage/template.h"

#define TEMPLATE_FILE_FD 3 /* of mke2fs */
#define TEMPLATE_NOBODY  65534
#define TEMPLATE_TEXT    512 /* of what mke2fs says, kept for the message */
#define TEMPLATE_COUNT   32  /* that are kept: each size that anybody asks for makes one */
#define TEMPLATE_MEMORY  (1ULL << 30)

/* A journal is at most a sixteenth of it and never large: it only has to hold some seconds' metadata. */
#define TEMPLATE_JOURNAL_FROM (256ULL << 20)
#define TEMPLATE_JOURNAL      "size=16"

/*
 * What a template is made with; it is part of its name. The file is all zero, so nothing has to be
 * zeroed, now or by the guest's kernel later: a template of 10 GiB has 160 KiB of data. There is
 * no reserved room, for nobody but the container's root would get it, and no resize inode. Groups of
 * groups have their bitmaps in one run, which makes few holes.
 */
static const char *const template_options[] = {
        "-q",
        "-F",
        "-t",
        "ext4",
        "-b",
        "4096",
        "-I",
        "256",
        "-i",
        "16384",
        "-m",
        "0",
        "-G",
        "256",
        "-O",
        ("none,has_journal,ext_attr,dir_index,filetype,extent,64bit,flex_bg,sparse_super,"
         "large_file,huge_file,dir_nlink,extra_isize,metadata_csum"),
        "-E",
        "assume_storage_prezeroed=1,nodiscard,root_owner=0:0",
};

static void template_name(uint64_t size, char *ret, size_t room)
{
        uint64_t hash = 0xcbf29ce484222325; /* FNV-1a */

        for (size_t i = 0; i < ELEMENTSOF(template_options); i++)
                for (const char *at = template_options[i]; *at; at++)
                        hash = (hash ^ (uint8_t)*at) * 0x100000001b3;
        snprintf(ret, room, "%llu-%016llx", (unsigned long long)size, (unsigned long long)hash);
}

/* ------------------------------------------------------------------ mke2fs */

static int template_drop_rights(uint64_t size)
{
        const struct {
                int resource;
                rlim_t limit;
        } limits[] = {
                {RLIMIT_CORE, 0},
                {RLIMIT_NOFILE, 64},
                {RLIMIT_FSIZE, size},
                {RLIMIT_AS, TEMPLATE_MEMORY},
        };

        for (size_t i = 0; i < ELEMENTSOF(limits); i++) {
                struct rlimit limit = {limits[i].limit, limits[i].limit};

                if (setrlimit(limits[i].resource, &limit) < 0)
                        return errno_neg();
        }
        /* Whoever is not root (a test) has nothing to give up. */
        if (geteuid() == 0 &&
            (unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) < 0 ||
             setgroups(0, NULL) < 0 ||
             setresgid(TEMPLATE_NOBODY, TEMPLATE_NOBODY, TEMPLATE_NOBODY) < 0 ||
             setresuid(TEMPLATE_NOBODY, TEMPLATE_NOBODY, TEMPLATE_NOBODY) < 0))
                return errno_neg();
        return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? errno_neg() : 0;
}

static void template_exec(int file, int output, uint64_t size)
{
        static const char *const programs[] = {"/usr/sbin/mke2fs", "/sbin/mke2fs"};
        /* The options are all here: no mke2fs.conf of this host may add to them. */
        static const char *const environment[] = {"MKE2FS_CONFIG=/dev/null", "LC_ALL=C", NULL};
        const char *arguments[ELEMENTSOF(template_options) + 8] = {"mke2fs"};
        char path[32];
        size_t n = 1;
        int null = open("/dev/null", O_RDWR);

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (size_t i = 0; i < ELEMENTSOF(template_options); i++)
                arguments[n++] = template_options[i];
        if (size >= TEMPLATE_JOURNAL_FROM) {
                arguments[n++] = "-J";
                arguments[n++] = TEMPLATE_JOURNAL;
        }
        snprintf(path, sizeof(path), "/proc/self/fd/%d", TEMPLATE_FILE_FD);
        arguments[n] = path;
        if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(output, 2) < 0 ||
            fd_pass_to_exec(&file, 1, TEMPLATE_FILE_FD) < 0 || template_drop_rights(size) < 0)
                _exit(125);
        for (size_t i = 0; i < ELEMENTSOF(programs); i++)
                execve(programs[i], (char *const *)arguments, (char *const *)environment);
        _exit(127);
}

/* The last line of what it said. */
static void template_read_text(int output, char text[TEMPLATE_TEXT])
{
        char *line;
        ssize_t n = read(output, text, TEMPLATE_TEXT - 1);

        text[n > 0 ? n : 0] = 0;
        while (n > 0 && text[n - 1] == '\n')
                text[--n] = 0;
        line = strrchr(text, '\n');
        if (line)
                memmove(text, line + 1, strlen(line + 1) + 1);
}

static int template_explain(int status, int output, sd_bus_error *error)
{
        char text[TEMPLATE_TEXT];

        if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
                return 0;
        if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
                return error_set(error, -ENOENT, ERROR_NOT_SUPPORTED,
                                 "There is no mke2fs here to make a writable layer with: install "
                                 "e2fsprogs, or keep the layer in memory.");
        template_read_text(output, text);
        return error_set(error, -EIO, ERROR_FAILED, "mke2fs failed (%s %d): %s",
                         WIFEXITED(status) ? "exit code" : "signal",
                         WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status), text);
}

static int template_format(int file, uint64_t size, sd_bus_error *error)
{
        bool root = geteuid() == 0;
        int pair[2], status, r;
        pid_t pid;

        if (ftruncate(file, (off_t)size) < 0 ||
            (root && fchown(file, TEMPLATE_NOBODY, TEMPLATE_NOBODY) < 0) ||
            pipe2(pair, O_CLOEXEC | O_NONBLOCK) < 0)
                return errno_neg();
        pid = fork();
        if (pid == 0)
                template_exec(file, pair[1], size);
        r = pid < 0 ? errno_neg() : 0;
        if (r >= 0 && waitpid(pid, &status, 0) < 0)
                r = errno_neg();
        if (r >= 0)
                r = template_explain(status, pair[0], error);
        if (r >= 0 && root && fchown(file, 0, 0) < 0)
                r = errno_neg();
        fd_close(pair[0]);
        fd_close(pair[1]);
        return r;
}

/* ------------------------------------------------------------------ the cache */

/* Too many: all go but the new one. What was a beginning, and was left, too. */
static void template_trim(int directory, const char *kept)
{
        int copy = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *stream = copy >= 0 ? fdopendir(copy) : NULL;
        struct dirent *entry;
        unsigned n = 0;

        if (!stream) {
                fd_close(copy);
                return;
        }
        while ((entry = readdir(stream)))
                n++;
        rewinddir(stream);
        while (n > TEMPLATE_COUNT + 2 && (entry = readdir(stream)))
                if (entry->d_name[0] != '.' && strcmp(entry->d_name, kept) != 0)
                        unlinkat(directory, entry->d_name, 0);
        closedir(stream);
}

static int template_make(int directory, const char *name, uint64_t size, int *ret,
                         sd_bus_error *error)
{
        char temporary[ID_SIZE + 8], random[ID_SIZE + 1];
        _cleanup_(fd_closep) int file = FD_NONE;
        int r = id_generate(random);

        if (r < 0)
                return r;
        snprintf(temporary, sizeof(temporary), "new-%s", random);
        file = openat(directory, temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
                      0600);
        if (file < 0)
                return errno_neg();
        r = template_format(file, size, error);
        /* One that a power cut left half-written would spoil every layer made of it. */
        if (r >= 0 && fsync(file) < 0)
                r = errno_neg();
        if (r >= 0 && renameat(directory, temporary, directory, name) < 0)
                r = errno_neg();
        if (r < 0) {
                unlinkat(directory, temporary, 0);
                return r;
        }
        template_trim(directory, name);
        *ret = TAKE_FD(file);
        return 0;
}

int template_open(int directory, uint64_t size, int *ret, sd_bus_error *error)
{
        char name[48];
        int fd;

        template_name(size, name, sizeof(name));
        fd = openat(directory, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0)
                return errno == ENOENT ? template_make(directory, name, size, ret, error)
                                       : errno_neg();
        *ret = fd;
        return 0;
}
