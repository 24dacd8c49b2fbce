// SPDX-License-Identifier: MIT
// The memory plan: on random graphs no two tensors that live at the same time share a byte (in-place pairs
// excepted) and planned runs give what unplanned ones give; in-place rules; limits; how tight training plans are.
#include "graph/helpers.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

// ---- an independent look at a plan ---------------------------------------------------------------------

typedef struct life {
    bool used;
    uint32_t first, last;
} life;

static life *find_lives(const dispatch_list *l, const plan_options *o) {
    life *lives = calloc(graph_tensor_count(l->graph) + 1, sizeof *lives);
    assert_non_null(lives);
    for (uint32_t i = 0; i < l->count; i++)
        for (uint32_t k = 0; k < l->items[i].argument_count; k++) {
            tensor_id root = tensor_of(l->graph, l->items[i].arguments[k].tensor)->root;
            if (tensor_of(l->graph, root)->role != ROLE_ACTIVATION)
                continue;
            if (!lives[root.i].used)
                lives[root.i] = (life){true, i, i};
            lives[root.i].last = i;
        }
    for (size_t k = 0; k < o->keep_count; k++)
        lives[tensor_of(l->graph, o->keep[k])->root.i].last = (uint32_t)l->count - 1;
    return lives;
}

// Whether the dispatch where root a ends lets root b, which begins there, take its place.
static bool in_place_pair(const dispatch_list *l, const life *lives, uint32_t a, uint32_t b, const plan_options *o) {
    if (lives[a].last != lives[b].first)
        return false;
    for (size_t k = 0; k < o->keep_count; k++)
        if (tensor_of(l->graph, o->keep[k])->root.i == a)
            return false;
    const dispatch *d = &l->items[lives[b].first];
    int bound = 0;
    bool pair = false;
    for (uint32_t k = 0; k < d->argument_count; k++) {
        const argument *to = &d->arguments[k];
        bound += tensor_of(l->graph, to->tensor)->root.i == a;
        pair = pair || (to->in_place_of && to->tensor.i == b && d->arguments[to->in_place_of - 1].tensor.i == a);
    }
    return pair && bound == 1;
}

static bool share_bytes(const placement *a, const placement *b) {
    return a->block == b->block && a->offset < b->offset + b->bytes && b->offset < a->offset + a->bytes;
}

static void check_pairs(const dispatch_list *l, const memory_plan *p, const life *lives, const plan_options *o) {
    for (uint32_t a = 1; a < p->placement_count; a++)
        for (uint32_t b = a + 1; b < p->placement_count && lives[a].used; b++) {
            if (!lives[b].used || !share_bytes(&p->placements[a], &p->placements[b]))
                continue;
            if (lives[a].first > lives[b].last || lives[b].first > lives[a].last)
                continue;
            if (!in_place_pair(l, lives, a, b, o) && !in_place_pair(l, lives, b, a, o))
                FAIL_TEST("tensors %u and %u share bytes while both live", a, b);
        }
}

// The largest set that lives at once, an in-place pair (as the plan has it) counted once.
static uint64_t largest_live_set(const dispatch_list *l, const memory_plan *p, const life *lives,
                                 const plan_options *o) {
    uint64_t peak = 0;
    for (uint32_t i = 0; i < l->count; i++) {
        uint64_t live = 0;
        for (uint32_t a = 1; a < p->placement_count; a++) {
            if (!lives[a].used || i < lives[a].first || i > lives[a].last)
                continue;
            bool taken = false;
            for (uint32_t k = 0; k < l->items[i].argument_count && lives[a].last == i; k++) {
                uint32_t b = tensor_of(l->graph, l->items[i].arguments[k].tensor)->root.i;
                taken = taken || (lives[b].used && b != a && in_place_pair(l, lives, a, b, o) &&
                                  share_bytes(&p->placements[a], &p->placements[b]));
            }
            live += taken ? 0 : align_up(p->placements[a].bytes, o->alignment);
        }
        peak = live > peak ? live : peak;
    }
    return peak;
}

