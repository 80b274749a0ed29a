/* What an export's worker tells: whole and nothing behind it, or it is no answer. */
#include <errno.h>

#include "test/unit.h"
#include "uvmd/export.h"

static void reads_what_was_found(void)
{
        uint8_t payload[4 * 8 + 4 * 4 + 1] = {
                [0] = 5, [8] = 7, [16] = 9, [24] = 11, [32] = 1, [36] = 0, [40] = 1, [44] = 100};
        ExportFound found;

        unit_assert_int(export_read_found(payload, sizeof(payload) - 1, &found), 0);
        unit_assert_int(found.file.device, 5);
        unit_assert_int(found.file.inode, 7);
        unit_assert_int(found.file.born, 9);
        unit_assert_int(found.file.born_nsec, 11);
        unit_assert(found.directory && !found.mappable && found.endless);
        unit_assert_int(found.gid, 100);
        for (size_t size = 0; size < sizeof(payload) - 1; size++)
                unit_assert_int(export_read_found(payload, size, &found), -EBADMSG);
        unit_assert_int(export_read_found(payload, sizeof(payload), &found), -EBADMSG);
}

UNIT_MAIN(UNIT_TEST(reads_what_was_found))
