// SPDX-License-Identifier: MIT
// The frame of the operator tests. A row says how to build a graph around one operator, what goes in, and what
// comes out by a plain f64 reference. The frame runs it on the device, with both forms of binding and with the
// kernels of CPUs and of GPUs, compares every output, and checks the graph's gradients against central
// differences of the reference. Rows lie in tests/ops/rows_NAME.c, which test_operators.c includes:
//
//     static void build_scale(graph *g, const op_row *row, const tensor_id *in, tensor_id *out) {
//         out[0] = op_scale(g, in[0], in[1]);
//     }
//     static void refer_scale(const op_row *row, const op_value *in, op_value *out) {
//         for (uint64_t i = 0; i < out[0].count; i++)
//             out[0].v[i] = in[0].v[i] * in[1].v[0];
//     }
//     static const op_row scale_rows[] = {
//         {.op = "scale", .label = "one", .inputs = {{"x", .shape = SHAPE(1), .gradient = true},
//                                                    {"scale", .shape = SHAPE(1), .gradient = true}},
//          .outputs = 1, .build = build_scale, .reference = refer_scale, .tolerance = 1e-7},
//     };
//
// Every operator of the table must stand in a graph of some row: test_operators.c fails where one does not.
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
    // Instead of random values: writes the input's f32 or u32 elements (step blocks, special cases).
    void (*fill)(const op_row *row, uint64_t count, float *f32, uint32_t *u32); // one of the two, the other null
} op_input;

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
    // Whatever build and reference want to know.
    uint32_t n[8];
    double x[4];
};

// Runs one row on `d`; prints what is out and by how much. True where all is within.
bool op_row_passes(device *d, const op_row *row);
// Marks the operators of the graphs run so far, one flag per entry of operator_table.
bool op_was_run(const operator *op);

#endif