static void check_plan(const dispatch_list *l, const memory_plan *p, const plan_options *o) {
    life *lives = find_lives(l, o);
    uint64_t sum = 0;
    assert_int_equal(p->placement_count, graph_tensor_count(l->graph) + 1);
    for (uint32_t i = 1; i < p->placement_count; i++) {
        const placement *a = &p->placements[i];
        assert_int_equal(a->placed, lives[i].used);
        if (!a->placed)
            continue;
        assert_int_equal(a->bytes, tensor_bytes(l->graph, (tensor_id){i}));
        assert_true(a->first == lives[i].first && a->last == lives[i].last);
        assert_int_equal(a->offset % o->alignment, 0);
        assert_true(a->block < p->block_count && a->offset + a->bytes <= p->block_bytes[a->block]);
    }
    for (size_t k = 0; k < p->block_count; k++) {
        assert_true(p->block_bytes[k] > 0 && p->block_bytes[k] <= o->max_block);
        sum += p->block_bytes[k];
    }
    assert_int_equal(p->peak, sum);
    check_pairs(l, p, lives, o);
    if (!o->no_reuse)
        assert_int_equal(p->live_peak, largest_live_set(l, p, lives, o));
    assert_true(p->peak >= p->live_peak);
    free(lives);
}

// ---- random graphs -----------------------------------------------------------------------------------

// Runs the list as planned; what the host can see must be what a run without a plan gives, to the bit.
static void check_run(const dispatch_list *l, const memory_plan *p, const plan_options *o) {
    host alone, planned;
    host_open(&alone, l->graph, NULL);
    host_open(&planned, l->graph, p);
    host_run_all(&alone, l);
    host_run_all(&planned, l);
    for (uint32_t i = 1; i <= graph_tensor_count(l->graph); i++)
        if (tensor_of(l->graph, (tensor_id){i})->role != ROLE_ACTIVATION)
            assert_memory_equal(host_at(&alone, (tensor_id){i}), host_at(&planned, (tensor_id){i}),
                                tensor_bytes(l->graph, (tensor_id){i}));
    for (size_t k = 0; k < o->keep_count; k++)
        assert_memory_equal(host_at(&alone, o->keep[k]), host_at(&planned, o->keep[k]),
                            tensor_bytes(l->graph, o->keep[k]));
    host_close(&alone);
    host_close(&planned);
}

static void test_random(void **state_) {
    (void)state_;
    int several_blocks = 0, in_place = 0;
    for (uint32_t seed = 1; seed <= 120; seed++) {
        tensor_id keep[8];
        size_t keep_count;
        graph *g = random_graph(seed, 10 + seed, keep, &keep_count);
        dispatch_list l;
        assert_int_equal(graph_lower(g, &test_capabilities, keep, keep_count, &l), IGVK_OK);
        const plan_options options[] = {{256, 1 << 20, false, keep, keep_count},
                                        {16, 2048, false, keep, keep_count},
                                        {64, 1 << 20, true, keep, keep_count}};
        for (int k = 0; k < 3; k++) {
            memory_plan p;
            assert_int_equal(memory_plan_make(&l, &options[k], &p), IGVK_OK);
            check_plan(&l, &p, &options[k]);
            check_run(&l, &p, &options[k]);
            several_blocks += k == 1 && p.block_count > 1;
            for (uint32_t i = 1; i < p.placement_count; i++)
                for (uint32_t j = i + 1; j < p.placement_count && p.placements[i].placed; j++)
                    in_place += p.placements[j].placed && p.placements[i].last == p.placements[j].first &&
                                share_bytes(&p.placements[i], &p.placements[j]);
            memory_plan_free(&p);
        }
        dispatch_list_free(&l);
        graph_destroy(&g);
    }
    assert_true(several_blocks > 20 && in_place > 200); // the cases that matter did come up
}

// ---- rules -------------------------------------------------------------------------------------------

static void plan_of(graph *g, const tensor_id *keep, size_t keep_count, dispatch_list *l, memory_plan *p) {
    const plan_options o = {256, 1 << 20, false, keep, keep_count};
    assert_int_equal(graph_lower(g, &test_capabilities, keep, keep_count, l), IGVK_OK);
    assert_int_equal(memory_plan_make(l, &o, p), IGVK_OK);
    check_plan(l, p, &o);
}

static bool shared(const memory_plan *p, tensor_id a, tensor_id b) {
    return share_bytes(&p->placements[a.i], &p->placements[b.i]);
}

