/* Lines of /proc whose names and arguments a container chooses. */
#include <stdlib.h>
#include <string.h>

#include "agent/procstat.h"
#include "test/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        char *copy = malloc(size + 1), line[64];
        Text text = {.data = copy, .size = size};
        ProcStat stat;

        if (!copy)
                return 0;
        if (size > 0)
                memcpy(copy, data, size);
        copy[size] = '\0';
        procstat_parse(copy, &stat);
        procstat_last_number(&text, "NSpid");
        procstat_command(copy, size, line, sizeof(line));
        free(copy);
        return 0;
}
