// SPDX-License-Identifier: MIT
#include "graph/helpers.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

const capabilities test_capabilities = {
    .max_invocations = 128,
    .max_groups = {65535, 65535, 65535},
    .max_shared_bytes = 16384,
    .max_binding = UINT64_MAX,
    .max_allocation = UINT64_MAX / 2,
};

// ---- operators ---------------------------------------------------------------------------------------

typedef struct attributes {
    float factor;
    tensor_shape shape;
} attributes;

static float factor_of(const node *n) { return ((const attributes *)n->attributes)->factor; }

static igvk_status same_shapes(const graph *g, const node *n, output_shapes *out) {
    for (uint32_t k = 1; k < n->input_count; k++)
        if (tensor_is(n->inputs[k]) && !shape_equal(shape_of(g, n->inputs[0]), shape_of(g, n->inputs[k]))) {
            char a[64], b[64];
            return fail(IGVK_ERROR_INVALID, "%s: input %u is %s, input 0 is %s", n->op->name, k,
                        shape_text(b, shape_of(g, n->inputs[k])), shape_text(a, shape_of(g, n->inputs[0])));
        }
    out->count = n->op == &operator_branch ? 2 : 1;
    for (uint32_t k = 0; k < out->count; k++)
        out->shape[k] = shape_of(g, n->inputs[0]);
    return IGVK_OK;
}

static igvk_status given_shape(const graph *g, const node *n, output_shapes *out) {
    (void)g;
    out->count = 1;
    out->shape[0] = ((const attributes *)n->attributes)->shape;
    return IGVK_OK;
}

static dispatch start(const graph *g, const lowering *l, const char *shader, tensor_id sized, float factor) {
    dispatch d = {.shader = shader, .local_size = 64};
    dispatch_groups_linear(&d, l->capabilities, shape_elements(shape_of(g, sized)), 64);
    dispatch_scalar_f32(&d, factor);
    return d;
}

// Inputs, then outputs; one dispatch; the output in place of the input given, -1 none.
static igvk_status lower_simple(lowering *l, const node *n, const char *shader, float factor, int in_place_of) {
    dispatch d = start(l->graph, l, shader, n->outputs[0], factor);
    for (uint32_t k = 0; k < n->input_count; k++)
        if (tensor_is(n->inputs[k]))
            dispatch_bind(&d, n->inputs[k], ACCESS_READ);
    for (uint32_t k = 0; k < n->output_count; k++)
        if (k == 0 && in_place_of >= 0)
            dispatch_bind_in_place(&d, n->outputs[k], (uint32_t)in_place_of);
        else
            dispatch_bind(&d, n->outputs[k], ACCESS_WRITE);
    return lowering_emit(l, &d);
}

static igvk_status lower_add(lowering *l, const node *n) { return lower_simple(l, n, "add", 0, 0); }
static igvk_status lower_multiply(lowering *l, const node *n) { return lower_simple(l, n, "multiply", 0, 1); }
static igvk_status lower_scale(lowering *l, const node *n) {
    return lower_simple(l, n, "scale", factor_of(n), n->input_count > 1 ? 1 : 0);
}
static igvk_status lower_branch(lowering *l, const node *n) { return lower_simple(l, n, "branch", 0, -1); }
static igvk_status lower_fill(lowering *l, const node *n) { return lower_simple(l, n, "fill", factor_of(n), -1); }
static igvk_status lower_total(lowering *l, const node *n) { return lower_simple(l, n, "total", 0, -1); }
static igvk_status lower_spread(lowering *l, const node *n) { return lower_simple(l, n, "spread", 0, -1); }
static igvk_status lower_opaque(lowering *l, const node *n) { return lower_simple(l, n, "opaque", 0, 0); }

static igvk_status lower_reverse(lowering *l, const node *n) {
    igvk_status status = IGVK_OK;
    tensor_id scratch = graph_scratch(l->graph, STORAGE_F32, shape_of(l->graph, n->inputs[0]));
    dispatch d = start(l->graph, l, "scale", n->inputs[0], 1);
    dispatch_bind(&d, n->inputs[0], ACCESS_READ);
    dispatch_bind(&d, scratch, ACCESS_WRITE);
    TRY(lowering_emit(l, &d));
    d = start(l->graph, l, "reverse", n->inputs[0], 1);
    dispatch_bind(&d, scratch, ACCESS_READ);
    dispatch_bind(&d, n->outputs[0], ACCESS_WRITE);
    TRY(lowering_emit(l, &d));
done:
    return status;
}

