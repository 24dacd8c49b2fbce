// SPDX-License-Identifier: MIT
#define _POSIX_C_SOURCE 200809L
#include "core/input_file.h"
#include "core/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct input_file {
    char *path;
    int fd;
    uint64_t size;
};

igvk_status input_file_open(const char *path, input_file **out) {
    igvk_status status = IGVK_OK;
    struct stat info;
    input_file *f = calloc(1, sizeof *f);
    if (f)
        f->fd = -1;
    if (!f || !(f->path = strdup(path)))
        TRY(fail_memory(path, sizeof *f));
    f->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (f->fd < 0 || fstat(f->fd, &info) != 0)
        TRY(fail_file("open", path, errno));
    if (!S_ISREG(info.st_mode))
        THROW(IGVK_ERROR_INVALID, "%s: is no regular file", path);
    f->size = (uint64_t)info.st_size;
    *out = f;
    f = NULL;
done:
    input_file_close(&f);
    return status;
}

void input_file_close(input_file **f) {
    if (!f || !*f)
        return;
    if ((*f)->fd >= 0)
        close((*f)->fd);
    free((*f)->path);
    free(*f);
    *f = NULL;
}

const char *input_file_path(const input_file *f) {
    return f->path;
}
uint64_t input_file_size(const input_file *f) {
    return f->size;
}

igvk_status input_file_read(const input_file *f, uint64_t offset, uint64_t size, void *out) {
    unsigned char *place = out;
    while (size > 0) {
        size_t piece = size < 1u << 30 ? (size_t)size : 1u << 30;
        ssize_t count = pread(f->fd, place, piece, (off_t)offset);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return fail_file("read", f->path, errno);
        if (count == 0)
            return fail(IGVK_ERROR_IO, "%s: ends early; was it changed while in use?", f->path);
        place += count;
        offset += (uint64_t)count;
        size -= (uint64_t)count;
    }
    return IGVK_OK;
}
