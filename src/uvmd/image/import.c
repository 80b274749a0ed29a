/* Makes a root file system from what a caller handed in; see import.h. */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "uvmd/errors.h"
#include "uvmd/image/bundle.h"
#include "uvmd/image/import.h"
#include "uvmd/image/layer.h"
#include "uvmd/image/lockup.h"
#include "uvmd/image/oci_config.h"
#include "uvmd/worker.h"

#if defined(__x86_64__)
#define IMPORT_ARCHITECTURE "amd64"
#elif defined(__aarch64__)
#define IMPORT_ARCHITECTURE "arm64"
#endif

/* An index may point to another one (a tag, then the architectures of it), not further. */
#define IMPORT_INDEX_DEPTH 3

ENUM_TABLE(import_format, ImportFormat, IMPORT_FORMAT_MAX_)
= {
        [IMPORT_AUTO] = "auto",
        [IMPORT_DIRECTORY] = "directory",
        [IMPORT_TAR] = "tar",
        [IMPORT_OCI_LAYOUT] = "oci-layout",
        [IMPORT_DOCKER_ARCHIVE] = "docker-archive",
};

typedef struct Import {
        const ImportTask *task;
        bool is_directory;
        LayerTotals totals;
        json_object *config; /* with the keys of import.h */
        sd_bus_error *error;
} Import;

static inline void archive_freep(struct archive **archive)
{
        archive_read_free(*archive);
}

static inline void json_object_putp(json_object **object)
{
        json_object_put(*object);
}

/* ------------------------------------------------------------------ plain root file systems */

static int import_tar(Import *import)
{
        _cleanup_(archive_freep) struct archive *archive = bundle_reader_new();

        if (!archive)
                return -ENOMEM;
        if (lseek(import->task->source, 0, SEEK_SET) < 0)
                return errno_neg();
        if (archive_read_open_fd(archive, import->task->source, 65536) != ARCHIVE_OK)
                return error_set(import->error, -EBADMSG, ERROR_BAD_ARCHIVE,
                                 "this is no tar archive: %s", archive_error_string(archive));
        return layer_apply(archive, import->task->destination, false, &import->totals,
                           import->error);
}

/* Every file system object below the current directory as an archive's entry. */
static struct archive *import_disk_reader(void)
{
        struct archive *archive = archive_read_disk_new();

        if (!archive)
                return NULL;
        archive_read_disk_set_symlink_physical(archive);
        archive_read_disk_set_behavior(archive, ARCHIVE_READDISK_NO_TRAVERSE_MOUNTS |
                                                        ARCHIVE_READDISK_NO_FFLAGS);
        return archive;
}