static void gradient_add(graph *g, uint32_t index, const tensor_id *dy, const bool *want, tensor_id *dx) {
    (void)g, (void)index, (void)want;
    dx[0] = dx[1] = dy[0];
}

static void gradient_multiply(graph *g, uint32_t index, const tensor_id *dy, const bool *want, tensor_id *dx) {
    const node n = *node_of(g, index);
    for (int k = 0; k < 2; k++)
        if (want[k])
            dx[k] = multiply(g, dy[0], n.inputs[1 - k]);
}

static void gradient_scale(graph *g, uint32_t index, const tensor_id *dy, const bool *want, tensor_id *dx) {
    const node n = *node_of(g, index);
    if (want[0])
        dx[0] = scale(g, dy[0], factor_of(&n));
    if (want[1])
        dx[1] = dy[0];
}

static void gradient_branch(graph *g, uint32_t index, const tensor_id *dy, const bool *want, tensor_id *dx) {
    (void)index, (void)want;
    tensor_id parts[2] = {NO_TENSOR, NO_TENSOR};
    for (int k = 0; k < 2; k++)
        if (tensor_is(dy[k]))
            parts[k] = scale(g, dy[k], 2 + (float)k);
    dx[0] = !tensor_is(parts[0]) ? parts[1] : !tensor_is(parts[1]) ? parts[0] : add(g, parts[0], parts[1]);
}

static void gradient_reverse(graph *g, uint32_t index, const tensor_id *dy, const bool *want, tensor_id *dx) {
    (void)index, (void)want;
    dx[0] = reverse(g, dy[0]);
}

static const operator operator_spread = {
    .name = "spread", .attributes_size = sizeof(attributes), .shapes = given_shape, .lower = lower_spread};

static void gradient_total(graph *g, uint32_t index, const tensor_id *dy, const bool *want, tensor_id *dx) {
    (void)want;
    attributes a = {.shape = shape_of(g, node_of(g, index)->inputs[0])};
    dx[0] = graph_node(g, &operator_spread, &a, dy, 1);
}

static bool fuse_add_scale(graph *g, uint32_t index, tensor_id addend) {
    if (node_of(g, index)->input_count > 1)
        return false;
    graph_set_input(g, index, 1, addend);
    return true;
}

static node_cost cost_simple(const graph *g, const node *n) {
    double elements = (double)shape_elements(shape_of(g, n->outputs[0]));
    return (node_cost){elements, 8 * elements};
}

const operator operator_add = {
    .name = "add", .shapes = same_shapes, .gradient = gradient_add, .lower = lower_add, .cost = cost_simple};
const operator operator_multiply = {
    .name = "multiply", .shapes = same_shapes, .gradient = gradient_multiply, .lower = lower_multiply};
const operator operator_scale = {.name = "scale",
                                 .attributes_size = sizeof(attributes),
                                 .shapes = same_shapes,
                                 .gradient = gradient_scale,
                                 .lower = lower_scale,
                                 .fuse_add = fuse_add_scale};
const operator operator_branch = {
    .name = "branch", .shapes = same_shapes, .gradient = gradient_branch, .lower = lower_branch};
const operator operator_reverse = {.name = "reverse",
                                   .shapes = same_shapes,
                                   .gradient = gradient_reverse,
                                   .lower = lower_reverse,
                                   .cost = cost_simple};
const operator operator_fill = {
    .name = "fill", .attributes_size = sizeof(attributes), .shapes = given_shape, .lower = lower_fill};
const operator operator_total = {.name = "total",
                                 .attributes_size = sizeof(attributes),
                                 .shapes = given_shape,
                                 .gradient = gradient_total,
                                 .lower = lower_total};
const operator operator_opaque = {.name = "opaque", .shapes = same_shapes, .lower = lower_opaque};

