// SPDX-License-Identifier: MIT
// The functions of shaders/include/math.glsl on the device against f64: errors in units in the last place (ulp) of
// the result, over a million arguments a range, with and without contraction; and at special values.
#include "helpers/run_graph.h"
#include "ops/common.h"
#include "ops/ops.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define SAMPLES 1000000
#define PI 3.14159265358979323846

// ---- one function over an array --------------------------------------------------------------------------------

typedef struct probe_attributes {
    uint32_t function;
    uint32_t same_bits;
} probe_attributes;

static igvk_status probe_shapes(const graph *g, const node *n, output_shapes *out) {
    add_output(out, STORAGE_F32, input_shape(g, n, 0));
    return IGVK_OK;
}

static igvk_status probe_lower(lowering *l, const node *n) {
    const probe_attributes *a = n->attributes;
    const char *shader = a->same_bits ? "math_probe_same_bits" : "math_probe";
    dispatch d = dispatch_elements(l, shader, shape_elements(input_shape(l->graph, n, 0)));
    dispatch_constant(&d, a->function);
    dispatch_bind(&d, n->inputs[0], ACCESS_READ);
    dispatch_bind(&d, n->outputs[0], ACCESS_WRITE);
    return lowering_emit(l, &d);
}

static const operator probe_operator = {
    .name = "probe",
    .attributes_size = sizeof(probe_attributes),
    .shapes = probe_shapes,
    .lower = probe_lower,
    .cost = copy_cost,
};

static void evaluate(uint32_t function, bool same_bits, const float *x, float *y, uint64_t count) {
    graph *g = graph_new();
    const tensor_id in = graph_external(g, ROLE_INPUT, "x", STORAGE_F32, SHAPE(count));
    const probe_attributes a = {function, same_bits};
    const tensor_id out = graph_node(g, &probe_operator, &a, &in, 1);
    run_graph(g, (run_input[]){{"x", x, count * sizeof *x}}, 1, (run_output[]){{out, y, count * sizeof *y}}, 1);
    graph_destroy(&g);
}

// ---- references ------------------------------------------------------------------------------------------------

// Reduced exactly first, so that zeros are zeros.
static double sin_turns(double x) {
    const double r = x - rint(2 * x) / 2;
    return fmod(fabs(rint(2 * x)), 2) == 1 ? -sin(2 * PI * r) : sin(2 * PI * r);
}
static double cos_turns(double x) { return sin_turns(x + 0.25); }
static double reciprocal(double x) { return 1 / x; }
static double divide(double x) { return (double)3.7f / x; }
static double rsqrt(double x) { return 1 / sqrt(x); }
static double sigmoid(double x) { return 1 / (1 + exp(-x)); }
static double silu(double x) { return x * sigmoid(x); }
static double silu_gradient(double x) { return sigmoid(x) * (1 + x * sigmoid(-x)); }
static double gelu_argument(double x) { return 2 * sqrt(2 / PI) * (x + 0.044715 * x * x * x); }
static double gelu(double x) { return x * sigmoid(gelu_argument(x)); }
static double gelu_gradient(double x) {
    const double z = gelu_argument(x), slope = 2 * sqrt(2 / PI) * (1 + 3 * 0.044715 * x * x);
    return sigmoid(z) + x * sigmoid(z) * sigmoid(-z) * slope;
}

typedef struct range {
    const char *name;
    uint32_t function;
    double (*reference)(double);
    double low, high; // both above zero: spaced evenly in the logarithm
    double budget;    // ulp
    double least;     // errors count in ulp of the result or of this, whichever is larger
} range;

static const range ranges[] = {
    {"exp", 0, exp, -87.3, 88.7, 1.5, 0},
    {"exp2", 1, exp2, -126, 127.9, 1.3, 0},
    {"log", 2, log, 1.2e-38, 3.4e38, 1, 0},
    {"log", 2, log, 0.5, 2, 1, 0},
    {"sin", 3, sin, -1e4, 1e4, 2.5, 0},
    {"sin", 3, sin, -4, 4, 2, 0},
    {"sin", 3, sin, 1e-30, 1e4, 2.5, 0},
    {"cos", 4, cos, -1e4, 1e4, 2.5, 0},
    {"cos", 4, cos, -4, 4, 2, 0},
    {"sin of turns", 5, sin_turns, -2, 2, 2.5, 0},
    {"sin of turns", 5, sin_turns, 1e-30, 1, 2.5, 0},
    {"cos of turns", 6, cos_turns, -2, 2, 2.5, 0},
    {"tanh", 7, tanh, -12, 12, 3.5, 0},
    {"tanh", 7, tanh, 1e-30, 1, 3.5, 0},
    {"atan", 8, atan, 1e-30, 1e30, 4, 0},
    {"atan", 8, atan, 0, 4, 4, 0},
    {"reciprocal", 9, reciprocal, 1.2e-38, 4e30, 1.3, 0},
    {"reciprocal", 9, reciprocal, 1e30, 4.2e37, 2.5, 0}, // the last correction is flushed
    {"reciprocal", 9, reciprocal, -2, -1, 1.3, 0},
    {"divide", 10, divide, 1e-37, 4e30, 1.6, 0},
    {"divide", 10, divide, 1e30, 4.2e37, 3.5, 0}, // quotients whose residual is flushed
    {"sqrt", 11, sqrt, 1.2e-38, 3.4e38, 1.2, 0},
    {"rsqrt", 12, rsqrt, 1.2e-38, 3.4e38, 2, 0},
    {"sigmoid", 13, sigmoid, -80, 90, 3.5, 0},
    {"silu", 14, silu, -70, 90, 4, 0},
    {"silu'", 15, silu_gradient, -40, 90, 4, 0.25},
    {"gelu", 16, gelu, -10, 90, 3.5, 0.25},
    {"gelu'", 17, gelu_gradient, -10, 90, 3.5, 0.25},
};

