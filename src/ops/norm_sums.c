// SPDX-License-Identifier: MIT
// Two passes, so that there is work for many workgroups where images are few.
#include "ops/norm_sums.h"

#define CHUNK_ROWS 64

static uint64_t chunks_of(const norm_rows *r) { return (r->rows + CHUNK_ROWS - 1) / CHUNK_ROWS; }

static dispatch dispatch_columns(const lowering *l, const char *shader, const norm_rows *r) {
    const uint32_t lanes = l->capabilities->vector_width;
    dispatch d = {.shader = shader, .local_size = lanes};
    d.groups[0] = (uint32_t)((r->columns + lanes - 1) / lanes);
    dispatch_constant(&d, (uint32_t)r->columns);
    return d;
}

igvk_status lower_chunk_sums(lowering *l, const norm_rows *r, tensor_id *sums) {
    const uint64_t chunks = chunks_of(r);
    *sums = graph_scratch(l->graph, STORAGE_F32, SHAPE(r->groups, chunks, 2, r->columns));
    dispatch d = dispatch_columns(l, "norm_column_sums", r);
    d.groups[1] = (uint32_t)chunks;
    d.groups[2] = (uint32_t)r->groups;
    dispatch_constant(&d, (uint32_t)r->rows);
    dispatch_constant(&d, CHUNK_ROWS);
    dispatch_constant(&d, (uint32_t)r->heads);
    dispatch_constant(&d, (uint32_t)r->token_stride);
    dispatch_constant(&d, (uint32_t)r->group_stride);
    dispatch_constant(&d, !tensor_is(r->mean));
    dispatch_bind(&d, r->x, ACCESS_READ);
    dispatch_bind(&d, tensor_is(r->mean) ? r->mean : r->rstd, ACCESS_READ);
    dispatch_bind(&d, r->rstd, ACCESS_READ);
    dispatch_bind(&d, r->dy, ACCESS_READ);
    dispatch_bind(&d, *sums, ACCESS_WRITE);
    return lowering_emit(l, &d);
}

igvk_status lower_column_sums(lowering *l, const norm_rows *r, tensor_id sums, uint32_t first, uint32_t count,
                              tensor_id dshift, tensor_id dscale) {
    dispatch d = dispatch_columns(l, "norm_chunk_sums", r);
    d.groups[1] = count;
    d.groups[2] = 1;
    dispatch_constant(&d, (uint32_t)chunks_of(r));
    dispatch_constant(&d, first);
    dispatch_bind(&d, sums, ACCESS_READ);
    dispatch_bind(&d, dshift, ACCESS_WRITE);
    dispatch_bind(&d, dscale, ACCESS_WRITE);
    return lowering_emit(l, &d);
}
