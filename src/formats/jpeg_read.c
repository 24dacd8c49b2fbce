// SPDX-License-Identifier: MIT
// JPEG by libjpeg-turbo, which reports errors by longjmp. Everything a jump must not lose is in one struct outside
// the function that calls setjmp.
#include "formats/image_codecs.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#include <jpeglib.h>
#include <jerror.h>

// A progressive file of a few KB can ask for thousands of passes over a large picture; encoders use some ten.
#define MAX_SCANS 100
#define MAX_MEMORY (1L << 30)
// The flattest picture takes a bit for each of six 8 x 8 blocks of 16 x 16 pixels: 341 pixels a byte. Beyond three
// times that the file lies about its sides, and a progressive one would cost a GB to find out.
#define MAX_PIXELS_PER_BYTE 1024

typedef struct jpeg_job {
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    jmp_buf failed;
    char message[JMSG_LENGTH_MAX];
    uint8_t *pixels; // owned; 4 channels of ink while CMYK
    uint32_t width, height, channels;
} jpeg_job;

static void on_error(j_common_ptr jpeg) {
    jpeg_job *j = jpeg->client_data;
    jpeg->err->format_message(jpeg, j->message);
    longjmp(j->failed, 1);
}

// Warnings: a file cut short is refused, other damage is passed over, as PIL does.
static void on_message(j_common_ptr jpeg, int level) {
    if (level < 0 && jpeg->err->msg_code == JWRN_JPEG_EOF)
        on_error(jpeg);
}

static void on_progress(j_common_ptr jpeg) {
    jpeg_job *j = jpeg->client_data;
    if (j->jpeg.input_scan_number > MAX_SCANS) {
        snprintf(j->message, sizeof j->message, "it has more than %d scans", MAX_SCANS);
        longjmp(j->failed, 1);
    }
}

static bool read_header(jpeg_job *j, const void *bytes, size_t size) {
    if (setjmp(j->failed))
        return false;
    jpeg_create_decompress(&j->jpeg);
    j->jpeg.client_data = j;
    j->jpeg.progress = &j->progress;
    j->jpeg.mem->max_memory_to_use = MAX_MEMORY;
    jpeg_mem_src(&j->jpeg, bytes, (unsigned long)size);
    jpeg_read_header(&j->jpeg, TRUE);
    j->width = j->jpeg.image_width;
    j->height = j->jpeg.image_height;
    J_COLOR_SPACE stored = j->jpeg.jpeg_color_space;
    bool ink = stored == JCS_CMYK || stored == JCS_YCCK;
    j->jpeg.out_color_space = stored == JCS_GRAYSCALE ? JCS_GRAYSCALE : ink ? JCS_CMYK : JCS_RGB;
    j->channels = stored == JCS_GRAYSCALE ? 1 : ink ? 4 : 3;
    return true;
}

static bool read_pixels(jpeg_job *j) {
    if (setjmp(j->failed))
        return false;
    jpeg_start_decompress(&j->jpeg);
    while (j->jpeg.output_scanline < j->jpeg.output_height) {
        JSAMPROW row = j->pixels + (size_t)j->jpeg.output_scanline * j->width * j->channels;
        jpeg_read_scanlines(&j->jpeg, &row, 1);
    }
    jpeg_finish_decompress(&j->jpeg);
    return true;
}

// Four inks to RGB, in place. Photoshop, and so everyone, stores them inverted: 255 is no ink.
static void convert_inks(jpeg_job *j) {
    size_t pixels = (size_t)j->width * j->height;
    for (size_t i = 0; i < pixels; i++)
        for (size_t c = 0; c < 3; c++)
            j->pixels[3 * i + c] = (uint8_t)((j->pixels[4 * i + c] * j->pixels[4 * i + 3] + 127) / 255);
    j->channels = 3;
}

static igvk_status decode(const char *path, const void *bytes, size_t size, jpeg_job *j) {
    igvk_status status = IGVK_OK;
    if (!read_header(j, bytes, size))
        THROW(IGVK_ERROR_INVALID, "%s: damaged JPEG: %s", path, j->message);
    TRY(image_check_size(path, j->width, j->height));
    if ((uint64_t)j->width * j->height / MAX_PIXELS_PER_BYTE > size)
        THROW(IGVK_ERROR_INVALID, "%s: damaged JPEG: too short for its %u x %u pixels", path, j->width, j->height);
    size_t need = (size_t)j->width * j->height * j->channels;
    j->pixels = calloc(1, need);
    if (!j->pixels)
        TRY(fail_memory(path, need));
    if (!read_pixels(j))
        THROW(IGVK_ERROR_INVALID, "%s: damaged JPEG: %s", path, j->message);
    if (j->channels == 4)
        convert_inks(j);
done:
    return status;
}

igvk_status jpeg_decode(const char *path, const void *bytes, size_t size, image *out) {
    igvk_status status = IGVK_OK;
    jpeg_job *j = calloc(1, sizeof *j);
    if (!j)
        return fail_memory(path, sizeof *j);
    j->jpeg.err = jpeg_std_error(&j->errors);
    j->jpeg.client_data = j;
    j->errors.error_exit = on_error;
    j->errors.emit_message = on_message;
    j->progress.progress_monitor = on_progress;
    TRY(decode(path, bytes, size, j));
    *out = (image){j->width, j->height, j->channels, j->pixels};
    j->pixels = NULL;
done:
    jpeg_destroy_decompress(&j->jpeg); // takes one never created: its memory manager is null
    free(j->pixels);
    free(j);
    return status;
}
