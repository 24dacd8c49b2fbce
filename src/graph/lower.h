// SPDX-License-Identifier: MIT
// Lowering: graph nodes to dispatches, a flat list that the memory plan, the barriers and the recorder read.
// Pure: no device.
#ifndef IGVK_GRAPH_LOWER_H
#define IGVK_GRAPH_LOWER_H

#include "graph/capabilities.h"
#include "graph/graph.h"

#define DISPATCH_MAX_ARGUMENTS 10 // device addresses in the push constants, 80 bytes
#define DISPATCH_MAX_SCALARS 12   // 32-bit words in the push constants, 48 bytes: together Vulkan's guaranteed 128
#define DISPATCH_MAX_CONSTANTS 16 // specialization constants 1..16; constant 0 is the workgroup's size in x

typedef enum tensor_access { ACCESS_READ = 1, ACCESS_WRITE = 2, ACCESS_UPDATE = 3 } tensor_access;

// A tensor bound to slot = its index in the dispatch's list. The kernel may touch only the tensor's bytes.
typedef struct argument {
    tensor_id tensor;
    tensor_access access;
    // For ACCESS_WRITE of an activation: 1 + the slot of an input that this output may take the place of
    // (each element read by the invocation that writes it, before it writes). 0: never.
    uint8_t in_place_of;
} argument;

typedef struct dispatch {
    const char *shader; // embedded shader's name ("linear", "attention_forward"); lives forever
    uint32_t node;      // index of the node it came from
    uint32_t local_size; // invocations per workgroup (x)
    uint32_t groups[3];
    bool counts_no_groups; // the kernel does not ask how many workgroups there are: it may be cut along every axis
    uint32_t constant_count;
    uint32_t constants[DISPATCH_MAX_CONSTANTS]; // ids 1, 2, ...; floats as their bits
    uint32_t scalar_count;
    uint32_t scalars[DISPATCH_MAX_SCALARS];
    uint32_t argument_count;
    argument arguments[DISPATCH_MAX_ARGUMENTS];
    double flops, bytes; // this dispatch's share of the node's cost; all 0: graph_lower shares it evenly
} dispatch;

typedef struct dispatch_list {
    graph *graph; // not owned; lowering may append scratch tensors to it
    dispatch *items; // owned
    size_t count, capacity;
} dispatch_list;

// What an operator's lower() gets.
typedef struct lowering {
    const capabilities *capabilities;
    graph *graph;
    dispatch_list *list;
    uint32_t node; // being lowered
} lowering;

// Checks the graph (graph_check) and lowers every node in order. Unused nodes (no path to an output, a state or
// `keep`) are left out. On failure *out is empty; the text names the node. dispatch_list_free it, before the graph.
igvk_status graph_lower(graph *g, const capabilities *c, const tensor_id *keep, size_t keep_count, dispatch_list *out);
void dispatch_list_free(dispatch_list *l);

// For operators: appends a copy of `d` (its node is filled in). Refuses what the device's limits, the push block or
// the tensors' roles (parameters and inputs are not written) do not allow; lower() passes the refusal on.
igvk_status lowering_emit(lowering *l, const dispatch *d);

// Building blocks for `dispatch`, so that an operator's lower() reads as a list:
void dispatch_bind(dispatch *d, tensor_id t, tensor_access a); // next slot
void dispatch_bind_in_place(dispatch *d, tensor_id t, uint32_t input_slot); // next slot, write
void dispatch_constant(dispatch *d, uint32_t value);     // next specialization constant
void dispatch_scalar(dispatch *d, uint32_t value);       // next push word
void dispatch_scalar_f32(dispatch *d, float value);
// ceil(items / per_group) workgroups along x, folded evenly into rows along y where they are more than x takes: the
// kernel's linear workgroup index is x + y * gl_NumWorkGroups.x (shaders/include/tensor.glsl, linear_group()), and
// the last row may reach beyond the items.
void dispatch_groups_linear(dispatch *d, const capabilities *c, uint64_t items, uint64_t per_group);

#endif
