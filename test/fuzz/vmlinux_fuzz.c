/* Kernels given to uvm-mkfw: what decodes lies inside the file. */
#include <assert.h>

#include "mkfw/elf.h"
#include "test/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        ElfKernel kernel;

        if (elf_decode(data, size, &kernel) != 0)
                return 0;
        assert(kernel.n_loads >= 1 && kernel.n_loads <= ELF_LOADS_MAX);
        for (unsigned i = 0; i < kernel.n_loads; i++)
                assert(kernel.loads[i].offset <= size &&
                       kernel.loads[i].file_size <= size - kernel.loads[i].offset);
        return 0;
}
