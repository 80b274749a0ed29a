/* Unmounting of shares that nobody uses any more; see release.h. */
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"

#include "agent/release.h"
#include "agent/requests.h"
#include "agent/worker.h"

typedef struct Release {
        const char *state;
        const CodecStrings *names;
} Release;

int release_names(const char *state, const CodecStrings *names)
{
        int result = 0;

        for (uint32_t i = 0; i < names->n; i++) {
                int r = shares_unmount(state, names->items[i]);

                result = result < 0 ? result : r;
        }
        return result;
}

static int release_run(void *argument, int output)
{
        const Release *release = argument;

        return release_names(release->state, release->names);
}

static void release_done(void *context, int r, int output)
{
        Guest *guest = context;

        if (r < 0)
                log_warning_errno(r, "cannot unmount a device");
        guest->shares.unmounting--;
        requests_resume(guest);
}

void release_start(Guest *guest, CodecStrings *names)
{
        Release release = {.state = guest->state, .names = names};
        int r;

        if (names->n > 0) {
                guest->shares.unmounting++;
                r = worker_start(guest->loop, release_run, &release, release_done, guest);
                if (r < 0)
                        release_done(guest, r, FD_NONE);
        }
        shares_names_free(names);
}
