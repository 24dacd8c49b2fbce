// SPDX-License-Identifier: MIT
// Resizing as PIL does it, to the bit: each output pixel is a weighted sum of input pixels around its centre,
// weights from a continuous filter whose support grows with the factor of reduction, rounded to 22-bit fixed
// point; columns first, then rows, with 8 bits between. The bicubic filter is Keys' with a = -0.5 (Keys, IEEE
// Transactions on Acoustics, Speech and Signal Processing 29, 1981, equation 15).
#include "core/memory.h"
#include "formats/image.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MAX_CROP 16384u
#define WEIGHT_BITS 22 // 32 less the 8 of a pixel and 2 for weights outside [0, 1]

typedef struct filter {
    double support; // half its width, in pixels of the coarser side
    double (*value)(double distance);
} filter;

static double box(double x) {
    return x > -0.5 && x <= 0.5 ? 1 : 0;
}

static double bicubic(double x) {
    const double a = -0.5;
    x = fabs(x);
    if (x < 1)
        return ((a + 2) * x - (a + 3)) * x * x + 1;
    if (x < 2)
        return (((x - 5) * x + 8) * x - 4) * a;
    return 0;
}

static const filter box_filter = {0.5, box}, bicubic_filter = {2, bicubic};

// Along one side: `from` pixels become `to`, of which [first, first + count) are wanted.
typedef struct span {
    uint32_t from, to, first, count;
} span;

// For output pixel i: input pixels begin[i] to begin[i] + taps[i] - 1 with weights[i * stride ...].
typedef struct weight_table {
    uint32_t *begin, *taps;
    int32_t *weights;
    uint32_t stride;
} weight_table;

static void weight_table_free(weight_table *t) {
    free(t->begin);
    free(t->taps);
    free(t->weights);
}

// The weights of output pixel `i` of the whole side, summing to 1, into row `row` of the table.
static void weigh(const filter *f, span s, uint32_t i, uint32_t row, double *exact, weight_table *t) {
    double scale = (double)s.from / s.to, widened = scale > 1 ? scale : 1;
    double centre = (i + 0.5) * scale, support = f->support * widened;
    double low = floor(centre - support + 0.5), high = floor(centre + support + 0.5);
    uint32_t begin = low > 0 ? (uint32_t)low : 0, end = high < s.from ? (uint32_t)high : s.from;
    double sum = 0;
    for (uint32_t x = begin; x < end; x++)
        sum += exact[x - begin] = f->value((x - centre + 0.5) * (1 / widened));
    t->begin[row] = begin;
    t->taps[row] = end - begin;
    for (uint32_t k = 0; k < end - begin; k++)
        t->weights[(size_t)row * t->stride + k] = (int32_t)round(exact[k] / sum * (1 << WEIGHT_BITS));
}

static igvk_status weight_table_make(const filter *f, span s, weight_table *out) {
    igvk_status status = IGVK_OK;
    double scale = (double)s.from / s.to, support = f->support * (scale > 1 ? scale : 1);
    weight_table t = {.stride = (uint32_t)ceil(support) * 2 + 1};
    double *exact = calloc(t.stride, sizeof *exact);
    t.begin = calloc(s.count, sizeof *t.begin);
    t.taps = calloc(s.count, sizeof *t.taps);
    t.weights = calloc((size_t)s.count * t.stride, sizeof *t.weights);
    if (!exact || !t.begin || !t.taps || !t.weights)
        TRY(fail_memory("resizing an image", (uint64_t)s.count * t.stride * sizeof *t.weights));
    for (uint32_t i = 0; i < s.count; i++)
        weigh(f, s, s.first + i, i, exact, &t);
    *out = t;
    t = (weight_table){0};
done:
    weight_table_free(&t);
    free(exact);
    return status;
}

static uint8_t round_to_byte(int32_t sum) {
    if (sum <= 0)
        return 0;
    sum >>= WEIGHT_BITS;
    return sum < 255 ? (uint8_t)sum : 255;
}

// One output pixel's channel: `step` bytes lie between the input pixels of the sum.
static uint8_t weighted_sum(const uint8_t *in, size_t step, const int32_t *weights, uint32_t taps) {
    int32_t sum = 1 << (WEIGHT_BITS - 1);
    for (uint32_t k = 0; k < taps; k++)
        sum += in[k * step] * weights[k];
    return round_to_byte(sum);
}

static igvk_status resample_columns(const image *in, const filter *f, span s, image *out) {
    igvk_status status = IGVK_OK;
    weight_table t = {0};
    const size_t n = in->channels;
    TRY(image_create(s.count, in->height, in->channels, out));
    TRY(weight_table_make(f, s, &t));
    uint8_t *to = out->pixels;
    for (uint32_t y = 0; y < in->height; y++) {
        const uint8_t *row = in->pixels + (size_t)y * in->width * n;
        for (uint32_t x = 0; x < s.count; x++)
            for (size_t c = 0; c < n; c++)
                *to++ = weighted_sum(row + t.begin[x] * n + c, n, t.weights + (size_t)x * t.stride, t.taps[x]);
    }
done:
    weight_table_free(&t);
    return status;
}

static igvk_status resample_rows(const image *in, const filter *f, span s, image *out) {
    igvk_status status = IGVK_OK;
    weight_table t = {0};
    const size_t n = (size_t)in->width * in->channels;
    TRY(image_create(in->width, s.count, in->channels, out));
    TRY(weight_table_make(f, s, &t));
    uint8_t *to = out->pixels;
    for (uint32_t y = 0; y < s.count; y++)
        for (size_t x = 0; x < n; x++)
            *to++ = weighted_sum(in->pixels + t.begin[y] * n + x, n, t.weights + (size_t)y * t.stride, t.taps[y]);
done:
    weight_table_free(&t);
    return status;
}

// Only the wanted part is computed, so a 1 x 16384 picture scaled to 256 x 4194304 takes no such memory.
static igvk_status resample(const image *in, const filter *f, span across, span down, image *out) {
    image narrow = {0};
    igvk_status status = IGVK_OK;
    image result = {0};
    TRY(resample_columns(in, f, across, &narrow));
    TRY(resample_rows(&narrow, f, down, &result));
    *out = result;
    result = (image){0};
done:
    image_free(&narrow);
    image_free(&result);
    return status;
}

static uint32_t short_side(const image *im) {
    return im->width < im->height ? im->width : im->height;
}

// A side of the picture scaled so that the short one becomes `size`, and the middle `size` of it. Python's
// round: halves to even.
static span middle(uint32_t side, uint32_t size, double scale) {
    uint32_t to = (uint32_t)nearbyint(side * scale);
    return (span){side, to, (to - size) / 2, size};
}

igvk_status image_centre_crop(const image *in, uint32_t size, image *out) {
    igvk_status status = IGVK_OK;
    image halved = {0}, next = {0};
    if (size == 0 || size > MAX_CROP)
        THROW(IGVK_ERROR_INVALID, "a centre crop of size %u: must be from 1 to %u", size, MAX_CROP);
    const image *from = in;
    while (short_side(from) / 2 >= size) {
        span across = {from->width, from->width / 2, 0, from->width / 2};
        span down = {from->height, from->height / 2, 0, from->height / 2};
        TRY(resample(from, &box_filter, across, down, &next));
        image_free(&halved);
        halved = next;
        next = (image){0};
        from = &halved;
    }
    double scale = (double)size / short_side(from);
    TRY(resample(from, &bicubic_filter, middle(from->width, size, scale), middle(from->height, size, scale), out));
done:
    image_free(&halved);
    return status;
}
