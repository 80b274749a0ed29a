/*
 * Reads where an uncompressed x86-64 kernel (vmlinux) wants to lie in memory. Pure; the file is
 * hostile input: nothing of it is believed before it was checked against the file's size.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define ELF_LOADS_MAX 16

typedef struct ElfLoad {
        uint64_t gpa; /* physical address, page aligned */
        uint64_t offset;
        uint64_t file_size;
        uint64_t memory_size; /* at least file_size, at least 1 */
} ElfLoad;

typedef struct ElfKernel {
        uint64_t entry; /* physical address of startup_64, inside a load */
        unsigned n_loads;
        ElfLoad loads[ELF_LOADS_MAX];
} ElfKernel;

typedef enum ElfError {
        ELF_E_BZIMAGE = 1, /* a compressed kernel */
        ELF_E_MAGIC,       /* not an ELF file */
        ELF_E_KIND,        /* not a 64-bit little-endian x86-64 executable */
        ELF_E_HEADERS,     /* program headers are malformed or outside the file */
        ELF_E_LOADS,       /* nothing to load, or more than ELF_LOADS_MAX parts */
        ELF_E_SEGMENT,     /* a part lies outside the file, or is longer there than in memory */
        ELF_E_ALIGNMENT,   /* a part's physical address is not page aligned */
        ELF_E_ENTRY,       /* the entry lies in none of the parts */
        ELF_E_MAX_,
} ElfError;

/* 0, or ELF_E_*. */
int elf_decode(const void *data, size_t size, ElfKernel *ret);

const char *elf_strerror(int error);
