// SPDX-License-Identifier: MIT
#include "ops/linear_product.h"

#define TILE_SIDE 64         // linear_tile.comp
#define TILE_INVOCATIONS 128
#define MOST_ROWS 64         // of a register tile: 64 rows x 2 vectors are reused for each gather of b
#define STEPS 8              // unrolled; hides the cost of a loop's turn on software drivers
#define REGISTER_ROWS 8      // x 2 vectors: 16 sums stay in registers

typedef struct register_tile {
    uint32_t rows, vectors;
} register_tile;

// Rows: the largest power of two that the matrix has; sums run in order of steps whatever the tile is, so the
// choice by rows changes no bit.
static register_tile choose_tile(const capabilities *c, const linear_product *p) {
    register_tile t = {MOST_ROWS, p->columns >= 2 * (uint64_t)c->vector_width ? 2 : 1};
    while (t.rows > p->rows)
        t.rows /= 2;
    return t;
}

static void add_shape(dispatch *d, const linear_product *p) {
    const uint64_t constants[] = {p->a_row,      p->a_step,  p->b_column,
                                  p->b_step,     p->depth,   p->columns,
                                  p->activation, tensor_is(p->bias), tensor_is(p->gate),
                                  tensor_is(p->residual), tensor_is(p->z)};
    for (size_t i = 0; i < sizeof constants / sizeof *constants; i++)
        dispatch_constant(d, (uint32_t)constants[i]);
}

// A kernel binds all its tensors: those that a product has not are never touched, any other stands in.
static void bind_optional(dispatch *d, tensor_id t, tensor_id stand_in) { dispatch_bind(d, tensor_is(t) ? t : stand_in, ACCESS_READ); }

static void bind(lowering *l, dispatch *d, const linear_product *p) {
    const graph *g = l->graph;
    bool whole_residual = tensor_is(p->residual) && shape_equal(shape_of(g, p->residual), shape_of(g, p->y));
    dispatch_bind(d, p->a, ACCESS_READ);
    dispatch_bind(d, p->b, ACCESS_READ);
    bind_optional(d, p->bias, p->a);
    bind_optional(d, p->gate, p->a);
    bind_optional(d, p->residual, p->a);
    if (whole_residual)
        dispatch_bind_in_place(d, p->y, 4);
    else
        dispatch_bind(d, p->y, ACCESS_WRITE);
    if (tensor_is(p->z))
        dispatch_bind(d, p->z, ACCESS_WRITE);
    else
        bind_optional(d, p->z, p->a);
    dispatch_scalar(d, (uint32_t)p->rows);
    dispatch_scalar(d, tensor_is(p->gate) ? (uint32_t)(p->rows / shape_of(g, p->gate).dim[0]) : 1);
    dispatch_scalar(d, tensor_is(p->residual) ? (uint32_t)(shape_elements(shape_of(g, p->residual)) / p->columns) : 1);
}

static uint32_t divide_up(uint64_t a, uint64_t b) { return (uint32_t)((a + b - 1) / b); }

static igvk_status check_sizes(const lowering *l, const linear_product *p) {
    igvk_status status = IGVK_OK;
    TRY(check_count("a", shape_elements(shape_of(l->graph, p->a))));
    TRY(check_count("b", shape_elements(shape_of(l->graph, p->b))));
    TRY(check_count("y", p->rows * p->columns));
done:
    return status;
}

igvk_status linear_product_lower(lowering *l, const linear_product *p) {
    const capabilities *c = l->capabilities;
    dispatch d = {.groups = {1, 1, 1}};
    igvk_status status = check_sizes(l, p);
    if (status != IGVK_OK)
        return status;
    add_shape(&d, p);
    if (c->register_tile) {
        register_tile t = choose_tile(c, p);
        uint32_t columns = t.vectors * c->vector_width;
        d.shader = "linear";
        d.local_size = c->vector_width;
        dispatch_constant(&d, t.rows);
        dispatch_constant(&d, t.vectors);
        dispatch_constant(&d, STEPS);
        dispatch_constant(&d, REGISTER_ROWS);
        dispatch_constant(&d, c->lanes_broadcast && p->columns >= columns);
        d.groups[0] = divide_up(p->columns, columns);
        d.groups[1] = divide_up(p->rows, t.rows);
    } else {
        d.shader = "linear_tile";
        d.local_size = TILE_INVOCATIONS;
        d.groups[0] = divide_up(p->columns, TILE_SIDE);
        d.groups[1] = divide_up(p->rows, TILE_SIDE);
    }
    if (d.groups[1] > c->max_groups[1])
        return fail(IGVK_ERROR_INVALID, "a product of %llu rows is beyond the device's workgroups: lower the batch", (unsigned long long)p->rows);
    bind(l, &d, p);
    d.flops = 2.0 * (double)p->rows * (double)p->columns * (double)p->depth;
    return lowering_emit(l, &d);
}
