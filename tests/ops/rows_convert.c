// SPDX-License-Identifier: MIT
// Rows of convert.c: f32 -> n[0] -> n[1] -> f32, each step to the bit as formats/half.c has it.
#include "ops/op_test.h"

#include "formats/safetensors.h"

#include <string.h>

static void build_convert(graph *g, const op_row *row, const tensor_id *in, tensor_id *out) {
    const tensor_id first = op_convert(g, in[0], (storage_type)row->n[0]);
    out[0] = op_convert(g, op_convert(g, first, (storage_type)row->n[1]), STORAGE_F32);
}

static float rounded_to(uint32_t type, float value) {
    return type == STORAGE_F16 ? f32_from_f16(f16_from_f32(value)) : f32_from_bf16(bf16_from_f32(value));
}

static void refer_convert(const op_row *row, const op_value *in, op_value *out) {
    for (uint64_t i = 0; i < in[0].count; i++)
        out[0].v[i] = (double)rounded_to(row->n[1], rounded_to(row->n[0], (float)in[0].v[i]));
}

// Numbers of any sign and of exponents from n[2] to n[3], biased, every other one halfway between two f16 or bf16.
static void fill_convert(const op_row *row, uint64_t count, float *f32, uint32_t *u32) {
    (void)u32;
    for (uint64_t i = 0; i < count; i++) {
        const uint32_t mixed = (uint32_t)i * 2654435761u, exponent = row->n[2] + mixed % (row->n[3] - row->n[2] + 1);
        const uint32_t halfway = i % 4 == 0 ? 0x7fu << 16 | 0x8000 : i % 4 == 2 ? 0x3ffu << 13 | 0x1000 : 0x7fffff;
        const uint32_t bits = (mixed >> 1 & 0x80000000) | exponent << 23 | ((mixed >> 5 ^ mixed << 7) & halfway);
        const uint32_t odd = i % 4 == 0 ? 0x8000 : i % 4 == 2 ? 0x1000 : 0;
        memcpy(&f32[i], &(uint32_t){bits | odd}, sizeof bits);
    }
}

#define CONVERT(text, first, second, low, high, ...)                                                                   \
    {                                                                                                                  \
        .op = "convert", .label = text, .inputs = {OP_FILLED("x", fill_convert, __VA_ARGS__)}, .outputs = 1,           \
        .build = build_convert, .reference = refer_convert, .in_16_bits = true, .n = {                                 \
            first,                                                                                                     \
            second,                                                                                                    \
            low,                                                                                                       \
            high                                                                                                       \
        }                                                                                                              \
    }

static const op_row convert_rows[] = {
    CONVERT("f16, one", STORAGE_F16, STORAGE_F16, 120, 130, 1),
    CONVERT("f16, 13x127", STORAGE_F16, STORAGE_F16, 113, 141, 13, 127),
    CONVERT("f16, subnormal and zero", STORAGE_F16, STORAGE_F16, 95, 114, 1001),
    CONVERT("f16, too large", STORAGE_F16, STORAGE_F16, 143, 255, 129),
    CONVERT("bf16, 13x127", STORAGE_BF16, STORAGE_BF16, 1, 253, 13, 127),
    CONVERT("bf16, infinite and not a number", STORAGE_BF16, STORAGE_BF16, 255, 255, 129),
    CONVERT("f16 to bf16", STORAGE_F16, STORAGE_BF16, 113, 141, 1001),
    CONVERT("bf16 to f16", STORAGE_BF16, STORAGE_F16, 113, 141, 1001),
};
