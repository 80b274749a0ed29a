/* Prints what is in an image, for people or as JSON. */
#pragma once

#include <stdbool.h>

#include "proto/firmware.h"

void show_text(const Firmware *firmware);
void show_json(const Firmware *firmware);
