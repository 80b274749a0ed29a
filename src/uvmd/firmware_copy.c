/* Copies of custom firmware images; see firmware_copy.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/io.h"
#include "proto/firmware.h"
#include "uvmd/errors.h"
#include "uvmd/firmware_copy.h"
#include "uvmd/record.h"

#define FIRMWARE_COPY_USEC (60 * USEC_PER_SEC)

typedef struct FirmwareCopy {
        int source;
        const char *path;
} FirmwareCopy;

typedef struct FirmwareCall {
        Manager *manager;
        char id[ID_SIZE + 1];
        sd_bus_message *message;
} FirmwareCall;

/* ------------------------------------------------------------------ in the worker */

static int copy_check_header(const uint8_t *page, size_t size, uint64_t image_size,
                             sd_bus_error *error)
{
        _cleanup_(freep) Firmware *firmware = malloc(sizeof(*firmware));
        int r;

        if (!firmware)
                return -ENOMEM;
        r = firmware_decode(page, size, image_size, firmware);
        if (r != 0)
                return error_set(error, -EBADMSG, ERROR_BAD_FIRMWARE,
                                 "The firmware image can't be used: %s. Make one with uvm-mkfw.",
                                 firmware_strerror(r));
        return 0;
}

static int copy_bytes(const FirmwareCopy *task, int to, uint64_t image_size, sd_bus_error *error)
{
        static uint8_t buffer[1 << 20];
        uint64_t at = 0;

        while (at < image_size) {
                ssize_t n = pread(task->source, buffer, sizeof(buffer), (off_t)at);
                int r;

                if (n <= 0)
                        return n < 0 ? errno_neg() : -ENODATA;
                r = at == 0 ? copy_check_header(buffer, MIN((size_t)n, FIRMWARE_HEADER_SIZE),
                                                image_size, error)
                            : 0;
                if (r >= 0)
                        r = io_write_full(to, buffer, (size_t)n);
                if (r < 0)
                        return r;
                at += (uint64_t)n;
        }
        return at == image_size ? 0 : -EBADMSG;
}

static int copy_main(int socket, void *userdata, sd_bus_error *error)
{
        const FirmwareCopy *task = userdata;
        _cleanup_(fd_closep) int to = FD_NONE;
        struct stat st;
        int r;

        if (fstat(task->source, &st) < 0)
                return errno_neg();
        if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size > FIRMWARE_COPY_MAX || st.st_size == 0)
                return error_set(error, -EBADMSG, ERROR_BAD_FIRMWARE,
                                 "The firmware image must be a file of at most %llu MiB.",
                                 (unsigned long long)(FIRMWARE_COPY_MAX >> 20));
        to = open(task->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (to < 0)
                return errno_neg();
        r = copy_bytes(task, to, (uint64_t)st.st_size, error);
        if (r >= 0 && fsync(to) < 0)
                r = errno_neg();
        return r < 0 ? r : worker_answer(socket, NULL, 0, NULL, 0);
}

/* ------------------------------------------------------------------ in the service */

static void copy_on_done(void *userdata, int r, const sd_bus_error *error, const uint8_t *payload,
                         size_t size, IoMessage *message)
{
        FirmwareCall *call = userdata;
        /* It may have been deleted meanwhile. */
        Sandbox *sandbox = manager_find_sandbox(call->manager, call->id);
        _cleanup_(freep) char *path = sandbox ? sandbox_path(sandbox) : NULL;

        if (r >= 0 && !path)
                r = -ECANCELED;
        if (r >= 0) {
                sandbox->config.firmware = fd_close(sandbox->config.firmware);
                sandbox->config.custom_firmware = true;
                sandbox_save(sandbox);
                sd_bus_reply_method_return(call->message, "o", path);
        } else {
                if (sandbox)
                        sandbox_forget(sandbox);
                error_reply(call->message, r, error);
        }
        sd_bus_message_unref(call->message);
        free(call);
}

int firmware_copy(Sandbox *sandbox, sd_bus_message *message)
{
        _cleanup_(freep) char *path = record_firmware_path(sandbox);
        FirmwareCopy task = {.source = sandbox->config.firmware, .path = path};
        FirmwareCall *call = calloc(1, sizeof(*call));
        Worker *worker;
        int r = call && path ? 0 : -ENOMEM;

        if (r >= 0) {
                call->manager = sandbox->manager;
                strcpy(call->id, sandbox->id);
                /* It ends by itself, at the latest by its time limit: nobody has to hold it. */
                r = worker_start(&worker, sandbox->manager->event, "uvmd-firmware", copy_main,
                                 &task, clock_limit_usec(FIRMWARE_COPY_USEC), copy_on_done, call);
        }
        if (r < 0) {
                free(call);
                sandbox_forget(sandbox);
                return r;
        }
        call->message = sd_bus_message_ref(message);
        return 0;
}
