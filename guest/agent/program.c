/* Finding and running the program of a process; see program.h. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"

#include "agent/program.h"

#define TERM_DEFAULT "xterm"
#define ADDED_MAX    3

static const char *get_variable(const CodecStrings *env, const char *name)
{
        size_t length = strlen(name);

        for (uint32_t i = 0; i < env->n && env->items[i]; i++)
                if (strncmp(env->items[i], name, length) == 0 && env->items[i][length] == '=')
                        return env->items[i] + length + 1;
        return NULL;
}

static int add_variable(char **env, uint32_t *n, const char *name, const char *value)
{
        size_t size = strlen(name) + strlen(value) + 2;

        env[*n] = malloc(size);
        if (!env[*n])
                return -ENOMEM;
        snprintf(env[(*n)++], size, "%s=%s", name, value);
        return 0;
}

/* Not freed: it lives until execve(), or until the child ends. */
static int make_environment(const AgentProcessSpec *spec, const char *home, char ***ret)
{
        char **env = calloc(spec->env.n + ADDED_MAX + 1, sizeof(*env));
        uint32_t n = spec->env.n;
        int r = 0;

        if (!env)
                return -ENOMEM;
        if (n > 0)
                memcpy(env, spec->env.items, n * sizeof(*env));
        if (!get_variable(&spec->env, "PATH"))
                r = add_variable(env, &n, "PATH", PROGRAM_PATH_DEFAULT);
        if (r == 0 && !get_variable(&spec->env, "HOME"))
                r = add_variable(env, &n, "HOME", home);
        if (r == 0 && (spec->attach & AGENT_ATTACH_TTY) && !get_variable(&spec->env, "TERM"))
                r = add_variable(env, &n, "TERM", TERM_DEFAULT);
        *ret = env;
        return r;
}

/* Says which of the two kinds of failure it is, as a shell does: not there, or there and no use. */
static int refuse(int r, const char *name, bool searched, Fault *fault)
{
        if (r == -ENOENT && searched)
                return fault_set_exit(fault, r, FAULT_EXIT_NOT_FOUND,
                                      "executable file `%s` not found in $PATH: %s", name,
                                      strerror(-r));
        return fault_set_exit(fault, r,
                              r == -ENOENT ? FAULT_EXIT_NOT_FOUND : FAULT_EXIT_NOT_EXECUTABLE,
                              "exec: `%s`: %s", name, strerror(-r));
}

static int try_run(const char *path, char **argv, char **env)
{
        struct stat status;
        int r;

        execve(path, argv, env);
        r = errno_neg();
        /* The kernel says "permission denied" of a directory; people want to hear what it is. */
        if (r == -EACCES && stat(path, &status) == 0 && S_ISDIR(status.st_mode))
                return -EISDIR;
        return r;
}

/* One that is there but can't be run is remembered while better ones are looked for. */
static int search(const char *path, char **argv, char **env)
{
        char candidate[AGENT_PATH_MAX + 1];
        int result = -ENOENT;

        while (path) {
                const char *end = strchr(path, ':');
                size_t length = end ? (size_t)(end - path) : strlen(path);
                int r;

                /* An empty element is the current directory: POSIX. */
                if (snprintf(candidate, sizeof(candidate), "%.*s%s%s", (int)length, path,
                             length ? "/" : "./", argv[0]) < (int)sizeof(candidate)) {
                        r = try_run(candidate, argv, env);
                        if (r != -ENOENT && r != -ENOTDIR && r != -EISDIR)
                                result = r;
                }
                path = end ? end + 1 : NULL;
        }
        return result;
}

int program_run(const AgentProcessSpec *spec, const char *home, Fault *fault)
{
        const char *name = spec->argv.items[0], *path;
        bool searched = !strchr(name, '/');
        char **env;
        int r = make_environment(spec, home, &env);

        if (r < 0)
                return fault_set(fault, r, "environment");
        if (!*name)
                return refuse(-ENOENT, name, true, fault);
        path = get_variable(&(CodecStrings){.items = env, .n = spec->env.n + ADDED_MAX}, "PATH");
        r = searched ? search(path, spec->argv.items, env) : try_run(name, spec->argv.items, env);
        return refuse(r, name, searched, fault);
}
