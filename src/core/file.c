// SPDX-License-Identifier: MIT
// Files and folders on POSIX systems.
#define _POSIX_C_SOURCE 200809L
#include "core/file.h"
#include "core/memory.h"
#include "core/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

igvk_status fail_file(const char *doing, const char *path, int error) {
    char reason[128];
    if (strerror_r(error, reason, sizeof reason) != 0)
        snprintf(reason, sizeof reason, "error %d", error);
    const char *way_out = "";
    if (error == ENOSPC || error == EDQUOT)
        way_out = "; free some space or choose another folder";
    else if (error == EFBIG)
        way_out = "; raise the limit (ulimit -f) or choose another file system";
    else if (error == EACCES || error == EPERM || error == EROFS)
        way_out = "; choose another path or change its permissions";
    return fail(IGVK_ERROR_IO, "cannot %s %s: %s%s", doing, path, reason, way_out);
}

// ---- reading ----------------------------------------------------------------------------------------------

static igvk_status fail_too_large(const char *path, uint64_t limit) {
    char size[32];
    return fail(IGVK_ERROR_INVALID, "%s: larger than %s, which is more than such a file may have", path,
                format_bytes(size, limit));
}

// Reads to the end, not to the size that stat tells: that is zero for files of /proc and old for growing ones.
static igvk_status read_to_end(int fd, const char *path, uint64_t limit, text_buffer *out) {
    char piece[16 * 1024];
    for (;;) {
        ssize_t count = read(fd, piece, sizeof piece);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return fail_file("read", path, errno);
        if (count == 0 && out->text)
            return IGVK_OK;
        if ((uint64_t)count > limit - out->length)
            return fail_too_large(path, limit);
        text_append_bytes(out, piece, (size_t)count);
        if (out->failed)
            return fail_memory(path, limit);
    }
}

igvk_status file_read(const char *path, uint64_t limit, char **data, size_t *size) {
    igvk_status status = IGVK_OK;
    text_buffer content = {0};
    struct stat info;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); // not to wait for the writer of a pipe
    if (fd < 0 || fstat(fd, &info) != 0) {
        status = fail_file("open", path, errno);
        goto done;
    }
    if (!S_ISREG(info.st_mode))
        THROW(IGVK_ERROR_INVALID, "%s: is no regular file", path);
    if ((uint64_t)info.st_size > limit) {
        status = fail_too_large(path, limit);
        goto done;
    }
    TRY(read_to_end(fd, path, limit, &content));
    *data = content.text;
    *size = content.length;
    content.text = NULL;
done:
    text_free(&content);
    if (fd >= 0)
        close(fd);
    return status;
}

// ---- atomic writing ---------------------------------------------------------------------------------------

struct atomic_file {
    char *path, *temporary;
    FILE *stream; // null once closed
    uint64_t position;
    bool created; // the temporary exists
};

static igvk_status refuse_special_target(const char *path) {
    struct stat info;
    if (*path == 0)
        return fail(IGVK_ERROR_INVALID, "cannot write to an empty file name");
    if (stat(path, &info) == 0 && !S_ISREG(info.st_mode))
        return fail(IGVK_ERROR_INVALID, "%s: is %s, cannot be replaced by a file; choose another name", path,
                    S_ISDIR(info.st_mode) ? "a folder" : "no regular file");
    return IGVK_OK;
}

// The counter keeps writers of one process apart; O_EXCL keeps clear of what another left behind.
static int open_temporary(const char *path, char **temporary) {
    static atomic_uint counter;
    size_t size = strlen(path) + 40;
    *temporary = malloc(size);
    int fd = -1;
    for (int attempt = 0; *temporary && attempt < 100; attempt++) {
        snprintf(*temporary, size, "%s.tmp-%ld-%u", path, (long)getpid(), atomic_fetch_add(&counter, 1));
        fd = open(*temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd >= 0 || errno != EEXIST)
            break;
    }
    return fd;
}

igvk_status atomic_file_create(const char *path, atomic_file **out) {
    igvk_status status = IGVK_OK;
    int fd = -1;
    atomic_file *f = NULL;
    TRY(refuse_special_target(path));
    f = calloc(1, sizeof *f);
    if (!f || !(f->path = strdup(path))) {
        status = fail_memory(path, sizeof *f);
        goto done;
    }
    fd = open_temporary(path, &f->temporary);
    f->created = fd >= 0;
    f->stream = fd >= 0 ? fdopen(fd, "wb") : NULL;
    if (!f->stream) {
        status = fail_file("write", path, errno);
        goto done;
    }
    fd = -1; // the stream's
    *out = f;
    f = NULL;
done:
    if (fd >= 0)
        close(fd);
    atomic_file_destroy(&f);
    return status;
}

igvk_status atomic_file_write(atomic_file *f, const void *data, uint64_t size) {
    if (size && fwrite(data, 1, (size_t)size, f->stream) != size)
        return fail_file("write", f->path, errno);
    f->position += size;
    return IGVK_OK;
}

igvk_status atomic_file_patch(atomic_file *f, uint64_t offset, const void *data, uint64_t size) {
    if (fseeko(f->stream, (off_t)offset, SEEK_SET) != 0 || fwrite(data, 1, (size_t)size, f->stream) != size ||
        fseeko(f->stream, 0, SEEK_END) != 0)
        return fail_file("write", f->path, errno);
    return IGVK_OK;
}