static double ulp_of(double x) {
    int exponent;
    frexp(x, &exponent);
    return ldexp(1, (exponent < -125 ? -125 : exponent) - 24);
}

static bool range_is_within(const range *r, bool same_bits, float *x, float *y) {
    const bool logarithmic = r->low > 0 && r->high > 0;
    for (uint64_t i = 0; i < SAMPLES; i++) {
        const double u = (double)i / (SAMPLES - 1);
        x[i] = (float)(logarithmic ? r->low * pow(r->high / r->low, u) : r->low + u * (r->high - r->low));
    }
    evaluate(r->function, same_bits, x, y, SAMPLES);
    double worst = 0;
    float at = 0;
    for (uint64_t i = 0; i < SAMPLES; i++) {
        const double wanted = r->reference((double)x[i]);
        const double error = fabs((double)y[i] - wanted) / ulp_of(fmax(fabs(wanted), r->least));
        if (!(error <= worst)) {
            worst = error;
            at = x[i];
        }
    }
    const bool good = worst <= r->budget;
    print_message("%-13s [%8.2g, %8.2g]%s: %.2f ulp at %.9g, budget %.1f%s\n", r->name, r->low, r->high,
                  same_bits ? " same bits" : "", worst, (double)at, r->budget, good ? "" : "  <-- OUT");
    return good;
}

static void errors_are_within_budgets(void **state) {
    (void)state;
    float *x = malloc(SAMPLES * sizeof *x), *y = malloc(SAMPLES * sizeof *y);
    assert_non_null(x);
    assert_non_null(y);
    size_t out = 0;
    for (size_t k = 0; k < sizeof ranges / sizeof *ranges; k++)
        for (int same_bits = 0; same_bits <= 1; same_bits++)
            out += !range_is_within(&ranges[k], same_bits, x, y);
    free(x);
    free(y);
    assert_int_equal(out, 0);
}

// ---- special values -----------------------------------------------------------------------------------------------

typedef struct special {
    uint32_t function;
    float x, wanted;
} special;

static const special specials[] = {
    {0, INFINITY, INFINITY}, {0, -INFINITY, 0}, {0, 1000, INFINITY}, {0, -1000, 0}, {0, 0, 1}, {0, NAN, NAN},
    {1, INFINITY, INFINITY}, {1, -INFINITY, 0}, {1, 10, 1024}, {1, 0, 1}, {1, NAN, NAN},
    {2, 0, -INFINITY}, {2, INFINITY, INFINITY}, {2, -1, NAN}, {2, 1, 0}, {2, NAN, NAN},
    {3, 0, 0}, {3, NAN, NAN}, {4, 0, 1}, {4, NAN, NAN}, {5, 0.5f, 0}, {5, 0.25f, 1}, {6, 0.25f, 0}, {6, 0.5f, -1},
    {7, INFINITY, 1}, {7, -INFINITY, -1}, {7, 0, 0}, {7, NAN, NAN},
    {8, 0, 0}, {8, NAN, NAN}, {9, 1, 1}, {9, -0.5f, -2}, {9, NAN, NAN}, {10, NAN, NAN},
    {11, 0, 0}, {11, INFINITY, INFINITY}, {11, -1, NAN}, {11, 4, 2}, {11, NAN, NAN},
    {12, 0, INFINITY}, {12, INFINITY, 0}, {12, -1, NAN}, {12, 4, 0.5f}, {12, NAN, NAN},
    {13, INFINITY, 1}, {13, 1000, 1}, {13, 0, 0.5f}, {13, NAN, NAN},
    {14, 1000, 1000}, {14, 0, 0}, {14, NAN, NAN}, {15, 1000, 1}, {15, 0, 0.5f}, {15, NAN, NAN},
    {16, 1000, 1000}, {16, 0, 0}, {16, NAN, NAN}, {17, 1000, 1}, {17, 0, 0.5f}, {17, NAN, NAN},
};

static void special_values(void **state) {
    (void)state;
    size_t out = 0;
    for (size_t k = 0; k < sizeof specials / sizeof *specials; k++) {
        const special *s = &specials[k];
        float y;
        evaluate(s->function, false, &s->x, &y, 1);
        const bool good = isnan(s->wanted) ? isnan(y) : y == s->wanted;
        if (!good)
            print_error("function %u of %g is %g, must be %g\n", s->function, (double)s->x, (double)y,
                        (double)s->wanted);
        out += !good;
    }
    assert_int_equal(out, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_are_within_budgets),
        cmocka_unit_test(special_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
