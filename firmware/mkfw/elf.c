#include "mkfw/elf.h"

#include <elf.h>
#include <string.h>

#include "base/wire.h"

enum {
        BZIMAGE_MAGIC_AT = 0x202, /* "HdrS": linux/Documentation/x86/boot.rst */
        PAGE_SIZE = 4096,
};

typedef struct ProgramHeaders {
        uint64_t offset;
        unsigned n;
        uint64_t entry; /* physical, or virtual */
} ProgramHeaders;

static int header_decode(const uint8_t *data, size_t size, ProgramHeaders *ret)
{
        WireReader reader = wire_reader(data, size);
        const uint8_t *ident;
        uint16_t type, machine, entry_size;

        if (size > BZIMAGE_MAGIC_AT + 4 && memcmp(data + BZIMAGE_MAGIC_AT, "HdrS", 4) == 0)
                return ELF_E_BZIMAGE;
        ident = wire_get_bytes(&reader, EI_NIDENT);
        if (!ident || memcmp(ident, ELFMAG, SELFMAG) != 0)
                return ELF_E_MAGIC;
        type = wire_get_u16(&reader);
        machine = wire_get_u16(&reader);
        wire_get_u32(&reader); /* version */
        ret->entry = wire_get_u64(&reader);
        ret->offset = wire_get_u64(&reader);
        wire_get_u64(&reader); /* section headers */
        wire_get_u32(&reader); /* flags */
        wire_get_u16(&reader); /* header size */
        entry_size = wire_get_u16(&reader);
        ret->n = wire_get_u16(&reader);
        if (wire_reader_end(&reader) != 0 && reader.bad)
                return ELF_E_HEADERS;
        if (ident[EI_CLASS] != ELFCLASS64 || ident[EI_DATA] != ELFDATA2LSB || type != ET_EXEC ||
            machine != EM_X86_64)
                return ELF_E_KIND;
        if (entry_size != sizeof(Elf64_Phdr) || ret->offset > size ||
            ret->n > (size - ret->offset) / sizeof(Elf64_Phdr))
                return ELF_E_HEADERS;
        return 0;
}

/* Adds the part that one program header describes, and translates the entry if it is in it. */
static int load_decode(const uint8_t *header, size_t size, uint64_t *entry, ElfKernel *kernel)
{
        WireReader reader = wire_reader(header, sizeof(Elf64_Phdr));
        ElfLoad load;
        uint64_t virtual;

        if (wire_get_u32(&reader) != PT_LOAD)
                return 0;
        wire_get_u32(&reader); /* flags */
        load.offset = wire_get_u64(&reader);
        virtual = wire_get_u64(&reader);
        load.gpa = wire_get_u64(&reader);
        load.file_size = wire_get_u64(&reader);
        load.memory_size = wire_get_u64(&reader);
        if (load.memory_size == 0)
                return 0;
        if (load.offset > size || load.file_size > size - load.offset ||
            load.file_size > load.memory_size)
                return ELF_E_SEGMENT;
        if (load.gpa % PAGE_SIZE != 0)
                return ELF_E_ALIGNMENT;
        if (kernel->n_loads == ELF_LOADS_MAX)
                return ELF_E_LOADS;
        if (*entry - load.gpa < load.memory_size)
                kernel->entry = *entry;
        else if (*entry - virtual < load.memory_size && kernel->entry == 0)
                kernel->entry = *entry - virtual + load.gpa;
        kernel->loads[kernel->n_loads++] = load;
        return 0;
}

int elf_decode(const void *data, size_t size, ElfKernel *ret)
{
        const uint8_t *bytes = data;
        ElfKernel kernel = {};
        ProgramHeaders headers;
        int r;

        r = header_decode(bytes, size, &headers);
        if (r != 0)
                return r;
        for (unsigned i = 0; i < headers.n; i++) {
                r = load_decode(bytes + headers.offset + i * sizeof(Elf64_Phdr), size,
                                &headers.entry, &kernel);
                if (r != 0)
                        return r;
        }
        if (kernel.n_loads == 0)
                return ELF_E_LOADS;
        if (kernel.entry == 0)
                return ELF_E_ENTRY;
        *ret = kernel;
        return 0;
}

const char *elf_strerror(int error)
{
        static const char *const texts[ELF_E_MAX_] = {
                [ELF_E_BZIMAGE] = "this is a compressed kernel; give the vmlinux it was made from",
                [ELF_E_MAGIC] = "not an ELF file",
                [ELF_E_KIND] = "not an executable for 64-bit x86",
                [ELF_E_HEADERS] = "its program headers are malformed or cut short",
                [ELF_E_LOADS] = "it has nothing to load, or too many parts",
                [ELF_E_SEGMENT] = "cut short, or a part of it is longer in the file than in memory",
                [ELF_E_ALIGNMENT] = "one of its parts is not page aligned",
                [ELF_E_ENTRY] = "its entry lies in none of its parts",
        };

        if (error <= 0 || error >= ELF_E_MAX_)
                return "unknown error";
        return texts[error];
}