uint64_t atomic_file_position(const atomic_file *f) {
    return f->position;
}

// Some file systems cannot flush (EINVAL); that is theirs to answer for, not a failed write.
static bool flush_to_disk(int fd) {
    return fsync(fd) == 0 || errno == EINVAL || errno == ENOSYS;
}

// Makes a rename last: it is the folder that was changed.
static bool flush_folder_of(const char *path) {
    char *folder = strdup(path);
    if (!folder)
        return false;
    char *slash = strrchr(folder, '/');
    if (slash)
        slash[slash == folder] = 0;
    int fd = open(slash ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int error = errno;
    free(folder);
    if (fd < 0)
        return error == EACCES; // a folder may be writable and not readable
    bool flushed = flush_to_disk(fd);
    close(fd);
    return flushed;
}

igvk_status atomic_file_commit(atomic_file *f) {
    if (fflush(f->stream) != 0 || !flush_to_disk(fileno(f->stream)))
        return fail_file("write", f->path, errno);
    FILE *stream = f->stream;
    f->stream = NULL;
    if (fclose(stream) != 0)
        return fail_file("write", f->path, errno);
    if (rename(f->temporary, f->path) != 0)
        return fail_file("put in place", f->path, errno);
    f->created = false;
    if (!flush_folder_of(f->path))
        return fail_file("flush the folder of", f->path, errno);
    return IGVK_OK;
}

void atomic_file_destroy(atomic_file **f) {
    if (!f || !*f)
        return;
    if ((*f)->stream)
        fclose((*f)->stream);
    if ((*f)->created)
        unlink((*f)->temporary);
    free((*f)->temporary);
    free((*f)->path);
    free(*f);
    *f = NULL;
}

igvk_status file_write_atomic(const char *path, const void *data, size_t size) {
    igvk_status status = IGVK_OK;
    atomic_file *f = NULL;
    TRY(atomic_file_create(path, &f));
    TRY(atomic_file_write(f, data, size));
    TRY(atomic_file_commit(f));
done:
    atomic_file_destroy(&f);
    return status;
}

igvk_status file_check_writable(const char *path) {
    atomic_file *f = NULL;
    igvk_status status = atomic_file_create(path, &f);
    atomic_file_destroy(&f);
    return status;
}

// ---- folders ----------------------------------------------------------------------------------------------

bool path_exists(const char *path) {
    struct stat info;
    return stat(path, &info) == 0;
}

bool path_is_folder(const char *path) {
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

static igvk_status create_one_folder(const char *path) {
    if (mkdir(path, 0777) == 0 || path_is_folder(path))
        return IGVK_OK;
    if (errno == EEXIST || errno == ENOTDIR)
        return fail(IGVK_ERROR_INVALID, "cannot create folder %s: a file of that name is in the way", path);
    return fail_file("create folder", path, errno);
}

igvk_status folder_create(const char *path) {
    igvk_status status = IGVK_OK;
    char *part = strdup(path);
    if (!part)
        return fail_memory(path, strlen(path) + 1);
    for (char *slash = strchr(part + (*part == '/'), '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        if (!path_is_folder(part))
            TRY(create_one_folder(part));
        *slash = '/';
    }
    TRY(create_one_folder(part));
done:
    free(part);
    return status;
}

static int compare_names(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

igvk_status folder_list(const char *path, char ***names, size_t *count) {
    igvk_status status = IGVK_OK;
    char **list = NULL;
    size_t length = 0, capacity = 0;
    DIR *folder = opendir(path);
    if (!folder || !ARRAY_RESERVE(list, capacity, 1)) {
        status = fail_file("list folder", path, errno);
        goto done;
    }
    errno = 0;
    for (struct dirent *entry; (entry = readdir(folder)); errno = 0) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (!ARRAY_RESERVE(list, capacity, length + 1) || !(list[length] = strdup(entry->d_name))) {
            status = fail_memory(path, length * sizeof *list);
            goto done;
        }
        length++;
    }
    if (errno) {
        status = fail_file("list folder", path, errno);
        goto done;
    }
    qsort(list, length, sizeof *list, compare_names);
    *names = list;
    *count = length;
    list = NULL;
done:
    folder_list_free(&list, length);
    if (folder)
        closedir(folder);
    return status;
}

void folder_list_free(char ***names, size_t count) {
    if (!names || !*names)
        return;
    for (size_t i = 0; i < count; i++)
        free((*names)[i]);
    free(*names);
    *names = NULL;
}

igvk_status disk_free(const char *path, uint64_t *bytes) {
    struct statvfs info;
    if (statvfs(path, &info) != 0)
        return fail_file("find the free space of", path, errno);
    if (!multiply_u64(info.f_bavail, info.f_frsize, bytes))
        *bytes = UINT64_MAX;
    return IGVK_OK;
}

char *path_join(const char *folder, const char *name) {
    size_t folder_length = strlen(folder), name_length = strlen(name);
    bool separator = folder_length > 0 && folder[folder_length - 1] != '/';
    char *path = malloc(folder_length + separator + name_length + 1);
    if (!path)
        return NULL;
    memcpy(path, folder, folder_length);
    path[folder_length] = '/';
    memcpy(path + folder_length + separator, name, name_length + 1);
    return path;
}
