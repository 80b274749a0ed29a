/* json-c objects as locals with an owner. */
#pragma once

#include <json-c/json.h>

#include "base/cleanup.h"

static inline void json_putp(json_object **json)
{
        json_object_put(*json);
}
