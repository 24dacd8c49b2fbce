// SPDX-License-Identifier: MIT
// What the graph's tests share: small operators with gradients, a host that runs dispatch lists (each tensor in a
// place of its own, or where a memory plan puts it), and random graphs. f32, any shape, elementwise where not said.
#ifndef IGVK_TESTS_GRAPH_HELPERS_H
#define IGVK_TESTS_GRAPH_HELPERS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#undef fail // cmocka's macro, core/status.h's function

#include "graph/operator.h"
#include "graph/plan.h"

extern const capabilities test_capabilities;

// fail_msg for this project: the line, then the end of the test (cmocka's own calls its macro `fail`).
#define FAIL_TEST(...)                                                                                                 \
    do {                                                                                                               \
        print_error(__VA_ARGS__);                                                                                      \
        print_error("\n");                                                                                             \
        _fail(__FILE__, __LINE__);                                                                                     \
    } while (0)

// ---- operators: each function appends a node and returns its first output ------------------------------
extern const operator operator_add, operator_multiply, operator_scale, operator_branch, operator_reverse, operator_fill,
    operator_total, operator_opaque;
graph *test_graph(void);                                // graph_create(&operator_add)
tensor_id add(graph *g, tensor_id a, tensor_id b);      // in place of a
tensor_id multiply(graph *g, tensor_id a, tensor_id b); // in place of b
tensor_id scale(graph *g, tensor_id x, float factor);   // factor x (+ addend: has fuse_add), in place of x or addend
tensor_id branch(graph *g, tensor_id x);                  // two outputs, 2 x and 3 x
tensor_id reverse(graph *g, tensor_id x);               // back to front, through a scratch tensor, two dispatches
tensor_id fill(graph *g, tensor_shape shape, float value);
tensor_id total(graph *g, tensor_id x);                  // the sum, [1]; its gradient spreads dy
tensor_id opaque(graph *g, tensor_id x);                 // x + 1, no gradient
void assign(graph *g, tensor_id value, tensor_id state); // state := 1 * value
tensor_id input(graph *g, const char *name, uint64_t elements);
tensor_id state(graph *g, const char *name, uint64_t elements);

// ---- running a dispatch list on the host ---------------------------------------------------------------
typedef struct host {
    const graph *graph;
    const memory_plan *plan; // null: every root in a place of its own
    float **roots;           // by tensor id; externals start as host_initial
    float **blocks;
    size_t tensor_count;
} host;
// Activations start as NaN, so that a wrong place shows.
void host_open(host *h, const graph *g, const memory_plan *plan);
void host_close(host *h);
float *host_at(const host *h, tensor_id t);
void host_run(host *h, const dispatch *d);
void host_run_all(host *h, const dispatch_list *l);
float host_initial(tensor_id root, uint64_t element); // in (-1, 1)

// ---- random graphs -------------------------------------------------------------------------------------
uint32_t random_below(uint32_t *seed, uint32_t limit);
// A graph of about `nodes` nodes over views, states, branches and sums. keep (8 ids) takes some activations.
graph *random_graph(uint32_t seed, uint32_t nodes, tensor_id *keep, size_t *keep_count);

#endif
