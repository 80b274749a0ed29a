/* A list of CPUs: what is taken, written again, says the same. */
#include <stdlib.h>
#include <string.h>

#include "test/fuzz/fuzz.h"
#include "uvmd/cpulist.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        uint8_t mask[CPULIST_MASK_SIZE], again[CPULIST_MASK_SIZE];
        char *text = malloc(size + 1), written[CPULIST_TEXT_MAX];
        size_t used, used_again;

        if (!text)
                return 0;
        memcpy(text, data, size);
        text[size] = 0;
        if (cpulist_parse(text, mask, &used) == 0) {
                cpulist_format(mask, used, written);
                if (cpulist_parse(written, again, &used_again) != 0 || used != used_again ||
                    memcmp(mask, again, sizeof(mask)) != 0)
                        abort();
        }
        cpulist_format(data, size, written);
        if (strlen(written) >= CPULIST_TEXT_MAX - 1)
                abort();
        free(text);
        return 0;
}