static void test_in_place(void **state_) {
    (void)state_;
    graph *g = test_graph();
    tensor_id x = input(g, "x", 64), s = state(g, "s", 64);
    tensor_id a = scale(g, x, 2), b = scale(g, a, 3), c = scale(g, b, 4); // a chain: one place
    tensor_id d = add(g, c, c);                                           // bound twice: the other slot reads it too
    tensor_id e = add(g, d, d), f = multiply(g, d, e);                    // d is read later; f takes e's place
    tensor_id h = branch(g, f), i = add(g, h, graph_output(g, h, 1));
    tensor_id part = scale(g, graph_view(g, i, 8, SHAPE(8), NULL), 2); // not the whole
    tensor_id kept = scale(g, part, 2), last = scale(g, kept, 2);      // kept stays
    assign(g, scale(g, scale(g, last, 1), 1), graph_view(g, s, 0, SHAPE(8), NULL));
    dispatch_list l;
    memory_plan p;
    plan_of(g, &kept, 1, &l, &p);
    assert_true(shared(&p, a, b) && shared(&p, b, c));
    assert_false(shared(&p, c, d));
    assert_false(shared(&p, d, e));
    assert_true(shared(&p, e, f));
    assert_true(shared(&p, h, i));
    assert_false(shared(&p, i, part));
    assert_true(shared(&p, part, kept));
    assert_false(shared(&p, kept, last));
    // A range follows its root's place; external roots have spaces of their own.
    byte_range whole = tensor_range(g, &p, i), view = tensor_range(g, &p, graph_view(g, i, 8, SHAPE(8), NULL));
    assert_true(whole.space < p.block_count && view.space == whole.space);
    assert_int_equal(view.begin, whole.begin + 32);
    assert_int_equal(view.end, whole.begin + 64);
    byte_range external = tensor_range(g, &p, graph_view(g, s, 8, SHAPE(8), NULL));
    assert_int_equal(external.space, p.block_count + s.i);
    assert_int_equal(external.begin, 32);
    memory_plan_free(&p);
    memory_plan_free(&p);
    dispatch_list_free(&l);
    graph_destroy(&g);
}

// Dispatches written by hand: what an operator's lower() may offer and the plan must not take.
static void test_in_place_offers(void **state_) {
    (void)state_;
    graph *g = test_graph();
    tensor_id a = graph_scratch(g, STORAGE_F32, SHAPE(64)), b = graph_scratch(g, STORAGE_F32, SHAPE(64));
    tensor_id small = graph_scratch(g, STORAGE_F32, SHAPE(32)), half = graph_view(g, a, 0, SHAPE(32), NULL);
    const struct {
        tensor_id from, to, keep;
        bool taken;
    } cases[] = {
        {a, b, NO_TENSOR, true},
        {a, b, a, false}, // kept, though its last use is the last dispatch
        {a, b, b, true},
        {a, small, NO_TENSOR, false},
        {small, a, NO_TENSOR, false},
        {half, b, NO_TENSOR, false}, // the kernel's promise is about half of it
        {half, small, NO_TENSOR, false},
        {b, half, NO_TENSOR, false},
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        dispatch items[2] = {{0}};
        dispatch_list l = {.graph = g, .items = items, .count = 2};
        dispatch_bind(&items[0], cases[k].from, ACCESS_WRITE);
        dispatch_bind(&items[1], cases[k].from, ACCESS_READ);
        dispatch_bind_in_place(&items[1], cases[k].to, 0);
        const plan_options o = {16, 1 << 20, false, &cases[k].keep, tensor_is(cases[k].keep)};
        memory_plan p;
        assert_int_equal(memory_plan_make(&l, &o, &p), IGVK_OK);
        tensor_id from = tensor_of(g, cases[k].from)->root, to = tensor_of(g, cases[k].to)->root;
        assert_int_equal(shared(&p, from, to), cases[k].taken);
        memory_plan_free(&p);
    }
    graph_destroy(&g);
}

