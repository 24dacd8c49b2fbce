// SPDX-License-Identifier: MIT
// What the operators of this folder share: checks of inputs for shape rules, and dispatches of the simple kinds.
#ifndef IGVK_OPS_COMMON_H
#define IGVK_OPS_COMMON_H

#include "graph/operator.h"

// ---- shape rules: each refuses with one line that names the operator, the input and both sides ------------

// Input i is there and of that type.
igvk_status check_input(const graph *g, const node *n, uint32_t i, const char *name, storage_type type);
// Input i is there and floating point of any width, which goes into *type.
igvk_status check_float(const graph *g, const node *n, uint32_t i, const char *name, storage_type *type);
const char *storage_name(storage_type type); // "f16"
// Input i is of that type and shape.
igvk_status check_shape(const graph *g, const node *n, uint32_t i, const char *name, storage_type type,
                        tensor_shape wanted);
// Input i is the tensor of step blocks, or of metrics.
igvk_status check_steps(const graph *g, const node *n, uint32_t i);
igvk_status check_metrics(const graph *g, const node *n, uint32_t i);
void add_output(output_shapes *out, storage_type type, tensor_shape shape);

static inline tensor_shape input_shape(const graph *g, const node *n, uint32_t i) { return shape_of(g, n->inputs[i]); }
// Elements of one sample: all but the first dimension.
uint64_t sample_elements(tensor_shape s);

// ---- lowering ----------------------------------------------------------------------------------------

// A dispatch of `invocations`, one for each item: the kernel's linear_invocation().
dispatch dispatch_invocations(const lowering *l, const char *shader, uint64_t invocations);
// A dispatch of a kernel that ends with elements.glsl; sets its first push word and specialization constant.
dispatch dispatch_elements(const lowering *l, const char *shader, uint64_t count);
// Invocations of a workgroup for loops of that kind: one vector on CPUs.
uint32_t vector_local_size(const capabilities *c);
// 1 / count as two push words (high, low).
void dispatch_scalar_reciprocal(dispatch *d, uint64_t count);
// Counts reach shaders as 32-bit words with room for a workgroup beyond the end; refuses more.
igvk_status check_count(const char *what, uint64_t elements);
// The first pass of sums of squares (shaders/square_sums.comp): `parts` sums of each row of `elements`, a multiple of
// vector_local_size.
dispatch dispatch_square_sums(const lowering *l, const char *shader, uint64_t rows, uint64_t parts, uint64_t elements);
// Sums of `parts` pairs of each of `rows`, over `elements`: bind the pairs twice and the means [rows].
dispatch dispatch_means_of_pairs(const lowering *l, uint64_t rows, uint64_t parts, uint64_t elements);

// Every input and output once, and `flops` for each element of the first output.
node_cost elementwise_cost(const graph *g, const node *n, double flops);
node_cost copy_cost(const graph *g, const node *n); // likewise, no flops

#endif
