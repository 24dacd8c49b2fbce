// SPDX-License-Identifier: MIT
// Tensors of a safetensors file as f32 or i64, whatever type they are stored in. Stored numbers are little-endian
// and so is every host this project knows of.
#include "formats/safetensors.h"

#include <string.h>

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "igvk reads and writes tensors on little-endian machines only"
#endif

#define PIECE_BYTES 16384

// Widens `count` stored elements to 4 or 8 bytes each. False where one does not fit.
typedef bool (*converter)(element_type type, const unsigned char *bytes, size_t count, void *out);

void elements_to_f32(element_type type, const unsigned char *bytes, size_t count, float *values) {
    for (size_t i = 0; i < count; i++) {
        double wide;
        uint16_t half;
        if (type == ELEMENT_F64) {
            memcpy(&wide, bytes + 8 * i, 8);
            values[i] = (float)wide;
        } else {
            memcpy(&half, bytes + 2 * i, 2);
            values[i] = type == ELEMENT_F16 ? f32_from_f16(half) : f32_from_bf16(half);
        }
    }
}

static bool to_f32(element_type type, const unsigned char *bytes, size_t count, void *out) {
    elements_to_f32(type, bytes, count, out);
    return true;
}

static bool is_signed(element_type type) {
    return type >= ELEMENT_I64 && type <= ELEMENT_I8;
}

static bool to_i64(element_type type, const unsigned char *bytes, size_t count, void *out) {
    int64_t *values = out;
    size_t size = element_size(type);
    for (size_t i = 0; i < count; i++, bytes += size) {
        bool negative = is_signed(type) && bytes[size - 1] & 0x80;
        uint64_t value = negative ? UINT64_MAX : 0;
        memcpy(&value, bytes, size);
        if (type == ELEMENT_U64 && value > INT64_MAX)
            return false;
        if (type == ELEMENT_BOOL)
            value = value != 0;
        memcpy(&values[i], &value, sizeof value);
    }
    return true;
}

static igvk_status read_converted(safetensors_file *f, const safetensors_entry *e, uint64_t begin, uint64_t count,
                                  converter convert, size_t out_size, void *out) {
    size_t size = element_size(e->type), per_piece = PIECE_BYTES / size;
    if (begin > e->elements || count > e->elements - begin)
        return fail(IGVK_ERROR_INTERNAL, "%s: tensor \"%.200s\": elements asked for beyond its end",
                    safetensors_path(f), e->name);
    unsigned char piece[PIECE_BYTES], *place = out;
    while (count > 0) {
        size_t now = count < per_piece ? (size_t)count : per_piece;
        igvk_status status = safetensors_read(f, e, begin * size, now * size, piece);
        if (status != IGVK_OK)
            return status;
        if (!convert(e->type, piece, now, place))
            return fail(IGVK_ERROR_INVALID, "%s: tensor \"%.200s\": holds a number too large for 64 signed bits",
                        safetensors_path(f), e->name);
        begin += now;
        count -= now;
        place += now * out_size;
    }
    return IGVK_OK;
}

igvk_status safetensors_read_f32(safetensors_file *f, const safetensors_entry *e, uint64_t begin, uint64_t count,
                                 float *out) {
    if (e->type > ELEMENT_BF16)
        return fail(IGVK_ERROR_INVALID, "%s: tensor \"%.200s\": is of type %s, floating point is needed",
                    safetensors_path(f), e->name, element_name(e->type));
    if (e->type != ELEMENT_F32 || begin > e->elements || count > e->elements - begin)
        return read_converted(f, e, begin, count, to_f32, sizeof *out, out);
    return safetensors_read(f, e, begin * sizeof *out, count * sizeof *out, out);
}

igvk_status safetensors_read_i64(safetensors_file *f, const safetensors_entry *e, uint64_t begin, uint64_t count,
                                 int64_t *out) {
    if (e->type < ELEMENT_I64)
        return fail(IGVK_ERROR_INVALID, "%s: tensor \"%.200s\": is of type %s, whole numbers are needed",
                    safetensors_path(f), e->name, element_name(e->type));
    return read_converted(f, e, begin, count, to_i64, sizeof *out, out);
}
