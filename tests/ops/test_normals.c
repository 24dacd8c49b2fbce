// SPDX-License-Identifier: MIT
// Numbers on the device in volume: their distribution's moments, agreement with the host's f64 on every element, the
// worst radii, and that an image's numbers do not depend on the batch it is in.
#include "core/philox.h"
#include "helpers/run_graph.h"
#include "ops/ops.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define ELEMENTS 200003
#define IMAGES 3

static void make_normals(const uint64_t *seeds, uint64_t images, uint64_t elements, float *out) {
    graph *g = graph_new();
    const tensor_id in = graph_external(g, ROLE_INPUT, "seeds", STORAGE_U32, SHAPE(images, 2));
    const tensor_id y = op_normal(g, NO_TENSOR, in, STREAM_LATENT, SHAPE(images, elements));
    run_graph(g, (run_input[]){{"seeds", seeds, images * sizeof *seeds}}, 1,
              (run_output[]){{y, out, images * elements * sizeof *out}}, 1);
    graph_destroy(&g);
}

static void normals_agree_with_the_host(void **state) {
    (void)state;
    const uint64_t seeds[IMAGES] = {0, 1, 0xFEDCBA9876543210u};
    float *x = malloc(IMAGES * ELEMENTS * sizeof *x), *alone = malloc(ELEMENTS * sizeof *alone);
    assert_non_null(x);
    assert_non_null(alone);
    make_normals(seeds, IMAGES, ELEMENTS, x);
    make_normals(&seeds[1], 1, ELEMENTS, alone);
    double worst = 0, sum = 0, squares = 0;
    for (uint64_t i = 0; i < IMAGES * ELEMENTS; i++) {
        worst = fmax(worst, fabs((double)x[i] - random_normal(seeds[i / ELEMENTS], STREAM_LATENT, 0, 0, i % ELEMENTS)));
        sum += (double)x[i];
        squares += (double)x[i] * (double)x[i];
    }
    const bool same = memcmp(x + ELEMENTS, alone, ELEMENTS * sizeof *alone) == 0;
    uint64_t hash = 14695981039346656037u;
    for (uint64_t i = 0; i < IMAGES * ELEMENTS; i++) {
        uint32_t word;
        memcpy(&word, &x[i], sizeof word);
        hash = (hash ^ word) * 1099511628211u;
    }
    free(x);
    free(alone);
    print_message("largest difference from f64 %.2g, bits %016llx\n", worst, (unsigned long long)hash);
    assert_true(same);
    // Of IMAGES x ELEMENTS normals: the same on every device that rounds correctly and does not contract.
    assert_true(hash == 0xd2e3b74cea6879ebu);
    assert_true(worst < 2e-6); // angles near the axes: an ulp of 2 pi u times the radius
    assert_true(fabs(sum / (IMAGES * ELEMENTS)) < 5 / sqrt(IMAGES * ELEMENTS));
    assert_true(fabs(squares / (IMAGES * ELEMENTS) - 1) < 5 * sqrt(2.0 / (IMAGES * ELEMENTS)));
}

// The largest and the smallest uniforms: radii from 2.4e-4, where ln u is lost in f32 unless 1 - u is used, to 6.
static void radii_at_the_ends(void **state) {
    (void)state;
    const uint32_t words[8][4] = {
        {0xFFFFFFFF, 0, 0xFFFFFF00, 0x40000000}, {0xFFFFFEFF, 0x80000000, 0xFFFFF000, 0x12345678},
        {0x80000000, 0, 0x7FFFFFFF, 0}, {0xB504F300, 5, 0xB504F400, 5}, {0xB5050000, 7, 0xB504FF00, 7},
        {0, 0, 0xFF, 0xFFFFFFFF}, {0x100, 0x20000000, 0x1FF, 0xE0000000}, {0x5A827999, 0, 0x5A827A00, 0},
    };
    graph *g = graph_new();
    const tensor_id in = graph_external(g, ROLE_INPUT, "words", STORAGE_U32, SHAPE(8, 4));
    const tensor_id u = op_random_of_words(g, in), n = graph_output(g, u, 1);
    float got[8][4];
    run_graph(g, (run_input[]){{"words", words, sizeof words}}, 1, (run_output[]){{n, got, sizeof got}}, 1);
    graph_destroy(&g);
    for (int i = 0; i < 8; i++) {
        double wanted[4];
        random_normals_of(words[i], wanted);
        for (int k = 0; k < 4; k++) { // within 4e-7 of the radius
            const double radius = sqrt(-2 * log(random_uniform_of(words[i][k & 2])));
            assert_true(fabs((double)got[i][k] - wanted[k]) <= 4e-7 * radius);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(normals_agree_with_the_host),
        cmocka_unit_test(radii_at_the_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
