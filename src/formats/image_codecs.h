// SPDX-License-Identifier: MIT
// The decoders behind image_read. `path` is for error texts; `bytes` is the whole file, not to be trusted.
#ifndef IGVK_FORMATS_IMAGE_CODECS_H
#define IGVK_FORMATS_IMAGE_CODECS_H

#include "formats/image.h"

#define IMAGE_MAX_SIDE 16384u
#define IMAGE_MAX_PIXELS (1u << 26)
#define IMAGE_MAX_FILE (256u << 20)

bool png_signature(const void *bytes, size_t size);
igvk_status png_decode(const char *path, const void *bytes, size_t size, image *out);
igvk_status jpeg_decode(const char *path, const void *bytes, size_t size, image *out);

// Refuses a picture that is empty or beyond the limits above, before anything is allocated for it.
igvk_status image_check_size(const char *path, uint64_t width, uint64_t height);

#endif