static void test_refusals(void **state_) {
    (void)state_;
    graph *g = test_graph();
    tensor_id x = input(g, "x", 300), keep = scale(g, graph_label(g, branch(g, x), "blocks.3.mlp"), 1);
    dispatch_list l;
    memory_plan p;
    assert_int_equal(graph_lower(g, &test_capabilities, &keep, 1, &l), IGVK_OK);
    plan_options o = {256, 1200, false, &keep, 1};
    assert_int_equal(memory_plan_make(&l, &o, &p), IGVK_ERROR_DEVICE_MEMORY);
    assert_non_null(strstr(igvk_error_text(), "'blocks.3.mlp' (300) needs 1.17 KiB in one piece, but one piece"));
    assert_null(p.placements);
    o.max_block = 1280;
    assert_int_equal(memory_plan_make(&l, &o, &p), IGVK_OK);
    assert_int_equal(p.block_count, 2); // two outputs of branch, scale in place of the first
    memory_plan_free(&p);
    // Nothing may be read that nothing wrote.
    l.items[0] = l.items[1];
    l.count = 1;
    assert_int_equal(memory_plan_make(&l, &o, &p), IGVK_ERROR_INTERNAL);
    assert_non_null(strstr(igvk_error_text(), "reads 'blocks.3.mlp' (300) before any dispatch writes it"));
    // An empty list has an empty plan.
    l.count = 0;
    assert_int_equal(memory_plan_make(&l, &o, &p), IGVK_OK);
    assert_int_equal(p.peak, 0);
    memory_plan_free(&p);
    dispatch_list_free(&l);
    graph_destroy(&g);
}

// ---- a transformer's training graph --------------------------------------------------------------------
// Sizes and lifetimes as a block of SiT has them, forward and backward, without the arithmetic.

static igvk_status blob_shapes(const graph *g, const node *n, output_shapes *out) {
    (void)g;
    out->count = 1;
    memcpy(&out->shape[0], n->attributes, sizeof out->shape[0]);
    return IGVK_OK;
}

static igvk_status blob_lower(lowering *l, const node *n) {
    dispatch d = {.shader = "blob", .local_size = 64, .groups = {1, 1, 1}};
    for (uint32_t k = 0; k < n->input_count; k++)
        dispatch_bind(&d, n->inputs[k], ACCESS_READ);
    dispatch_bind(&d, n->outputs[0], ACCESS_WRITE);
    return lowering_emit(l, &d);
}

static const operator operator_blob = {
    .name = "blob", .attributes_size = sizeof(tensor_shape), .shapes = blob_shapes, .lower = blob_lower};

static tensor_id blob(graph *g, tensor_shape shape, size_t count, const tensor_id *inputs) {
    return graph_node(g, &operator_blob, &shape, inputs, count);
}
#define BLOB(shape, ...)                                                                                               \
    blob(g, shape, sizeof((tensor_id[]){__VA_ARGS__}) / sizeof(tensor_id), (tensor_id[]){__VA_ARGS__})

typedef struct block_values {
    tensor_id x, modulation, h1, qkv, statistics, attention, projected, middle, h2, before, after, mlp;
} block_values;

// n images, t tokens, d width, e heads.
static tensor_id block_forward(graph *g, tensor_id x, tensor_id c, uint64_t n, uint64_t t, uint64_t d, uint64_t e,
                               block_values *v) {
    const tensor_shape narrow = SHAPE(n, t, d), wide = SHAPE(n, t, 4 * d);
    v->x = x;
    v->modulation = BLOB(SHAPE(n, 6 * d), c);
    v->h1 = BLOB(narrow, x, v->modulation);
    v->qkv = BLOB(SHAPE(n, t, 3 * d), v->h1);
    v->statistics = BLOB(SHAPE(n, e, t), v->qkv);
    v->attention = BLOB(narrow, v->qkv, v->statistics);
    v->projected = BLOB(narrow, v->attention);
    v->middle = BLOB(narrow, v->x, v->projected, v->modulation);
    v->h2 = BLOB(narrow, v->middle, v->modulation);
    v->before = BLOB(wide, v->h2);
    v->after = BLOB(wide, v->before);
    v->mlp = BLOB(narrow, v->after);
    return BLOB(narrow, v->middle, v->mlp, v->modulation);
}

