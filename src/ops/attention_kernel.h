// SPDX-License-Identifier: MIT
// What attention with and without a bias share: the check of qkv and the dispatch of a tiled kernel.
#ifndef IGVK_OPS_ATTENTION_KERNEL_H
#define IGVK_OPS_ATTENTION_KERNEL_H

#include "ops/common.h"

typedef struct attention_sizes {
    uint64_t images, tokens, width;
    uint32_t heads, dimension; // dimension of a head
} attention_sizes;

// Input 0 is qkv [N, T, 3 D] for `heads` heads.
igvk_status check_qkv(const graph *g, const node *n, uint32_t heads);
attention_sizes attention_sizes_of(const graph *g, const node *n, uint32_t heads);
// A kernel's two forms: a lane owns whole rows, or neighbouring lanes own parts of a row.
typedef struct attention_shader {
    const char *whole, *split;
} attention_shader;
#define ATTENTION_SHADER(name) ((attention_shader){name, name "_split"})
// `products`: how many products of head rows the kernel's loop holds.
dispatch dispatch_attention(const lowering *l, attention_shader shader, const attention_sizes *s, uint32_t products);

#endif
