// SPDX-License-Identifier: MIT
// Pictures in memory, and which decoder a file gets.
#include "formats/image.h"
#include "core/file.h"
#include "core/memory.h"
#include "formats/image_codecs.h"

#include <stdlib.h>
#include <string.h>

igvk_status image_create(uint32_t width, uint32_t height, uint32_t channels, image *out) {
    if (width == 0 || height == 0 || (channels != 1 && channels != 3))
        return fail(IGVK_ERROR_INVALID,
                    "an image of %u x %u with %u channels: sides must be at least 1, channels 1 or 3", width, height,
                    channels);
    uint64_t size;
    if (!multiply_u64((uint64_t)width * height, channels, &size) || size > SIZE_MAX)
        size = UINT64_MAX;
    uint8_t *pixels = size <= SIZE_MAX / 2 ? calloc(1, (size_t)size) : NULL;
    if (!pixels)
        return fail_memory("an image", size);
    *out = (image){width, height, channels, pixels};
    return IGVK_OK;
}

void image_free(image *im) {
    if (!im)
        return;
    free(im->pixels);
    *im = (image){0};
}

igvk_status image_check_size(const char *path, uint64_t width, uint64_t height) {
    if (width == 0 || height == 0 || width > IMAGE_MAX_SIDE || height > IMAGE_MAX_SIDE ||
        width * height > IMAGE_MAX_PIXELS)
        return fail(IGVK_ERROR_INVALID,
                    "%s: a picture of %llu x %llu; at most 16384 on a side and 64 MPixel are read, make it smaller",
                    path, (unsigned long long)width, (unsigned long long)height);
    return IGVK_OK;
}

igvk_status image_read(const char *path, image *out) {
    igvk_status status = IGVK_OK;
    char *bytes = NULL;
    size_t size = 0;
    TRY(file_read(path, IMAGE_MAX_FILE, &bytes, &size));
    if (png_signature(bytes, size))
        TRY(png_decode(path, bytes, size, out));
    else if (size >= 3 && memcmp(bytes, "\xff\xd8\xff", 3) == 0)
        TRY(jpeg_decode(path, bytes, size, out));
    else
        THROW(IGVK_ERROR_INVALID, "%s: is neither PNG nor JPEG by its content; convert it to one of them", path);
done:
    free(bytes);
    return status;
}

// ITU-R 601-2 luma in 16-bit fixed point, as PIL's conversion to "L".
static uint8_t luma(const uint8_t rgb[3]) {
    return (uint8_t)((rgb[0] * 19595 + rgb[1] * 38470 + rgb[2] * 7471 + 0x8000) >> 16);
}

igvk_status image_convert_channels(const image *in, uint32_t channels, image *out) {
    image result = {0};
    igvk_status status = image_create(in->width, in->height, channels, &result);
    if (status != IGVK_OK)
        return status;
    size_t pixels = (size_t)in->width * in->height;
    if (in->channels == channels)
        memcpy(result.pixels, in->pixels, pixels * channels);
    else if (channels == 1)
        for (size_t i = 0; i < pixels; i++)
            result.pixels[i] = luma(in->pixels + 3 * i);
    else
        for (size_t i = 0; i < pixels; i++)
            memset(result.pixels + 3 * i, in->pixels[i], 3);
    *out = result;
    return IGVK_OK;
}