static tensor_id block_backward(graph *g, tensor_id dy, tensor_id *dc, uint64_t n, uint64_t t, uint64_t d, uint64_t e,
                                const block_values *v) {
    const tensor_shape narrow = SHAPE(n, t, d), wide = SHAPE(n, t, 4 * d);
    tensor_id dmlp = BLOB(narrow, dy, v->modulation), dgate = BLOB(SHAPE(n, d), dy, v->mlp);
    tensor_id dafter = BLOB(wide, dmlp), dw = BLOB(SHAPE(d, 4 * d), dmlp, v->after);
    tensor_id dbefore = BLOB(wide, dafter, v->before), dw1 = BLOB(SHAPE(d, 4 * d), dbefore, v->h2);
    tensor_id dh2 = BLOB(narrow, dbefore), dm = BLOB(narrow, dy, dh2, v->middle, v->modulation);
    tensor_id ds2 = BLOB(SHAPE(n, 2 * d), dh2, v->middle);
    tensor_id dproj = BLOB(narrow, dm, v->modulation), dgate1 = BLOB(SHAPE(n, d), dm, v->projected);
    tensor_id datt = BLOB(narrow, dproj), dot = BLOB(SHAPE(n, e, t), datt, v->attention);
    tensor_id dw2 = BLOB(SHAPE(d, d), dproj, v->attention);
    tensor_id dqkv = BLOB(SHAPE(n, t, 3 * d), datt, dot, v->qkv, v->statistics);
    tensor_id dh1 = BLOB(narrow, dqkv), dw3 = BLOB(SHAPE(3 * d, d), dqkv, v->h1);
    tensor_id dx = BLOB(narrow, dm, dh1, v->x, v->modulation), ds1 = BLOB(SHAPE(n, 2 * d), dh1, v->x);
    tensor_id dmodulation = BLOB(SHAPE(n, 6 * d), dgate, ds2, dgate1, ds1);
    tensor_id dw4 = BLOB(SHAPE(6 * d, d), dmodulation);
    *dc = BLOB(SHAPE(n, d), *dc, dmodulation);
    BLOB(SHAPE(1), dw, dw1, dw2, dw3, dw4);
    return dx;
}

static void plan_transformer(uint64_t n, uint64_t t, uint64_t d, uint64_t e, int depth, uint64_t max_block) {
    graph *g = test_graph();
    block_values values[28];
    tensor_id c = BLOB(SHAPE(n, d), input(g, "t", n)), x = BLOB(SHAPE(n, t, d), input(g, "x", n * t * 16));
    for (int k = 0; k < depth; k++)
        x = block_forward(g, x, c, n, t, d, e, &values[k]);
    tensor_id dc = BLOB(SHAPE(n, d), c), dx = BLOB(SHAPE(n, t, d), x);
    for (int k = depth - 1; k >= 0; k--)
        dx = block_backward(g, dx, &dc, n, t, d, e, &values[k]);
    uint32_t nodes = graph_node_count(g);
    tensor_id *keep = calloc(nodes + 1, sizeof *keep);
    size_t keep_count = 0;
    assert_non_null(keep);
    keep[keep_count++] = BLOB(SHAPE(1), dx, dc);
    for (uint32_t i = 0; i < nodes; i++) // the weight gradients' last readers
        if (shape_elements(shape_of(g, node_of(g, i)->outputs[0])) == 1)
            keep[keep_count++] = node_of(g, i)->outputs[0];
    dispatch_list l;
    memory_plan p;
    const plan_options o = {256, max_block, false, keep, keep_count};
    assert_int_equal(graph_check(g), IGVK_OK);
    assert_int_equal(graph_lower(g, &test_capabilities, keep, keep_count, &l), IGVK_OK);
    assert_int_equal(l.count, graph_node_count(g));
    clock_t start = clock();
    assert_int_equal(memory_plan_make(&l, &o, &p), IGVK_OK);
    double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
    check_plan(&l, &p, &o);
    print_message(
        "depth %2d width %4d batch %d: %zu dispatches, %.0f MiB in %zu blocks, %.4f of the live peak, %.3f s\n", depth,
        (int)d, (int)n, l.count, (double)p.peak / (1 << 20), p.block_count, (double)p.peak / (double)p.live_peak,
        seconds);
    assert_true((double)p.peak <= 1.1 * (double)p.live_peak);
    memory_plan_free(&p);
    dispatch_list_free(&l);
    free(keep);
    graph_destroy(&g);
}

static void test_transformers(void **state_) {
    (void)state_;
    static const uint64_t limits[] = {1ull << 40, 1ull << 31, 1ull << 30, 1ull << 28};
    for (size_t k = 0; k < 4; k++) {
        plan_transformer(1, 256, 384, 6, 12, limits[k]);
        plan_transformer(16, 64, 768, 12, 12, limits[k]);
        plan_transformer(3, 256, 1152, 16, 28, limits[k]);
        plan_transformer(16, 256, 1152, 16, 28, limits[k]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random),   cmocka_unit_test(test_in_place),     cmocka_unit_test(test_in_place_offers),
        cmocka_unit_test(test_refusals), cmocka_unit_test(test_transformers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
