// SPDX-License-Identifier: MIT
// The frame of the operator tests. A row says how to build a graph around one operator, what goes in, and what
// comes out by a plain f64 reference. The frame runs it on the device, with both forms of binding and with the
// kernels of CPUs and of GPUs, compares every output, and checks the graph's gradients against central differences
// of the reference. Rows lie in tests/ops/rows_NAME.c:
//
//     static void build_scale(graph *g, const op_row *row, const tensor_id *in, tensor_id *out) {
//         out[0] = op_scale(g, in[0], in[1]);
//     }
//     static void refer_scale(const op_row *row, const op_value *in, op_value *out) {
//         for (uint64_t i = 0; i < out[0].count; i++)
//             out[0].v[i] = in[0].v[i] * in[1].v[0];
//     }
//     static const op_row scale_rows[] = {
//         {.op = "scale", .label = "13x127",
//          .inputs = {OP_GRADIENT("x", 13, 127), OP_GRADIENT("scale", 1)},
//          .outputs = 1, .build = build_scale, .reference = refer_scale, .tolerance = 1e-7},
//     };
//
// test_NAME.c runs them: #include "ops/rows_NAME.c" and OP_TEST_MAIN(NAME_rows). test_table.c includes every
// rows_NAME.c as well (so their names are apart) and fails where an operator of the table stands in no row's graph.
#ifndef IGVK_TESTS_OP_TEST_H
#define IGVK_TESTS_OP_TEST_H

#include "graph/operator.h"
#include "ops/ops.h"
#include "vulkan/device.h"

#define OP_MAX_VALUES 12

typedef struct op_row op_row;

typedef enum op_input_kind {
    OP_F32,       // uniform in [low, high]; both zero: [-1, 1]
    OP_U32,       // integers low .. high, both included
    OP_STATE_F32, // like these, and assigned by the graph: compared after the run
    OP_STATE_U32,
} op_input_kind;

typedef struct op_input {
    const char *name;
    op_input_kind kind;
    tensor_shape shape;
    double low, high;
    bool gradient; // compared with central differences of the reference
    double tolerance; // of a state, instead of the row's
    // Instead of random values: writes the input's f32 or u32 elements (step blocks, special cases).
    void (*fill)(const op_row *row, uint64_t count, float *f32, uint32_t *u32); // one of the two, the other null
} op_input;

// Inputs: of f32, f32 with its gradient checked, integers from low to high, states.
#define OP_INPUT(name_, ...) {.name = name_, .shape = SHAPE(__VA_ARGS__)}
#define OP_GRADIENT(name_, ...) {.name = name_, .shape = SHAPE(__VA_ARGS__), .gradient = true}
#define OP_RANGE(name_, low_, high_, ...) {.name = name_, .shape = SHAPE(__VA_ARGS__), .low = low_, .high = high_}
#define OP_INTEGERS(name_, low_, high_, ...)                                                                           \
    {.name = name_, .kind = OP_U32, .shape = SHAPE(__VA_ARGS__), .low = low_, .high = high_}
#define OP_WORDS(name_, ...) OP_INTEGERS(name_, 0, 4294967295.0, __VA_ARGS__)
#define OP_STATE(name_, ...) {.name = name_, .kind = OP_STATE_F32, .shape = SHAPE(__VA_ARGS__)}
#define OP_STATE_RANGE(name_, low_, high_, ...)                                                                        \
    {.name = name_, .kind = OP_STATE_F32, .shape = SHAPE(__VA_ARGS__), .low = low_, .high = high_}
#define OP_FILLED(name_, fill_, ...) {.name = name_, .shape = SHAPE(__VA_ARGS__), .fill = fill_}
// The tensors of step blocks and of metrics (shaders/include/step_block.h).
#define OP_STEPS_FILLED(fill_)                                                                                         \
    {.name = "steps", .kind = OP_U32, .shape = SHAPE((1 + STEP_RING) * STEP_WORDS), .fill = fill_}
#define OP_STEPS OP_STEPS_FILLED(op_fill_steps)
#define OP_METRICS OP_STATE("metrics", STEP_RING * METRIC_WORDS)

// A tensor for the reference: its elements as f64, u32 converted by value; `words` are its bits as they lie on the
// device (inputs only).
typedef struct op_value {
    tensor_shape shape;
    uint64_t count;
    double *v;
    const uint32_t *words;
} op_value;

struct op_row {
    const char *op;    // the operator this row is for, by its name in the table
    const char *label; // what this row adds: "13x127, bias", for messages
    op_input inputs[OP_MAX_VALUES]; // up to the first without a name
    uint32_t outputs;               // that build gives in out[]
    void (*build)(graph *g, const op_row *row, const tensor_id *in, tensor_id *out);
    // out[0 .. outputs-1], then every state of `inputs` in order, which come holding the state before the run.
    void (*reference)(const op_row *row, const op_value *in, op_value *out);
    // Largest error over the output's largest magnitude; u32 outputs must be equal. gradient_tolerance likewise,
    // 0: `tolerance`.
    double tolerance, gradient_tolerance;
    bool in_16_bits;       // left out where the device has no storage of 16 bits
    bool only_this_device; // no kernels but those that this device takes: its operators' others have rows of their own
    bool only_own_kernels; // not those that drivers unlike this one would take
    // Whatever build and reference want to know.
    uint32_t n[8];
    double x[4];
};

// For `fill` of a tensor of step blocks: the run counter stands at OP_RUN, whose block holds numbers as in use, for
// the row to change; every other block would be noticed.
#define OP_RUN 67
void op_fill_steps(const op_row *row, uint64_t count, float *f32, uint32_t *u32);
uint32_t *op_step_block(uint32_t *words); // of OP_RUN
uint32_t op_step_word(const op_value *steps, uint32_t word);
double op_step_f32(const op_value *steps, uint32_t word);
void op_set_f32(uint32_t *word, double value);
// Copies `t` into an activation of its own, so that an operator may work in place.
tensor_id op_copy(graph *g, tensor_id t);

// Runs one row on `d`; prints what is out and by how much. True where all is within.
bool op_row_passes(device *d, const op_row *row);
// Builds the row's graphs without running them and adds their operators to `operators` (room for `capacity`).
// False where a graph is refused.
bool op_row_operators(const op_row *row, const operator **operators, size_t capacity, size_t *count);

// Runs rows with both forms of binding; the exit status.
int op_rows_main(const op_row *rows, size_t count);
#define OP_TEST_MAIN(rows)                                                                                             \
    int main(void) { return op_rows_main(rows, sizeof(rows) / sizeof *(rows)); }

#endif
