// SPDX-License-Identifier: MIT
// PNG by libpng, which reports errors by longjmp. Everything a jump must not lose is in one struct outside the
// function that calls setjmp.
#include "formats/image_codecs.h"

#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFLATE_MAX_RATIO 1032 // zlib's technical details: no file unpacks to more than that times its size

typedef struct png_job {
    png_structp png;
    png_infop info;
    const unsigned char *bytes;
    size_t left;                      // of bytes
    uint32_t width, height, channels; // of what libpng gives: 1 to 4, alpha last
    int passes;                       // 7 where interlaced
    uint64_t unpacked;                // bytes of the pixels as the file has them, before compression
    uint8_t *pixels;                  // owned
    char message[128];                // libpng's, where it failed
} png_job;

bool png_signature(const void *bytes, size_t size) {
    return size >= 8 && png_sig_cmp(bytes, 0, 8) == 0;
}

static void on_error(png_structp png, png_const_charp message) {
    png_job *j = png_get_error_ptr(png);
    snprintf(j->message, sizeof j->message, "%s", message);
    png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp message) {
    (void)png;
    (void)message;
}

static void on_read(png_structp png, png_bytep out, size_t size) {
    png_job *j = png_get_io_ptr(png);
    if (size > j->left)
        png_error(png, "it ends early");
    memcpy(out, j->bytes, size);
    j->bytes += size;
    j->left -= size;
}

static bool read_header(png_job *j) {
    if (setjmp(png_jmpbuf(j->png)))
        return false;
    png_set_read_fn(j->png, j, on_read);
    png_set_user_limits(j->png, IMAGE_MAX_SIDE, IMAGE_MAX_SIDE);
    // Texts and profiles are passed over unread: libpng would allocate whatever length they claim, and takes
    // png_set_chunk_malloc_max as a warning.
    png_set_keep_unknown_chunks(j->png, PNG_HANDLE_CHUNK_NEVER, NULL, -1);
    png_read_info(j->png, j->info);
    j->unpacked = (uint64_t)png_get_rowbytes(j->png, j->info) * png_get_image_height(j->png, j->info);
    png_set_expand(j->png);   // palettes to RGB, 1 to 4 bits to 8, a transparent colour to alpha
    png_set_strip_16(j->png); // the high byte, as PIL
    j->passes = png_set_interlace_handling(j->png);
    png_read_update_info(j->png, j->info);
    j->width = png_get_image_width(j->png, j->info);
    j->height = png_get_image_height(j->png, j->info);
    j->channels = png_get_channels(j->png, j->info);
    return true;
}

static bool read_pixels(png_job *j) {
    if (setjmp(png_jmpbuf(j->png)))
        return false;
    for (int pass = 0; pass < j->passes; pass++)
        for (uint32_t y = 0; y < j->height; y++)
            png_read_row(j->png, j->pixels + (size_t)y * j->width * j->channels, NULL);
    png_read_end(j->png, NULL); // checks the last checksum
    return true;
}

// Lays pixels with alpha over white, in place.
static void flatten(png_job *j) {
    uint32_t colours = j->channels - 1;
    size_t pixels = (size_t)j->width * j->height;
    const uint8_t *from = j->pixels;
    uint8_t *to = j->pixels;
    for (size_t i = 0; i < pixels; i++, from += j->channels) {
        uint32_t alpha = from[colours];
        for (uint32_t c = 0; c < colours; c++)
            *to++ = (uint8_t)((from[c] * alpha + 255 * (255 - alpha) + 127) / 255);
    }
    j->channels = colours;
}

static igvk_status decode(const char *path, size_t file_size, png_job *j) {
    igvk_status status = IGVK_OK;
    if (!read_header(j))
        THROW(IGVK_ERROR_INVALID, "%s: damaged PNG: %s", path, j->message);
    TRY(image_check_size(path, j->width, j->height));
    if (j->unpacked / DEFLATE_MAX_RATIO > file_size)
        THROW(IGVK_ERROR_INVALID, "%s: damaged PNG: too short for its %u x %u pixels", path, j->width, j->height);
    size_t size = (size_t)j->width * j->height * j->channels;
    j->pixels = calloc(1, size);
    if (!j->pixels)
        TRY(fail_memory(path, size));
    if (!read_pixels(j))
        THROW(IGVK_ERROR_INVALID, "%s: damaged PNG: %s", path, j->message);
    if (j->channels == 2 || j->channels == 4)
        flatten(j);
done:
    return status;
}

igvk_status png_decode(const char *path, const void *bytes, size_t size, image *out) {
    igvk_status status = IGVK_OK;
    png_job j = {.bytes = bytes, .left = size};
    j.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &j, on_error, on_warning);
    j.info = j.png ? png_create_info_struct(j.png) : NULL;
    if (!j.info)
        TRY(fail_memory(path, size));
    TRY(decode(path, size, &j));
    *out = (image){j.width, j.height, j.channels, j.pixels};
    j.pixels = NULL;
done:
    png_destroy_read_struct(&j.png, &j.info, NULL);
    free(j.pixels);
    return status;
}
