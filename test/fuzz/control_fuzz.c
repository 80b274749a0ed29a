/* The control messages' decoder: what it takes, it gives back byte for byte. */
#include <assert.h>
#include <string.h>

#include "proto/control.h"
#include "test/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        uint8_t buffer[CONTROL_MESSAGE_SIZE_MAX];
        ControlMessage message;
        size_t encoded;

        if (control_decode(data, size, &message) < 0)
                return 0;
        assert(control_fd_count(&message) <= 3);
        assert(control_encode(&message, buffer, sizeof(buffer), &encoded) == 0);
        assert(encoded == size && memcmp(buffer, data, size) == 0);
        return 0;
}
