// SPDX-License-Identifier: MIT
// PNG files with text chunks: pixels by stb_image_write, compressed by zlib; text written and read here.
#define _POSIX_C_SOURCE 200809L
#include "core/file.h"
#include "core/text.h"
#include "formats/image.h"
#include "formats/image_codecs.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define COMPRESSION_LEVEL 6

// stb's own compressor is simple: this one is smaller and faster. Its signature is stb's.
static unsigned char *compress_for_stb(unsigned char *data, int size, int *out_size, int quality) {
    (void)quality;
    uLongf bound = compressBound((uLong)size);
    unsigned char *out = malloc(bound);
    if (out && compress2(out, &bound, data, (uLong)size, COMPRESSION_LEVEL) == Z_OK) {
        *out_size = (int)bound;
        return out;
    }
    free(out);
    return NULL;
}

#define STBIW_ZLIB_COMPRESS compress_for_stb
#define STB_IMAGE_WRITE_STATIC
#define STB_IMAGE_WRITE_IMPLEMENTATION
#include <stb/stb_image_write.h>

#define SIGNATURE_SIZE 8
#define HEADER_END (SIGNATURE_SIZE + 12 + 13) // the signature and the chunk IHDR
#define KEY_MAX 79

static void put_u32(unsigned char out[4], uint32_t value) {
    for (int i = 0; i < 4; i++)
        out[i] = (unsigned char)(value >> (24 - 8 * i));
}

static uint32_t get_u32(const unsigned char in[4]) {
    return (uint32_t)in[0] << 24 | (uint32_t)in[1] << 16 | (uint32_t)in[2] << 8 | in[3];
}

static bool is_ascii(const char *text) {
    for (; *text; text++)
        if ((unsigned char)*text >= 0x80)
            return false;
    return true;
}

// PNG specification 11.3.4: tEXt is key, 0, text; iTXt is key, 0, compressed?, method, language, 0, translated
// key, 0, text in UTF-8.
static igvk_status write_text(atomic_file *f, const image_text *t) {
    size_t key_length = strlen(t->key);
    if (key_length == 0 || key_length > KEY_MAX)
        return fail(IGVK_ERROR_INTERNAL, "PNG text \"%.100s\": the key must have 1 to 79 characters", t->key);
    bool ascii = is_ascii(t->value);
    igvk_status status = IGVK_OK;
    unsigned char number[4];
    text_buffer chunk = {0};
    text_append_bytes(&chunk, ascii ? "tEXt" : "iTXt", 4);
    text_append_bytes(&chunk, t->key, key_length + 1);
    if (!ascii)
        text_append_bytes(&chunk, "\0\0\0\0", 4);
    text_append_bytes(&chunk, t->value, strlen(t->value));
    if (chunk.failed || chunk.length > INT32_MAX)
        TRY(fail_memory("PNG text", strlen(t->value)));
    put_u32(number, (uint32_t)chunk.length - 4);
    TRY(atomic_file_write(f, number, 4));
    TRY(atomic_file_write(f, chunk.text, chunk.length));
    put_u32(number, (uint32_t)crc32_z(0, (const unsigned char *)chunk.text, chunk.length));
    TRY(atomic_file_write(f, number, 4));
done:
    text_free(&chunk);
    return status;
}

igvk_status image_write_png(const char *path, const image *im, const image_text *texts, size_t text_count) {
    igvk_status status = IGVK_OK;
    atomic_file *f = NULL;
    unsigned char *png = NULL;
    int size = 0;
    uint64_t row = (uint64_t)im->width * im->channels;
    if ((row + 1) * im->height > INT32_MAX / 2) // stb counts in int
        THROW(IGVK_ERROR_INVALID, "%s: a picture of %u x %u is too large to write; make it smaller", path, im->width,
              im->height);
    TRY(atomic_file_create(path, &f));
    png = stbi_write_png_to_mem(im->pixels, (int)row, (int)im->width, (int)im->height, (int)im->channels, &size);
    if (!png || size < HEADER_END)
        TRY(fail_memory(path, row * im->height));
    TRY(atomic_file_write(f, png, HEADER_END));
    for (size_t i = 0; i < text_count; i++)
        TRY(write_text(f, &texts[i]));
    TRY(atomic_file_write(f, png + HEADER_END, (uint64_t)size - HEADER_END));
    TRY(atomic_file_commit(f));
done:
    free(png);
    atomic_file_destroy(&f);
    return status;
}

// ---- reading text -----------------------------------------------------------------------------------------

// The text of a tEXt or uncompressed iTXt chunk's `size` bytes where its key is `key`, else null.
static const unsigned char *text_of_chunk(const unsigned char *chunk, size_t size, bool international,
                                          const char *key) {
    size_t key_size = strlen(key) + 1;
    if (size < key_size || memcmp(chunk, key, key_size) != 0)
        return NULL;
    const unsigned char *text = chunk + key_size, *end = chunk + size;
    if (!international)
        return text;
    if (end - text < 2 || text[0] != 0)
        return NULL;
    text += 2;
    for (int skipped = 0; skipped < 2; skipped++) { // language, translated key
        const unsigned char *zero = memchr(text, 0, (size_t)(end - text));
        if (!zero)
            return NULL;
        text = zero + 1;
    }
    return text;
}

static igvk_status find_text(const char *path, const unsigned char *bytes, size_t size, const char *key, char **value) {
    size_t place = SIGNATURE_SIZE;
    while (size - place >= 12) {
        uint32_t length = get_u32(bytes + place);
        const unsigned char *type = bytes + place + 4, *chunk = type + 4;
        if (length > size - place - 12)
            break;
        if (memcmp(type, "IEND", 4) == 0)
            return IGVK_OK;
        bool international = memcmp(type, "iTXt", 4) == 0;
        const unsigned char *text = NULL;
        if (international || memcmp(type, "tEXt", 4) == 0)
            text = text_of_chunk(chunk, length, international, key);
        if (text && crc32_z(0, type, (size_t)length + 4) == get_u32(chunk + length)) {
            size_t text_size = (size_t)(chunk + length - text);
            *value = calloc(1, text_size + 1);
            if (!*value)
                return fail_memory(path, text_size);
            memcpy(*value, text, text_size);
            return IGVK_OK;
        }
        place += (size_t)length + 12;
    }
    return fail(IGVK_ERROR_INVALID, "%s: damaged PNG: it ends early", path);
}

igvk_status png_read_text(const char *path, const char *key, char **value) {
    igvk_status status = IGVK_OK;
    char *bytes = NULL;
    size_t size = 0;
    *value = NULL;
    TRY(file_read(path, IMAGE_MAX_FILE, &bytes, &size));
    if (!png_signature(bytes, size))
        THROW(IGVK_ERROR_INVALID, "%s: is no PNG file", path);
    TRY(find_text(path, (const unsigned char *)bytes, size, key, value));
done:
    free(bytes);
    return status;
}
