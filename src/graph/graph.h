// SPDX-License-Identifier: MIT
// A graph: operator nodes over tensors in single-assignment form. Pure data, no device, no operator by name.
//
// Ownership: the graph owns all nodes, tensors, names and attributes; they live in its arena until
// graph_destroy. Ids are stable; pointers returned by tensor_of/node_of are valid until the next append.
//
// Errors are sticky: the first failure (a shape rule's refusal, memory) is kept, later calls return the
// null id, and graph_check gives the status and restores its text. So builders read as formulas.
//
// Roots and views. A tensor without parent is a root and has bytes of its own. A view shares a contiguous
// byte range of its root (views of views are resolved when made). Roots of role ACTIVATION get their place
// from the memory plan; every other root is external: it is named, and the program's caller provides its memory.
//
// A state is external and may be assigned once in a graph: an operator's output that `assigns` it shares
// its bytes. Every other node that reads the state sees the old value and must come before the assignment;
// graph_check refuses a graph where one comes after. The new value is read through the assigning output.
// Assignments are told apart by bytes: the views of one arena chunk are states of their own.
#ifndef IGVK_GRAPH_GRAPH_H
#define IGVK_GRAPH_GRAPH_H

#include "core/memory.h"
#include "core/status.h"

#define TENSOR_MAX_RANK 5
#define NODE_MAX_INPUTS 12
#define NODE_MAX_OUTPUTS 8

typedef struct tensor_id {
    uint32_t i; // 0 is no tensor
} tensor_id;
#define NO_TENSOR ((tensor_id){0})
static inline bool tensor_is(tensor_id t) { return t.i != 0; }
static inline bool tensor_same(tensor_id a, tensor_id b) { return a.i == b.i; }

typedef enum storage_type { STORAGE_F32, STORAGE_U32, STORAGE_F16, STORAGE_BF16 } storage_type;
uint64_t storage_bytes(storage_type type); // of one element

typedef enum tensor_role {
    ROLE_ACTIVATION, // lives inside one run of a program; placed by the memory plan
    ROLE_INPUT,      // written by the host (constants, rings of per-step data)
    ROLE_PARAMETER,  // read by the model; not written by programs that declare it so
    ROLE_STATE,      // read and assigned by programs, lasts between runs
    ROLE_OUTPUT,     // written by the program for the host to read
} tensor_role;