graph *test_graph(void) {
    graph *g = graph_create(&operator_add);
    assert_non_null(g);
    return g;
}
tensor_id add(graph *g, tensor_id a, tensor_id b) { return graph_node(g, &operator_add, NULL, (tensor_id[]){a, b}, 2); }
tensor_id multiply(graph *g, tensor_id a, tensor_id b) {
    return graph_node(g, &operator_multiply, NULL, (tensor_id[]){a, b}, 2);
}
tensor_id scale(graph *g, tensor_id x, float factor) {
    return graph_node(g, &operator_scale, &(attributes){.factor = factor}, &x, 1);
}
tensor_id branch(graph *g, tensor_id x) { return graph_node(g, &operator_branch, NULL, &x, 1); }
tensor_id reverse(graph *g, tensor_id x) { return graph_node(g, &operator_reverse, NULL, &x, 1); }
tensor_id fill(graph *g, tensor_shape shape, float value) {
    return graph_node(g, &operator_fill, &(attributes){value, shape}, NULL, 0);
}
tensor_id total(graph *g, tensor_id x) {
    return graph_node(g, &operator_total, &(attributes){.shape = SHAPE(1)}, &x, 1);
}
tensor_id opaque(graph *g, tensor_id x) { return graph_node(g, &operator_opaque, NULL, &x, 1); }
void assign(graph *g, tensor_id value, tensor_id target) {
    graph_node_assign(g, &operator_scale, &(attributes){.factor = 1}, &value, 1, &target, 1);
}
tensor_id input(graph *g, const char *name, uint64_t elements) {
    return graph_external(g, ROLE_INPUT, name, STORAGE_F32, SHAPE(elements));
}
tensor_id state(graph *g, const char *name, uint64_t elements) {
    return graph_external(g, ROLE_STATE, name, STORAGE_F32, SHAPE(elements));
}

// ---- running -----------------------------------------------------------------------------------------

float host_initial(tensor_id root, uint64_t element) {
    return (float)sin((double)root.i * 12.9898 + (double)element * 0.7);
}

static float *new_place(uint64_t bytes) {
    float *place = malloc(bytes + 1);
    assert_non_null(place);
    for (uint64_t i = 0; i < bytes / 4; i++)
        place[i] = NAN;
    return place;
}

void host_open(host *h, const graph *g, const memory_plan *plan) {
    *h = (host){.graph = g, .plan = plan, .tensor_count = graph_tensor_count(g) + 1};
    h->roots = calloc(h->tensor_count, sizeof *h->roots);
    h->blocks = calloc(plan ? plan->block_count + 1 : 1, sizeof *h->blocks);
    assert_true(h->roots && h->blocks);
    for (size_t k = 0; plan && k < plan->block_count; k++)
        h->blocks[k] = new_place(plan->block_bytes[k]);
    for (uint32_t i = 1; i < h->tensor_count; i++) {
        const tensor *t = tensor_of(g, (tensor_id){i});
        if (t->root.i != i || (plan && t->role == ROLE_ACTIVATION))
            continue;
        h->roots[i] = new_place(tensor_bytes(g, (tensor_id){i}));
        for (uint64_t e = 0; t->role != ROLE_ACTIVATION && e < shape_elements(t->shape); e++)
            h->roots[i][e] = host_initial((tensor_id){i}, e);
    }
}

void host_close(host *h) {
    for (size_t i = 0; i < h->tensor_count; i++)
        free(h->roots[i]);
    for (size_t k = 0; h->plan && k < h->plan->block_count; k++)
        free(h->blocks[k]);
    free(h->roots);
    free(h->blocks);
}

float *host_at(const host *h, tensor_id t) {
    if (h->plan) {
        byte_range range = tensor_range(h->graph, h->plan, t);
        if (range.space < h->plan->block_count)
            return h->blocks[range.space] + range.begin / 4;
        return h->roots[range.space - h->plan->block_count] + range.begin / 4;
    }
    return h->roots[tensor_of(h->graph, t)->root.i] + tensor_of(h->graph, t)->offset / 4;
}

void host_run(host *h, const dispatch *d) {
    float *a[DISPATCH_MAX_ARGUMENTS], factor;
    uint64_t n[DISPATCH_MAX_ARGUMENTS];
    memcpy(&factor, &d->scalars[0], sizeof factor);
    for (uint32_t k = 0; k < d->argument_count; k++) {
        a[k] = host_at(h, d->arguments[k].tensor);
        n[k] = shape_elements(shape_of(h->graph, d->arguments[k].tensor));
    }
    uint32_t last = d->argument_count - 1;
    if (strcmp(d->shader, "total") == 0) {
        float sum = 0;
        for (uint64_t i = 0; i < n[0]; i++)
            sum += a[0][i];
        a[1][0] = sum;
        return;
    }
    for (uint64_t i = 0; i < n[last]; i++) {
        if (strcmp(d->shader, "add") == 0)
            a[2][i] = a[0][i] + a[1][i];
        else if (strcmp(d->shader, "multiply") == 0)
            a[2][i] = a[0][i] * a[1][i];
        else if (strcmp(d->shader, "scale") == 0)
            a[last][i] = factor * a[0][i] + (last == 2 ? a[1][i] : 0);
        else if (strcmp(d->shader, "branch") == 0) {
            float x = a[0][i];
            a[1][i] = 2 * x;
            a[2][i] = 3 * x;
        } else if (strcmp(d->shader, "reverse") == 0)
            a[1][i] = a[0][n[0] - 1 - i];
        else if (strcmp(d->shader, "fill") == 0)
            a[0][i] = factor;
        else if (strcmp(d->shader, "spread") == 0)
            a[1][i] = a[0][0];
        else if (strcmp(d->shader, "opaque") == 0)
            a[1][i] = a[0][i] + 1;
        else
            FAIL_TEST("unknown shader %s", d->shader);
    }
}

