/*
 * What podman does with a volume that is empty when its first container starts: it gets what the image
 * has at the place where it is mounted, with owners and modes, and the directory's own too.
 */
#pragma once

#include "uvmd/worker.h"

/*
 * Starts a worker that fills the volume's directory @volume from @target in the root file system
 * @image; both fds are borrowed. A volume that isn't empty, or an image without that directory, is
 * left as it is. Its answer means nothing. 0 or -errno.
 */
int volume_fill_start(Worker **ret, sd_event *event, int volume, int image, const char *target,
                      WorkerHandler handler, void *userdata);
