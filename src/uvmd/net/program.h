/*
 * Runs a program of the host's to its end: only in a worker, for this waits. What it prints is bounded;
 * that it takes too long ends the worker, and with that the program.
 */
#pragma once

#include <stddef.h>

#include "base/cleanup.h"

#define PROGRAM_WORDS_MAX 1024

typedef struct Program {
        const char *path;
        const char *const *arguments; /* arguments[0] too; ends in NULL */
        const char *const *environment;
        const char *input; /* on its standard input; NULL: nothing */
        size_t output_max; /* bytes of its standard output; more and it is killed */
} Program;

typedef struct ProgramEnd {
        char *output; /* owned, NUL-terminated */
        size_t size;
        char words
                [PROGRAM_WORDS_MAX]; /* the end of its standard error, without newlines at the end */
        int status;                  /* as of waitpid(2) */
} ProgramEnd;

/* 0, or -errno: -ENOENT there is no such program, -EFBIG it printed too much. */
int program_run(const Program *program, ProgramEnd *ret);
void program_end_done(ProgramEnd *end);
