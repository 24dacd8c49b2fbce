// SPDX-License-Identifier: MIT
// Parameters as one logical arena. A layout lists a model's tensors in official order and gives each its
// place: chunk and offset; a chunk is one allocation's worth, no tensor straddles two. Model, EMA,
// gradients and moments are sets: the same layout over other memory, so that norm, clipping, optimizer,
// EMA and zeroing run over chunks.
#ifndef IGVK_GRAPH_PARAMETERS_H
#define IGVK_GRAPH_PARAMETERS_H

#include "graph/graph.h"

// Elements: every tensor starts at a multiple; gaps hold zeros. Descriptors may have to start at multiples of 256
// bytes, and sets of 16-bit elements have the places of the f32 ones.
#define PARAMETER_GRANULE 128

typedef enum parameter_init {
    INIT_ZERO,
    INIT_ONE,
    INIT_XAVIER_UNIFORM, // bound sqrt(6 / (fan_in + fan_out)), fans of shape (out, in) after flattening
    INIT_NORMAL,         // times `scale`
    INIT_TABLE,          // values from `fill`
} parameter_init;

// What one rule of an optimizer takes; a chunk holds parameters of one group.
// Those kept are never trained: all sets share one set's memory of them.
typedef enum parameter_group { PARAMETER_ELEMENTS, PARAMETER_MATRICES, PARAMETER_KEPT } parameter_group;

typedef struct parameter {
    const char *name; // official
    tensor_shape shape;
    bool frozen; // no gradient, no optimizer; still in the EMA
    bool product; // the weight of a linear product, which reads 16-bit types too
    bool decays; // though frozen, Muon's weight decay takes it, as in LightningDiT's official script
    parameter_init init;
    double scale;
    void (*fill)(const void *context, uint64_t first, uint64_t count, float *out); // INIT_TABLE: elements from `first`
    const void *context; // INIT_TABLE; owned by the layout's arena
    // set by the layout:
    parameter_group group;
    uint32_t chunk;
    uint64_t first; // element in the chunk
} parameter;

typedef struct parameter_layout parameter_layout;
// max_chunk_bytes: the device's largest binding or allocation. A tensor beyond it is refused by name.
parameter_layout *parameter_layout_create(uint64_t max_chunk_bytes);
void parameter_layout_destroy(parameter_layout **l);
arena *parameter_layout_arena(parameter_layout *l);
// From here on, tensors of two or more dimensions that are trained or decay are of the group of matrices, in chunks of
// their own; otherwise all parameters are of the first group.
void parameter_layout_split_matrices(parameter_layout *l);
// From here on, weights of products are of that group instead, and sets of this layout have their type for them alone:
// all other parameters are f32 in every set.
void parameter_layout_split_products(parameter_layout *l);
// From here on, parameters whose name is not `trained` are frozen and of the group of the kept, in chunks of their own
// that lie in the set `home` alone: in whatever set such a parameter is read or written, it is there.
void parameter_layout_keep(parameter_layout *l, const char *home, bool (*trained)(const char *name));
// Copies *p and its name; `fill` and `context` are kept. Errors are sticky: parameter_layout_check.
void parameter_layout_add(parameter_layout *l, const parameter *p);
igvk_status parameter_layout_check(const parameter_layout *l);
size_t parameter_count(const parameter_layout *l);
const parameter *parameter_at(const parameter_layout *l, size_t i);
const parameter *parameter_find(const parameter_layout *l, const char *name);
uint32_t parameter_chunk_count(const parameter_layout *l);
uint64_t parameter_chunk_elements(const parameter_layout *l, uint32_t chunk); // a multiple of PARAMETER_GRANULE
parameter_group parameter_chunk_group(const parameter_layout *l, uint32_t chunk);
// The set that has the memory of the set's chunk: `set`, or the home of what is kept.
const char *parameter_chunk_home(const parameter_layout *l, const char *set, uint32_t chunk);
uint64_t parameter_elements(const parameter_layout *l); // without gaps
// One word a granule of a chunk: bit 0 trained (not frozen, not a gap). The optimizer's segment table.
void parameter_segments(const parameter_layout *l, uint32_t chunk, uint32_t *out);

// Where a set's values come from, in bounded pieces: elements first .. first + count - 1 of parameter i, as f32.
typedef struct parameter_source {
    igvk_status (*read)(void *user, const parameter_layout *l, size_t i, uint64_t first, uint64_t count, float *out);
    void *user;
} parameter_source;

// A set inside a graph. `arena_name` ("model", "ema", "gradient", "moment1", "moment2") and the chunk make
// the external roots' names: "model.0".
typedef struct parameter_set {
    const parameter_layout *layout;
    const char *arena_name;
    tensor_role role;
    storage_type type; // of every tensor, or of products' weights; places are the same elements in each type
    // Mixed precision: weights of products are read from the copies of that name, of this 16-bit type, and models round
    // to it what these weights are multiplied with. Null: neither.
    const char *copies;
    storage_type copies_type;
} parameter_set;
storage_type parameter_chunk_type(const parameter_layout *l, uint32_t chunk, storage_type set_type);
tensor_id parameter_chunk(graph *g, const parameter_set *s, uint32_t chunk);    // [elements]
tensor_id parameter_tensor(graph *g, const parameter_set *s, const char *name); // a view; sticky error where unknown
// A chunk of the set's copies: as many elements, of which only weights of products are read.
tensor_id parameter_copies(graph *g, const parameter_set *s, uint32_t chunk);

#endif
