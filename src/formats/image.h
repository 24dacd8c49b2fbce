// SPDX-License-Identifier: MIT
// Pictures: 8-bit grey or RGB, rows top to bottom, channels interleaved. Read from PNG (libpng) and JPEG
// (libjpeg-turbo), untrusted: at most 16384 x 16384 and 64 MPixel (2^26), errors by value, never a crash.
#ifndef IGVK_FORMATS_IMAGE_H
#define IGVK_FORMATS_IMAGE_H

#include "core/status.h"

typedef struct image {
    uint32_t width, height, channels; // channels 1 or 3
    uint8_t *pixels;                  // owned (malloc)
} image;
igvk_status image_create(uint32_t width, uint32_t height, uint32_t channels, image *out); // zeroed
void image_free(image *im); // takes a zeroed one and leaves one

// By content, not by name. Alpha is laid over white, palettes and 16 bits are widened or cut to 8-bit;
// grey files give 1 channel, CMYK and other colours 3. Colour profiles, gamma and EXIF orientation are not
// applied (as ADM's loader). A JPEG that ends early is refused, as PIL does; lesser damage is not noticed.
igvk_status image_read(const char *path, image *out);
igvk_status image_convert_channels(const image *in, uint32_t channels, image *out);
// As ADM's loader (guided-diffusion, image_datasets.py, center_crop_arr): halve by box filter while the
// short side is at least twice `size`, scale the short side to `size` by bicubic, crop the middle square.
igvk_status image_centre_crop(const image *in, uint32_t size, image *out);

typedef struct image_text {
    const char *key;   // PNG tEXt keyword, Latin-1, 1 to 79 characters
    const char *value; // UTF-8; written as iTXt where not ASCII
} image_text;
// PNG (stb_image_write), whole or not at all, with text chunks before the pixels.
igvk_status image_write_png(const char *path, const image *im, const image_text *texts, size_t text_count);
// The value of a text chunk (tEXt, uncompressed iTXt) of a PNG file, malloc'd; *value null where the file has
// none of that key.
igvk_status png_read_text(const char *path, const char *key, char **value);

#endif
