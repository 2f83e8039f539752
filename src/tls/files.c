/* SPDX-License-Identifier: MIT */
/* See files.h. */
#include "tls/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"

static int refuse(struct cmds_error *error, struct cmdi_file_name name, int code, const char *what)
{
    return cmdi_fail(error, code, "TLS: %s %s: %s", name.option, name.path, what);
}

/* Is it what we read? */
static int check_kind(const struct stat *status, struct cmdi_file_name name, size_t size_max,
        bool is_secret, struct cmds_error *error)
{
    if (!S_ISREG(status->st_mode)) {
        return refuse(error, name, -EINVAL, "not a file");
    }
    if (is_secret && (status->st_mode & (S_IRWXG | S_IRWXO)) != 0) {
        return cmdi_fail(error, -EACCES,
                "TLS: %s %s: others may read it (mode %04o): chmod 600, and make a new key if "
                "somebody could have done so",
                name.option, name.path, (unsigned)status->st_mode & 07777);
    }
    if (status->st_size > (off_t)size_max) {
        return cmdi_fail(error, -EFBIG, "TLS: %s %s: %lld bytes, at most %zu", name.option,
                name.path, (long long)status->st_size, size_max);
    }
    return 0;
}

static bool is_unchanged(const struct stat *before, const struct stat *after)
{
    return before->st_size == after->st_size && before->st_mtim.tv_sec == after->st_mtim.tv_sec &&
           before->st_mtim.tv_nsec == after->st_mtim.tv_nsec;
}

/* Returns: bytes that were read, at most `size`; -errno. */
static ssize_t read_all(int fd, uint8_t *data, size_t size)
{
    size_t done = 0;
    while (done < size) {
        ssize_t part = read(fd, data + done, size - done);
        if (part < 0 && errno != EINTR) {
            return -errno;
        }
        if (part == 0) {
            break;
        }
        done += part > 0 ? (size_t)part : 0;
    }
    return (ssize_t)done;
}

static int read_open(int fd, struct cmdi_file *file, size_t size_max, struct cmds_error *error)
{
    struct stat before, after;
    if (fstat(fd, &before) < 0) {
        int code = -errno;
        return refuse(error, file->name, code, cmds_error_text(code));
    }
    int code = check_kind(&before, file->name, size_max, file->is_secret, error);
    if (code < 0) {
        return code;
    }
    size_t size = (size_t)before.st_size;
    uint8_t *data = malloc(size + 1); // One more: it may have grown.
    if (data == NULL) {
        return refuse(error, file->name, -ENOMEM, "out of memory");
    }
    file->bytes = (struct cmds_bytes){data, size + 1};
    ssize_t done = read_all(fd, data, size + 1);
    if (done < 0) {
        return refuse(error, file->name, (int)done, cmds_error_text((int)done));
    }
    if ((size_t)done != size || fstat(fd, &after) < 0 || !is_unchanged(&before, &after)) {
        return refuse(error, file->name, -EBUSY,
                "it was written to while it was read: write another one, and rename it");
    }
    file->bytes.size = size;
    return 0;
}

int cmdi_file_read(struct cmdi_file *file, struct cmdi_file_name name, size_t size_max,
        bool is_secret, struct cmds_error *error)
{
    *file = (struct cmdi_file){.name = name, .is_secret = is_secret};
    // A pipe that nobody writes to must not hold us up: it is refused.
    int fd = open(name.path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        int code = -errno;
        return refuse(error, name, code, cmds_error_text(code));
    }
    int code = read_open(fd, file, size_max, error);
    (void)close(fd); // Only read from.
    if (code < 0) {
        cmdi_file_free(file);
    }
    return code;
}

void cmdi_file_free(struct cmdi_file *file)
{
    void *data = (void *)(uintptr_t)file->bytes.data;
    if (data != NULL && file->is_secret) {
        explicit_bzero(data, file->bytes.size);
    }
    free(data);
    file->bytes = (struct cmds_bytes){NULL, 0};
}

/* Debian, Alpine; Fedora; its older releases; openSUSE. */
#define PLACE_DEBIAN "/etc/ssl/certs/ca-certificates.crt"
#define PLACE_FEDORA "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem"
#define PLACE_RED    "/etc/pki/tls/certs/ca-bundle.crt"
#define PLACE_SUSE   "/etc/ssl/ca-bundle.pem"
#define PLACE_OTHER  "/etc/ssl/cert.pem"

const char *cmdi_file_system_store(void)
{
    static const char *const places[] = {
            PLACE_DEBIAN, PLACE_FEDORA, PLACE_RED, PLACE_SUSE, PLACE_OTHER};
    const char *path = secure_getenv("SSL_CERT_FILE");
    if (path != NULL && *path != '\0') {
        return path;
    }
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        if (access(places[i], R_OK) == 0) {
            return places[i];
        }
    }
    return NULL;
}

const char *cmdi_file_system_places(void)
{
    return PLACE_DEBIAN ", " PLACE_FEDORA ", " PLACE_SUSE;
}
