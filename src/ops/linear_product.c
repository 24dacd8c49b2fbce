// SPDX-License-Identifier: MIT
// The choice of a product's kernel and tile, and its dispatch.
//
// Kernels and tiles depend on the device and on the shapes of weights; on the rows of a batch depends the tile's
// height alone, and every kernel adds in order of steps: an image's bits are the same in any batch.
#include "ops/linear_product.h"

#include "ops/common.h"

// One kernel's shaders without and with z, by the storage types of a and b.
typedef enum operand_types {
    TYPES_F32,
    TYPES_F32_F16,
    TYPES_F32_BF16,
    TYPES_F16,
    TYPES_BF16,
    TYPES_COUNT
} operand_types;
typedef const char *shader_table[TYPES_COUNT][2];
#define SHADERS(name)                                                                                                  \
    {                                                                                                                  \
        {name, name "_keep"}, {name "_f32_f16", name "_keep_f32_f16"}, {name "_f32_bf16", name "_keep_f32_bf16"},      \
            {name "_f16_f16", name "_keep_f16_f16"}, {                                                                 \
            name "_bf16_bf16", name "_keep_bf16_bf16"                                                                  \
        }                                                                                                              \
    }
static const shader_table register_shaders = SHADERS("linear"), broadcast_shaders = SHADERS("linear_broadcast"),
                          tile_shaders = SHADERS("linear_tile");
static const shader_table written_shaders = {{"linear_written", "linear_written_keep"}}; // f32 alone

typedef struct linear_kernel {
    const shader_table *shaders;
    uint32_t local_size;
    uint32_t tile_rows, tile_columns;
    uint32_t vectors, steps; // linear.comp's constants; steps is 0 for kernels of fixed tiles
} linear_kernel;

#define REGISTER_ROWS 8 // linear.comp: with two vectors 16 sums, what 32 registers hold beside operands