typedef struct tensor_shape {
    uint32_t rank;
    uint64_t dim[TENSOR_MAX_RANK];
} tensor_shape;
uint64_t shape_elements(tensor_shape s);
bool shape_equal(tensor_shape a, tensor_shape b);
// SHAPE(n, t, d): a shape of up to TENSOR_MAX_RANK dimensions.
#define SHAPE(...)                                                                                                     \
    ((tensor_shape){sizeof((uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t), {__VA_ARGS__}})
char *shape_text(char out[64], tensor_shape s); // "4x16x48"

typedef struct tensor {
    const char *name; // external roots: the key of their memory; views: the official name; else null or a label
    storage_type type;
    tensor_role role;
    tensor_shape shape;
    tensor_id root;    // whose bytes it shares; itself for a root
    uint64_t offset;   // bytes from the root's start
    tensor_id assigns; // the state this output overwrites, or none; a view shows its parent's
    uint32_t producer; // 1 + index of the node that computes it (a view's: its parent's); 0 where none does
} tensor;

struct operator; // graph/operator.h
typedef struct node {
    const struct operator *op;
    const void *attributes; // op->attributes_size bytes, the graph's own copy
    uint32_t segment; // it is part of; 0: none
    uint32_t input_count, output_count;
    tensor_id inputs[NODE_MAX_INPUTS]; // may hold NO_TENSOR where the operator allows an input to be absent
    tensor_id outputs[NODE_MAX_OUTPUTS];
} node;

typedef struct graph graph;
// `add` is the operator that sums two tensors of one shape; graph_gradient and graph_accumulate use it where a
// producer cannot add in its own epilogue. Null where memory is out.
graph *graph_create(const struct operator *add);
void graph_destroy(graph **g);

// OK, or the first failure with its text; also checks the order rule of states.
igvk_status graph_check(graph *g);
// Records a failure (for builders and shape rules) as fail() would; returns NO_TENSOR.
tensor_id graph_fail(graph *g, const char *format, ...) PRINTF_LIKE(2, 3);

// An external root. Declaring a name again gives the same tensor; another shape, type or role is an error.
tensor_id graph_external(graph *g, tensor_role role, const char *name, storage_type type, tensor_shape shape);
// A view of the parent's elements first, first + 1, ... in `shape`. Name may be null. The same view made again
// is the same tensor (and keeps its first name), so a parameter looked up twice has one gradient.
tensor_id graph_view(graph *g, tensor_id parent, uint64_t first, tensor_shape shape, const char *name);
// An activation without producer: a kernel's scratch (made while lowering).
tensor_id graph_scratch(graph *g, storage_type type, tensor_shape shape);

// Appends a node and returns its first output; the shape rule checks inputs and makes the outputs. Null attributes
// are zeros. assigns[k] (NO_TENSOR: none) makes output k overwrite that state, of the same type and shape, role STATE
// or OUTPUT.
tensor_id graph_node(graph *g, const struct operator *op, const void *attributes, const tensor_id *inputs,
                     size_t input_count);
tensor_id graph_node_assign(graph *g, const struct operator *op, const void *attributes, const tensor_id *inputs,
                            size_t input_count, const tensor_id *assigns, size_t assign_count);
tensor_id graph_output(const graph *g, tensor_id first_output, uint32_t k); // output k of the node that made it
// For operator.fuse_add: binds `t` to input `slot` of a node made before, which may be absent so far. `t` must not
// depend on the node.
void graph_set_input(graph *g, uint32_t node_index, uint32_t slot, tensor_id t);
// Labels an activation (traces, reports of non-finite values, dumps by name).
tensor_id graph_label(graph *g, tensor_id t, const char *format, ...) PRINTF_LIKE(3, 4);
// The tensor of that name or label, NO_TENSOR where none.
tensor_id graph_find(const graph *g, const char *name);

uint32_t graph_node_count(const graph *g);
uint32_t graph_tensor_count(const graph *g); // ids 1 .. count
const node *node_of(const graph *g, uint32_t index);
const tensor *tensor_of(const graph *g, tensor_id t); // NO_TENSOR (after a failure): a rank 0 tensor, every dim 1
static inline tensor_shape shape_of(const graph *g, tensor_id t) { return tensor_of(g, t)->shape; }
uint64_t tensor_bytes(const graph *g, tensor_id t);
arena *graph_arena(graph *g); // for attributes and names that must live as long as the graph

// While set, operators keep what their gradient rules need (pre-activations, log-sum-exp, row statistics).
void graph_keep_for_gradient(graph *g, bool keep);
bool graph_keeps_for_gradient(const graph *g);

// Nodes appended between the two are one segment: a model's block, which can be computed again as a whole. A segment
// within another is part of the outer one.
void graph_segment_begin(graph *g);
void graph_segment_end(graph *g);
// While set, graph_gradient computes segments again instead of keeping what is inside them: the backward pass of each,
// but of the one that it meets first, starts with copies of its nodes. The same bits, more work, less memory.
void graph_recompute(graph *g, bool recompute);

// For gradient rules: an input whose value only the gradient still needs, made again where its producer can do so
// cheaply (operator.again), so that it need not be kept from the forward pass; else the tensor itself.
tensor_id graph_again(graph *g, tensor_id t);

// Makes `state` + `value` overwrite `state` (same shape): the producer of `value` adds in its epilogue where it
// can (operator.fuse_add) and writes in place, else an `add` node follows. `value` is not to be read afterwards,
// nor accumulated a second time.
void graph_accumulate(graph *g, tensor_id value, tensor_id state);

// Makes `value` overwrite `state` (same shape), written there by its producer; `value` is not to be read afterwards.
// False, and nothing changed, where the producer cannot: something reads the state later, or the value is a state's.
bool graph_overwrite(graph *g, tensor_id value, tensor_id state);

// Appends nodes that compute d(sum of outputs[k] * seeds[k]) with respect to wrt[i] into gradients[i]
// (NO_TENSOR where nothing depends on it). seeds[k] has the shape of outputs[k]. Several contributions to a
// tensor are summed in the order of their consumers, last consumer first. Gradients pass through views that show
// their whole parent; a view of a part of something the gradient must pass through is refused.
igvk_status graph_gradient(graph *g, const tensor_id *outputs, const tensor_id *seeds, size_t output_count,
                           const tensor_id *wrt, size_t wrt_count, tensor_id *gradients);

#endif