static int import_directory(Import *import)
{
        _cleanup_(archive_freep) struct archive *archive = import_disk_reader();
        _cleanup_(fd_closep) int source = FD_NONE;

        if (!archive)
                return -ENOMEM;
        /* The caller may have handed in an O_PATH fd. */
        source = openat(import->task->source, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (source < 0 || fchdir(source) < 0)
                return errno_neg();
        if (archive_read_disk_open(archive, ".") != ARCHIVE_OK)
                return error_set(import->error, -EIO, ERROR_FAILED,
                                 "the directory can't be read: %s", archive_error_string(archive));
        return layer_apply_disk(archive, import->task->destination, &import->totals, import->error);
}

/* ------------------------------------------------------------------ images of layers */

static int import_json(Import *import, Bundle *bundle, const char *name, json_object **ret)
{
        _cleanup_(freep) char *text = NULL;
        size_t size;
        int r = bundle_read(bundle, name, OCI_JSON_MAX, &text, &size, import->error);

        if (r < 0)
                return r;
        *ret = oci_json_parse(text, size);
        return *ret ? 0
                    : error_set(import->error, -EBADMSG, ERROR_BAD_ARCHIVE,
                                "the file \"%s\" is not JSON", name);
}

static int import_layers(Import *import, Bundle *bundle, const OciImage *image)
{
        _cleanup_(json_object_putp) json_object *config = NULL;
        int r = import_json(import, bundle, image->config, &config);

        for (size_t i = 0; r == 0 && image->layers[i]; i++) {
                struct archive *archive;

                r = bundle_open_archive(bundle, image->layers[i], &archive, import->error);
                if (r == 0)
                        r = layer_apply(archive, import->task->destination, true, &import->totals,
                                        import->error);
        }
        if (r < 0)
                return r;
        import->config = oci_config_translate(config);
        return import->config ? 0 : -ENOMEM;
}

static int import_docker_archive(Import *import, Bundle *bundle)
{
        _cleanup_(json_object_putp) json_object *manifests = NULL;
        _cleanup_(oci_image_done) OciImage image = {0};
        int r = import_json(import, bundle, "manifest.json", &manifests);

        if (r == 0)
                r = oci_image_from_docker(manifests, import->task->tag, &image, import->error);
        return r < 0 ? r : import_layers(import, bundle, &image);
}

static int import_oci_layout(Import *import, Bundle *bundle)
{
        _cleanup_(json_object_putp) json_object *manifest = NULL;
        _cleanup_(oci_image_done) OciImage image = {0};
        _cleanup_(freep) char *name = strdup("index.json");
        const char *tag = import->task->tag;
        bool is_index = true;
        int r = name ? 0 : -ENOMEM;

        for (int depth = 0; r == 0 && is_index; depth++) {
                _cleanup_(json_object_putp) json_object *index = NULL;

                if (depth == IMPORT_INDEX_DEPTH)
                        return error_set(import->error, -EBADMSG, ERROR_BAD_ARCHIVE,
                                         "the layout's indexes lead to further indexes");
                r = import_json(import, bundle, name, &index);
                if (r < 0)
                        return r;
                free(TAKE_PTR(name));
                r = oci_index_select(index, tag, IMPORT_ARCHITECTURE, &name, &is_index,
                                     import->error);
                tag = NULL; /* names stand in the outermost index only */
        }
        if (r == 0)
                r = import_json(import, bundle, name, &manifest);
        if (r == 0)
                r = oci_image_from_manifest(manifest, &image, import->error);
        return r < 0 ? r : import_layers(import, bundle, &image);
}

/* ------------------------------------------------------------------ which it is */

static int import_detect(Import *import, Bundle *bundle, ImportFormat *ret)
{
        int r = bundle_has(bundle, "manifest.json", import->error);

        if (r > 0 && !import->is_directory) {
                *ret = IMPORT_DOCKER_ARCHIVE;
                return 0;
        }
        if (r >= 0)
                r = bundle_has(bundle, "oci-layout", import->error);
        if (r < 0)
                return r;
        *ret = r > 0 ? IMPORT_OCI_LAYOUT : import->is_directory ? IMPORT_DIRECTORY : IMPORT_TAR;
        return 0;
}

static int import_run(Import *import)
{
        _cleanup_(bundle_closep) Bundle *bundle = NULL;
        ImportFormat format = import->task->format;
        int r = bundle_open(&bundle, import->task->source, import->error);

        if (r == 0 && format == IMPORT_AUTO)
                r = import_detect(import, bundle, &format);
        if (r < 0)
                return r;
        if (import->is_directory ? format == IMPORT_TAR : format == IMPORT_DIRECTORY)
                return error_set(import->error, -EINVAL, ERROR_INVALID_ARGUMENT,
                                 "the source is %s: it can't be imported as %s",
                                 import->is_directory ? "a directory" : "a file",
                                 import_format_to_string(format));
        switch (format) {
        case IMPORT_DIRECTORY:
                return import_directory(import);
        case IMPORT_TAR:
                return import_tar(import);
        case IMPORT_OCI_LAYOUT:
                return import_oci_layout(import, bundle);
        case IMPORT_DOCKER_ARCHIVE:
                return import_docker_archive(import, bundle);
        case IMPORT_AUTO:
        case IMPORT_FORMAT_MAX_:
                break;
        }
        return -EINVAL;
}

static int import_answer(Import *import, int socket)
{
        _cleanup_(json_object_putp) json_object *answer = json_object_new_object();
        const char *text;

        if (!answer)
                return -ENOMEM;
        json_object_object_add(answer, "Size", json_object_new_uint64(import->totals.bytes));
        json_object_object_add(answer, "Entries", json_object_new_uint64(import->totals.entries));
        json_object_object_add(answer, "Config",
                               import->config ? import->config : json_object_new_object());
        text = json_object_to_json_string_ext(answer, JSON_C_TO_STRING_PLAIN);
        if (strlen(text) > WORKER_PAYLOAD_MAX)
                return error_set(import->error, -E2BIG, ERROR_LIMIT_EXCEEDED,
                                 "the image's configuration is larger than 64 KiB");
        return worker_answer(socket, text, strlen(text), NULL, 0);
}

int import_main(int socket, void *task, sd_bus_error *error)
{
        Import import = {.task = task, .error = error};
        struct stat status;
        int r;

        /* Names in archives are UTF-8; glibc has this locale built in. */
        setlocale(LC_CTYPE, "C.UTF-8");
        if (fstat(import.task->source, &status) < 0)
                return errno_neg();
        import.is_directory = S_ISDIR(status.st_mode);
        /* It takes its time: the locks of disks and layers that are just being given away must not
         * last as long. */
        r = fd_close_others((int[]){socket, import.task->source, import.task->destination}, 3);
        if (r < 0)
                return r;
        r = lockup_enter(import.task->destination);
        if (r < 0)
                return r;
        r = import_run(&import);
        if (r == 0 && import.totals.entries == 0)
                r = error_set(error, -EBADMSG, ERROR_BAD_ARCHIVE, "there is nothing in it");
        return r < 0 ? r : import_answer(&import, socket);
}
