/* Removal of an image's files: a rename out of the way, then a worker that takes them down. */
#pragma once

#include "uvmd/image/image.h"

/* @name: a directory of the store. Failures are logged; what is left is swept at the next start. */
void image_remove_directory(ImageStore *store, const char *name);