static uint64_t divide_up(uint64_t a, uint64_t b) {
    return (a + b - 1) / b;
}
static uint64_t least(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

// Tiles of one height, at most `most`, that cover the rows with little overlap.
static uint32_t balanced_rows(uint64_t rows, uint64_t most) {
    uint64_t tiles = divide_up(rows, most);
    return (uint32_t)least(rows, align_up(divide_up(rows, tiles), REGISTER_ROWS));
}

// Where both operands run along steps taller tiles are 5 % faster, as long as their rows of a stay in the second-level
// cache, and take the driver a second longer to compile: for products of more than 2^29 steps.
static uint64_t tallest_tile(const linear_product *p) {
    const bool along_steps = p->a_step == 1 && p->b_step == 1, cached = 128 * p->depth * sizeof(float) <= 640 << 10;
    return along_steps && cached && p->rows * p->columns * p->depth >= UINT64_C(1) << 29 ? 128 : 64;
}

static linear_kernel register_tile(const capabilities *c, const linear_product *p) {
    bool broadcast = c->subgroup_broadcast && !(c->lanes_broadcast && c->address);
    // 512-bit vectors have the mask registers for one masked broadcast at a time.
    uint32_t most_vectors = broadcast ? 4 : c->vector_width >= 16 ? 1 : 2;
    linear_kernel k = {.shaders = broadcast ? &broadcast_shaders : &register_shaders, .local_size = c->vector_width};
    k.steps = broadcast ? 2 : 8;
    k.tile_rows = balanced_rows(p->rows, broadcast ? 32 : tallest_tile(p));
    k.vectors = (uint32_t)least(most_vectors, p->columns / c->vector_width);
    k.vectors = k.vectors ? k.vectors : 1;
    k.tile_columns = k.vectors * c->vector_width;
    return k;
}

// Measured: docs/performance-log.md.
static linear_kernel choose_kernel(const capabilities *c, const linear_product *p, operand_types types) {
    if (!c->register_tile)
        return (linear_kernel){.shaders = &tile_shaders, .local_size = 128, .tile_rows = 64, .tile_columns = 64};
    if (c->written_out && types == TYPES_F32)
        return (linear_kernel){.shaders = &written_shaders,
                               .local_size = c->vector_width,
                               .tile_rows = 8,
                               .tile_columns = 4 * c->vector_width};
    return register_tile(c, p);
}

// ---- packed operands -------------------------------------------------------------------------------------
// The register tile with masked broadcasts is at its best where rows lie along steps, apart by no multiple of what the
// first-level cache's sets repeat with. An operand that lies otherwise is copied into such rows first, where so many
// tiles use the copy that it pays. The values stay, and so does the order of sums: the same bits. Whether to pack
// an operand may depend on the rows of a batch for that reason.

#define PACK_BLOCK 64 // rows and steps, of shaders/linear_pack.comp
#define PACK_LEAST 16
#define PACK_LEAST_REUSE 192 // rows or columns of the product that each packed element serves
#define PACKED_GAP 16        // elements, a cache line

// A first-level cache's sets repeat every 4096 bytes: such rows share half of them or fewer, or a quarter where no two
// rows share a page.
static bool strides_alias(uint64_t row, storage_type type) {
    const uint64_t bytes = row * storage_bytes(type);
    return bytes % 2048 == 0 || (bytes > 4096 && bytes % 1024 == 0);
}

// Rows of `depth` steps, an odd number of cache lines apart.
static uint64_t packed_row(uint64_t depth) {
    return align_up(depth, 2 * PACKED_GAP) + PACKED_GAP;
}

// An operand by its strides; packing replaces it by a scratch tensor.
typedef struct operand {
    tensor_id *tensor;
    uint64_t *row, *step;
    uint64_t rows, reuse;
} operand;

static bool can_pack(const lowering *l, const operand *o, uint64_t depth) {
    return o->rows >= PACK_LEAST && depth >= PACK_LEAST && o->rows <= l->capabilities->max_allocation / sizeof(float) / packed_row(depth);
}

static bool pays_to_pack(const lowering *l, const operand *o, uint64_t depth) {
    if (o->reuse < PACK_LEAST_REUSE || !can_pack(l, o, depth))
        return false;
    return *o->step != 1 || strides_alias(*o->row, tensor_of(l->graph, *o->tensor)->type);
}

// Whether lanes may take two elements at once (linear_pack.comp with PAIRS): of what is contiguous 2 lanes are a tile.
static bool packs_pairs(const lowering *l, const operand *o, uint64_t depth) {
    const tensor *x = tensor_of(l->graph, *o->tensor);
    const uint64_t lanes = 2 * l->capabilities->vector_width, along_rows = *o->step != 1;
    const uint64_t stride = along_rows ? *o->step : *o->row;
    const bool even = o->rows % 2 == 0 && depth % 2 == 0 && stride % 2 == 0 && x->offset % 8 == 0;
    return l->capabilities->pairs && x->type == STORAGE_F32 && even && (!along_rows || *o->row == 1) && (along_rows ? o->rows : depth) >= lanes;
}

static igvk_status pack(lowering *l, const operand *o, uint64_t depth) {
    static const char *const shaders[] = {
        [STORAGE_F32] = "linear_pack", [STORAGE_F16] = "linear_pack_f16", [STORAGE_BF16] = "linear_pack_bf16"};
    const uint64_t row = packed_row(depth);
    const tensor_id packed = graph_scratch(l->graph, STORAGE_F32, SHAPE(o->rows, row));
    dispatch d = {
        .shader = packs_pairs(l, o, depth) ? "linear_pack_pairs" : shaders[tensor_of(l->graph, *o->tensor)->type],
        .local_size = l->capabilities->vector_width,
        .groups = {(uint32_t)divide_up(depth, PACK_BLOCK), (uint32_t)divide_up(o->rows, PACK_BLOCK), 1},
        .bytes = 8.0 * (double)o->rows * (double)depth,
    };
    const uint64_t constants[] = {*o->row, *o->step, depth, row};
    for (size_t i = 0; i < sizeof constants / sizeof *constants; i++)
        dispatch_constant(&d, (uint32_t)constants[i]);
    dispatch_scalar(&d, (uint32_t)o->rows);
    dispatch_bind(&d, *o->tensor, ACCESS_READ);
    dispatch_bind(&d, packed, ACCESS_WRITE);
    *o->tensor = packed;
    *o->row = row;
    *o->step = 1;
    return lowering_emit(l, &d);
}

static igvk_status pack_operands(lowering *l, linear_product *p) {
    igvk_status status = IGVK_OK;
    const operand a = {&p->a, &p->a_row, &p->a_step, p->rows, p->columns};
    const operand b = {&p->b, &p->b_column, &p->b_step, p->columns, p->rows};
    // The kernel broadcasts a's elements one by one, and would convert each for every vector of lanes; and there is none
    // for an `a` of 16 bits beside a `b` of 32, which packing makes it.
    const bool a_is_half = tensor_of(l->graph, p->a)->type != STORAGE_F32;
    if ((a_is_half && can_pack(l, &a, p->depth)) || pays_to_pack(l, &a, p->depth))
        TRY(pack(l, &a, p->depth));
    if (pays_to_pack(l, &b, p->depth) && (!a_is_half || tensor_of(l->graph, p->a)->type == STORAGE_F32))
        TRY(pack(l, &b, p->depth));
done:
    return status;
}

// ---- the product -------------------------------------------------------------------------------------------

static void add_constants(dispatch *d, const linear_product *p, const linear_kernel *k) {
    const uint64_t constants[] = {p->a_row, p->a_step, p->b_column, p->b_step, p->depth, p->columns, p->activation};
    for (size_t i = 0; i < sizeof constants / sizeof *constants; i++)
        dispatch_constant(d, (uint32_t)constants[i]);
    dispatch_constant(d, tensor_is(p->bias));
    dispatch_constant(d, tensor_is(p->gate));
    dispatch_constant(d, tensor_is(p->residual));
    if (k->steps) {
        dispatch_constant(d, k->tile_rows);
        dispatch_constant(d, k->vectors);
        dispatch_constant(d, k->steps);
        dispatch_constant(d, REGISTER_ROWS);
    }
}

// A kernel binds all that it reads; for what a product has not, which it never touches, another tensor stands in.
static void bind_tensors(dispatch *d, const linear_product *p, bool whole_residual) {
    const uint32_t residual_slot = 4;
    dispatch_bind(d, p->a, ACCESS_READ);
    dispatch_bind(d, p->b, ACCESS_READ);
    dispatch_bind(d, tensor_is(p->bias) ? p->bias : p->a, ACCESS_READ);
    dispatch_bind(d, tensor_is(p->gate) ? p->gate : p->a, ACCESS_READ);
    dispatch_bind(d, tensor_is(p->residual) ? p->residual : p->a, ACCESS_READ);
    if (whole_residual)
        dispatch_bind_in_place(d, p->y, residual_slot);
    else
        dispatch_bind(d, p->y, ACCESS_WRITE);
    if (tensor_is(p->z))
        dispatch_bind(d, p->z, ACCESS_WRITE);
}

static uint32_t rows_of(const graph *g, tensor_id t, const linear_product *p) {
    return tensor_is(t) ? (uint32_t)(shape_elements(shape_of(g, t)) / p->columns) : 1;
}

// The shape rules let no other pair through: a is f32 or of b's type.
static operand_types types_of(const graph *g, const linear_product *p) {
    const storage_type a = tensor_of(g, p->a)->type, b = tensor_of(g, p->b)->type;
    if (b == STORAGE_F16)
        return a == STORAGE_F16 ? TYPES_F16 : TYPES_F32_F16;
    if (b == STORAGE_BF16)
        return a == STORAGE_BF16 ? TYPES_BF16 : TYPES_F32_BF16;
    return TYPES_F32;
}

igvk_status linear_product_lower(lowering *l, const linear_product *product) {
    igvk_status status = IGVK_OK;
    linear_product copy = *product;
    const linear_product *p = &copy;
    if (l->capabilities->register_tile && l->capabilities->lanes_broadcast && l->capabilities->address)
        TRY(pack_operands(l, &copy));
    const operand_types types = types_of(l->graph, p);
    const linear_kernel k = choose_kernel(l->capabilities, p, types);
    const uint32_t gate_rows = rows_of(l->graph, p->gate, p), residual_rows = rows_of(l->graph, p->residual, p);
    dispatch d = {
        .shader = (*k.shaders)[types][tensor_is(p->z)],
        .local_size = k.local_size,
        .counts_no_groups = true,
        .groups = {(uint32_t)divide_up(p->columns, k.tile_columns), (uint32_t)divide_up(p->rows, k.tile_rows), 1},
    };
    add_constants(&d, p, &k);
    bind_tensors(&d, p, tensor_is(p->residual) && residual_rows == p->rows);
    dispatch_scalar(&d, (uint32_t)p->rows);
    dispatch_scalar(&d, (uint32_t)p->rows / gate_rows);
    dispatch_scalar(&d, residual_rows);
    d.flops = 2.0 * (double)p->rows * (double)p->columns * (double)p->depth;
    TRY(lowering_emit(l, &d));
done:
    return status;
}

node_cost linear_product_cost(const graph *g, const node *n, uint64_t rows, uint64_t columns, uint64_t depth) {
    node_cost cost = copy_cost(g, n);
    cost.flops = 2.0 * (double)rows * (double)columns * (double)depth;
    return cost;
}
