/* What uvmd decodes of a worker that looked at a network namespace. What decodes must encode to the
 * same bytes again. */
#include <assert.h>
#include <string.h>

#include "test/fuzz/fuzz.h"
#include "uvmd/net/report.h"

static uint8_t again[64 * 1024];

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        NetReport report;
        size_t encoded;

        if (size > sizeof(again) || net_report_decode(data, size, &report) < 0)
                return 0;
        assert(net_report_encode(&report, again, sizeof(again), &encoded) == 0);
        assert(encoded == size && memcmp(again, data, size) == 0);
        net_report_done(&report);
        return 0;
}