void host_run_all(host *h, const dispatch_list *l) {
    for (size_t i = 0; i < l->count; i++)
        host_run(h, &l->items[i]);
}

// ---- random graphs -----------------------------------------------------------------------------------

uint32_t random_below(uint32_t *seed, uint32_t limit) {
    *seed = *seed * 1664525u + 1013904223u;
    return (uint32_t)(((uint64_t)(*seed >> 8) * limit) >> 24);
}

#define POOL 24

typedef struct maker {
    graph *graph;
    uint32_t seed;
    tensor_id pool[POOL]; // recent tensors of many sizes
} maker;

static tensor_id pick(maker *m) { return m->pool[random_below(&m->seed, POOL)]; }

// Something of the size of `like` from the pool, or a view of something larger, or a fill.
static tensor_id pick_like(maker *m, tensor_id like) {
    uint64_t size = shape_elements(shape_of(m->graph, like));
    for (int tries = 0; tries < 8; tries++) {
        tensor_id t = pick(m);
        uint64_t elements = shape_elements(shape_of(m->graph, t));
        if (elements == size && shape_equal(shape_of(m->graph, t), shape_of(m->graph, like)))
            return t;
        if (elements > size)
            return graph_view(m->graph, t, random_below(&m->seed, (uint32_t)(elements - size + 1)),
                              shape_of(m->graph, like), NULL);
    }
    return fill(m->graph, shape_of(m->graph, like), 0.25f);
}

static tensor_id random_node(maker *m) {
    graph *g = m->graph;
    tensor_id x = pick(m);
    switch (random_below(&m->seed, 8)) {
    case 0:
    case 1:
        return add(g, x, pick_like(m, x));
    case 2:
        return multiply(g, x, pick_like(m, x));
    case 3:
        return scale(g, x, 0.5f);
    case 4:
        x = branch(g, x);
        m->pool[random_below(&m->seed, POOL)] = graph_output(g, x, 1);
        return x;
    case 5:
        return reverse(g, x);
    case 6:
        return fill(g, SHAPE(1 + random_below(&m->seed, 300)), 0.125f);
    default:
        return graph_node(g, &operator_scale, NULL, (tensor_id[]){x, pick_like(m, x)}, 2);
    }
}

graph *random_graph(uint32_t seed, uint32_t nodes, tensor_id *keep, size_t *keep_count) {
    maker m = {.graph = test_graph(), .seed = seed};
    graph *g = m.graph;
    // Half of the arena chunk is read, the other half assigned, as views.
    tensor_id chunk = state(g, "arena", 512), sum = state(g, "sum", 64);
    for (uint32_t k = 0; k < POOL; k++)
        m.pool[k] = k % 2 ? input(g, "x", 97) : graph_view(g, chunk, random_below(&m.seed, 128), SHAPE(100), NULL);
    *keep_count = 0;
    for (uint32_t i = 0; i < nodes; i++) {
        tensor_id t = random_node(&m);
        m.pool[random_below(&m.seed, POOL)] = t;
        if (random_below(&m.seed, nodes / 8 + 1) == 0 && *keep_count < 8)
            keep[(*keep_count)++] = t;
    }
    for (uint64_t k = 0; k < 4; k++) {
        tensor_id target = graph_view(g, chunk, 256 + 64 * k, SHAPE(64), NULL);
        graph_accumulate(g, scale(g, pick_like(&m, target), 2), target);
    }
    assign(g, pick_like(&m, sum), sum);
    for (uint32_t k = 0; k < POOL && *keep_count < 8; k += 5)
        keep[(*keep_count)++] = m.pool[k];
    assert_int_equal(graph_check(g), IGVK_OK);
    return g;
}
