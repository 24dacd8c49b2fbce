// SPDX-License-Identifier: MIT
// Runs a row of the operator tests (op_test.h).
#include "ops/op_test.h"

#include "core/philox.h"
#include "graph/compile.h"
#include "step_block.h"
#include "vulkan/program.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#undef fail // cmocka's macro of that name; here it is core/status.h's

#define GUARD 64 // elements around every input: NaN, and of states unchanged after the run
#define GUARD_WORD 0x7FC0DEADu
#define MAX_DIFFERENCES 48 // elements of an input whose derivative is taken
#define SKIPPED 77         // for CTest
#define MAX_OUTPUTS (2 * OP_MAX_VALUES)

typedef struct op_run {
    const op_row *row;
    uint32_t input_count, output_count; // outputs: the graph's, then states
    op_value in[OP_MAX_VALUES];
    op_value wanted[MAX_OUTPUTS], got[MAX_OUTPUTS];
    op_value seeds[OP_MAX_VALUES]; // of the graph's outputs, for gradients
    op_value gradients[OP_MAX_VALUES];
    bool any_gradient;
    char where[128]; // for messages: which kernels
    char inputs_names[OP_MAX_VALUES][24];
} op_run;

static bool is_state(const op_input *in) {
    return in->kind == OP_STATE_F32 || in->kind == OP_STATE_U32;
}
static bool is_u32(const op_input *in) {
    return in->kind == OP_U32 || in->kind == OP_STATE_U32;
}

// ---- values ------------------------------------------------------------------------------------------------

static void *allocate(uint64_t count, size_t size) {
    void *p = calloc(count ? count : 1, size);
    if (!p) {
        fprintf(stderr, "out of memory\n");
        abort();
    }
    return p;
}

static op_value value_new(tensor_shape shape) {
    const uint64_t count = shape_elements(shape);
    return (op_value){.shape = shape, .count = count, .v = allocate(count, sizeof(double))};
}

static void value_free(op_value *x) {
    free(x->v);
    free((void *)x->words);
    *x = (op_value){0};
}

static float f32_of(uint32_t word) {
    float f;
    memcpy(&f, &word, sizeof f);
    return f;
}

static uint32_t word_of(float f) {
    uint32_t word;
    memcpy(&word, &f, sizeof word);
    return word;
}

static void values_of_words(op_value *x, const uint32_t *words, bool u32) {
    for (uint64_t i = 0; i < x->count; i++)
        x->v[i] = u32 ? (double)words[i] : (double)f32_of(words[i]);
}

static op_value make_input(const op_row *row, const op_input *in, uint32_t place) {
    op_value x = value_new(in->shape);
    uint32_t *words = allocate(x.count, sizeof *words);
    const bool standard = in->low == 0 && in->high == 0;
    const double low = standard ? -1 : in->low, high = standard ? 1 : in->high;
    if (in->fill)
        in->fill(row, x.count, is_u32(in) ? NULL : (float *)words, is_u32(in) ? words : NULL);
    for (uint64_t i = 0; i < x.count && !in->fill; i++) {
        const double u = random_uniform(1, 100, place, 0, i);
        words[i] = is_u32(in) ? (uint32_t)(in->low + floor(u * (in->high - in->low + 1)))
                              : word_of((float)(low + u * (high - low)));
    }
    x.words = words;
    values_of_words(&x, words, is_u32(in));
    return x;
}

// ---- step blocks ---------------------------------------------------------------------------------------------

uint32_t *op_step_block(uint32_t *words) {
    return words + (1 + OP_RUN % STEP_RING) * STEP_WORDS;
}

uint32_t op_step_word(const op_value *steps, uint32_t word) {
    return steps->words[(1 + OP_RUN % STEP_RING) * STEP_WORDS + word];
}

double op_step_f32(const op_value *steps, uint32_t word) {
    return (double)f32_of(op_step_word(steps, word));
}

void op_set_f32(uint32_t *word, double value) {
    *word = word_of((float)value);
}

static void set_pair(uint32_t *words, double value) {
    op_set_f32(words, value);
    op_set_f32(words + 1, value - (double)(float)value);
}

void op_fill_steps(const op_row *row, uint64_t count, float *f32, uint32_t *u32) {
    (void)row, (void)f32;
    for (uint64_t i = 0; i < count; i++)
        u32[i] = GUARD_WORD;
    u32[0] = OP_RUN;
    uint32_t *block = op_step_block(u32);
    block[STEP_INDEX] = 5;
    block[STEP_SEED_LOW] = 0x12345678;
    block[STEP_SEED_HIGH] = 9;
    block[STEP_ITEM] = 24;
    op_set_f32(&block[STEP_TIME], 0.37);
    op_set_f32(&block[STEP_IG_SCALE], 1.4);
    op_set_f32(&block[STEP_CFG_SCALE], 1.35);
    const double coefficients[] = {0.98765432109876543, -0.1234567890123456, 0.3456789012345678, 0.0567890123456789};
    for (int k = 0; k < 4; k++)
        set_pair(&block[STEP_COEFFICIENTS + 2 * k], coefficients[k]);
    block[STEP_COMMIT] = 1;
    op_set_f32(&block[STEP_LEARNING_RATE], 1e-3);
    op_set_f32(&block[STEP_BETA1], 0.9);
    op_set_f32(&block[STEP_BETA2], 0.999);
    op_set_f32(&block[STEP_RATE1], 1 - 0.9);
    op_set_f32(&block[STEP_RATE2], 1 - 0.999);
    op_set_f32(&block[STEP_EPSILON], 1e-8);
    op_set_f32(&block[STEP_WEIGHT_DECAY], 0.1);
    op_set_f32(&block[STEP_BIAS1], 1e-3 / (1 - pow(0.9, 3)));
    op_set_f32(&block[STEP_BIAS2], 1 / sqrt(1 - pow(0.999, 3)));
    op_set_f32(&block[STEP_MAX_NORM], 1);
    op_set_f32(&block[STEP_EMA_DECAY], 0.9999);
    op_set_f32(&block[STEP_EMA_RATE], 1 - 0.9999);
    op_set_f32(&block[STEP_LOSS_SCALE], 0.25);
    op_set_f32(&block[STEP_MUON_MOMENTUM], 0.95);
    op_set_f32(&block[STEP_MUON_RATE], 1 - 0.95);
    op_set_f32(&block[STEP_MUON_DECAY], 0.01);
}

tensor_id op_copy(graph *g, tensor_id t) {
    return op_repeat(g, t, 1);
}

// ---- the graph ----------------------------------------------------------------------------------------------

// Inputs are views into roots with guards on both sides.
static tensor_id declare_input(graph *g, op_run *r, uint32_t k) {
    const op_input *in = &r->row->inputs[k];
    snprintf(r->inputs_names[k], sizeof r->inputs_names[k], "input.%u", k);
    tensor_id root = graph_external(g, is_state(in) ? ROLE_STATE : ROLE_INPUT, r->inputs_names[k],
                                    is_u32(in) ? STORAGE_U32 : STORAGE_F32, SHAPE(r->in[k].count + 2 * GUARD));
    return graph_view(g, root, GUARD, in->shape, in->name);
}

typedef struct built {
    graph *graph;
    tensor_id keep[2 * OP_MAX_VALUES]; // outputs, then gradients
    uint32_t keep_count;
} built;

static igvk_status build(op_run *r, bool gradient, built *b) {
    tensor_id in[OP_MAX_VALUES], seeds[OP_MAX_VALUES], wrt[OP_MAX_VALUES];
    size_t wrt_count = 0;
    igvk_status status = IGVK_OK;
    *b = (built){.graph = graph_new(), .keep_count = r->row->outputs};
    graph *g = b->graph;
    graph_keep_for_gradient(g, gradient);
    for (uint32_t k = 0; k < r->input_count; k++)
        in[k] = declare_input(g, r, k);
    r->row->build(g, r->row, in, b->keep);
    TRY(graph_check(g));
    if (gradient) {
        for (uint32_t k = 0; k < r->row->outputs; k++) {
            char name[24];
            snprintf(name, sizeof name, "seed.%u", k);
            seeds[k] = graph_external(g, ROLE_INPUT, name, STORAGE_F32, shape_of(g, b->keep[k]));
        }
        for (uint32_t k = 0; k < r->input_count; k++)
            if (r->row->inputs[k].gradient)
                wrt[wrt_count++] = in[k];
        TRY(graph_gradient(g, b->keep, seeds, r->row->outputs, wrt, wrt_count, b->keep + b->keep_count));
        b->keep_count += (uint32_t)wrt_count;
    }
    TRY(graph_check(g));
done:
    return status;
}

// ---- on the device ------------------------------------------------------------------------------------------

static igvk_status give_inputs(op_run *r, store *s, bool gradient) {
    igvk_status status = IGVK_OK;
    for (uint32_t k = 0; k < r->input_count; k++) {
        const uint64_t count = r->in[k].count;
        uint32_t guard[GUARD];
        for (uint32_t i = 0; i < GUARD; i++)
            guard[i] = GUARD_WORD;
        TRY(store_add(s, r->inputs_names[k], 4 * (count + 2 * GUARD), STORE_DEVICE));
        TRY(store_write(s, r->inputs_names[k], 0, guard, sizeof guard));
        TRY(store_write(s, r->inputs_names[k], sizeof guard, r->in[k].words, 4 * count));
        TRY(store_write(s, r->inputs_names[k], sizeof guard + 4 * count, guard, sizeof guard));
    }
    for (uint32_t k = 0; gradient && k < r->row->outputs; k++) {
        char name[24];
        snprintf(name, sizeof name, "seed.%u", k);
        TRY(store_add(s, name, 4 * r->seeds[k].count, STORE_DEVICE));
        TRY(store_write(s, name, 0, r->seeds[k].words, 4 * r->seeds[k].count));
    }
done:
    return status;
}

static igvk_status read_states(op_run *r, store *s) {
    igvk_status status = IGVK_OK;
    uint32_t output = r->row->outputs;
    uint32_t *words = NULL;
    for (uint32_t k = 0; k < r->input_count; k++) {
        if (!is_state(&r->row->inputs[k]))
            continue;
        const uint64_t count = r->in[k].count;
        free(words);
        words = allocate(count + 2 * GUARD, 4);
        TRY(store_read(s, r->inputs_names[k], 0, words, 4 * (count + 2 * GUARD)));
        for (uint64_t i = 0; i < GUARD; i++)
            if (words[i] != GUARD_WORD || words[GUARD + count + i] != GUARD_WORD)
                THROW(IGVK_ERROR_INTERNAL, "written outside state '%s'", r->row->inputs[k].name);
        values_of_words(&r->got[output++], words + GUARD, is_u32(&r->row->inputs[k]));
    }
done:
    free(words);
    return status;
}

static igvk_status read_kept(op_run *r, program *p, const graph *g, const built *b) {
    igvk_status status = IGVK_OK;
    uint32_t *words = NULL;
    op_value *next_gradient = r->gradients;
    for (uint32_t k = 0; k < b->keep_count; k++) {
        op_value *to = k < r->row->outputs ? &r->got[k] : next_gradient++;
        while (k >= r->row->outputs && !to->v)
            to = next_gradient++;
        if (!tensor_is(b->keep[k])) // nothing depends on the input: zeros
            continue;
        free(words);
        words = allocate(to->count, 4);
        TRY(program_read(p, b->keep[k], words, 4 * to->count));
        values_of_words(to, words, tensor_of(g, b->keep[k])->type == STORAGE_U32);
    }
done:
    free(words);
    return status;
}

static igvk_status run_on_device(device *d, op_run *r, built *b, compiled_graph *compiled, bool gradient) {
    igvk_status status = IGVK_OK;
    store *s = NULL;
    workspace *w = NULL;
    program *p = NULL;
    TRY(store_create(d, &s));
    TRY(give_inputs(r, s, gradient));
    TRY(workspace_create(d, &w));
    TRY(workspace_reserve(w, &compiled->plan));
    TRY(program_record(d, &compiled->list, &compiled->plan, s, w, NULL, &p));
    TRY(program_run(p, NULL));
    TRY(device_wait(d));
    TRY(read_kept(r, p, compiled->graph, b));
    TRY(read_states(r, s));
done:
    program_destroy(&p);
    workspace_destroy(&w);
    store_destroy(&s);
    return status;
}

// ---- comparing ----------------------------------------------------------------------------------------------

static double largest(const op_value *x) {
    double most = 0;
    for (uint64_t i = 0; i < x->count; i++)
        if (fabs(x->v[i]) > most)
            most = fabs(x->v[i]);
    return most;
}

static void report(const op_run *r, const char *what, uint64_t i, double got, double wanted, double bound) {
    fprintf(stderr, "%s (%s), %s: %s[%llu] is %.9g, must be %.9g within %.3g\n", r->row->op, r->row->label, r->where,
            what, (unsigned long long)i, got, wanted, bound);
}

// A number that is not finite must be not finite on both sides.
static bool compare(const op_run *r, const char *what, const op_value *got, const op_value *wanted, double bound) {
    for (uint64_t i = 0; i < wanted->count; i++) {
        const double error = fabs(got->v[i] - wanted->v[i]);
        if (!(error <= bound) && (isfinite(wanted->v[i]) || isfinite(got->v[i]))) {
            report(r, what, i, got->v[i], wanted->v[i], bound);
            return false;
        }
    }
    return true;
}

static bool compare_outputs(const op_run *r, const graph *g, const built *b) {
    bool good = true;
    uint32_t k = 0;
    for (; k < r->row->outputs; k++) {
        char what[24];
        snprintf(what, sizeof what, "output %u", k);
        const bool exact = tensor_of(g, b->keep[k])->type == STORAGE_U32;
        good &= compare(r, what, &r->got[k], &r->wanted[k], exact ? 0 : r->row->tolerance * largest(&r->wanted[k]));
    }
    for (uint32_t i = 0; i < r->input_count; i++)
        if (is_state(&r->row->inputs[i])) {
            const op_input *in = &r->row->inputs[i];
            const double tolerance = in->tolerance > 0 ? in->tolerance : r->row->tolerance;
            const double bound = is_u32(in) ? 0 : tolerance * largest(&r->wanted[k]);
            good &= compare(r, in->name, &r->got[k], &r->wanted[k], bound);
            k++;
        }
    return good;
}

static void refer(const op_run *r, op_value *out) {
    uint32_t k = r->row->outputs;
    for (uint32_t i = 0; i < r->input_count; i++)
        if (is_state(&r->row->inputs[i]))
            memcpy(out[k++].v, r->in[i].v, r->in[i].count * sizeof(double));
    r->row->reference(r->row, r->in, out);
}

// sum of outputs times seeds, by the reference
static double weighted(const op_run *r, op_value *out) {
    double sum = 0;
    refer(r, out);
    for (uint32_t k = 0; k < r->row->outputs; k++)
        for (uint64_t i = 0; i < out[k].count; i++)
            sum += out[k].v[i] * r->seeds[k].v[i];
    return sum;
}

static bool compare_gradient(op_run *r, uint32_t input, op_value *scratch) {
    const op_value *x = &r->in[input], *got = &r->gradients[input];
    const uint64_t count = x->count < MAX_DIFFERENCES ? x->count : MAX_DIFFERENCES;
    op_value wanted = value_new(SHAPE(count)), here = value_new(SHAPE(count));
    for (uint64_t j = 0; j < count; j++) {
        const uint64_t i = j == count - 1 ? x->count - 1 : j * x->count / count; // the last element always
        const double kept = x->v[i], h = 1e-4 * fmax(1, fabs(kept));
        x->v[i] = kept + h;
        const double above = weighted(r, scratch);
        x->v[i] = kept - h;
        wanted.v[j] = (above - weighted(r, scratch)) / (2 * h);
        here.v[j] = got->v[i];
        x->v[i] = kept;
    }
    char what[64];
    snprintf(what, sizeof what, "gradient of '%s', sample", r->row->inputs[input].name);
    const double tolerance = r->row->gradient_tolerance > 0 ? r->row->gradient_tolerance : r->row->tolerance;
    const bool good = compare(r, what, &here, &wanted, tolerance * fmax(largest(&wanted), 1e-6) + 1e-9);
    value_free(&wanted);
    value_free(&here);
    return good;
}

static bool compare_gradients(op_run *r) {
    bool good = true;
    op_value scratch[MAX_OUTPUTS];
    for (uint32_t k = 0; k < r->output_count; k++)
        scratch[k] = value_new(r->wanted[k].shape);
    for (uint32_t k = 0; k < r->input_count; k++)
        if (r->row->inputs[k].gradient)
            good &= compare_gradient(r, k, scratch);
    for (uint32_t k = 0; k < r->output_count; k++)
        value_free(&scratch[k]);
    return good;
}

// ---- a row --------------------------------------------------------------------------------------------------

static void make_values(op_run *r, const graph *g, const built *b) {
    for (uint32_t k = 0; k < r->row->outputs; k++) {
        r->wanted[k] = value_new(shape_of(g, b->keep[k]));
        r->got[k] = value_new(shape_of(g, b->keep[k]));
        const op_input seed = {.name = "seed", .shape = shape_of(g, b->keep[k])};
        r->seeds[k] = make_input(r->row, &seed, 100 + k);
    }
    r->output_count = r->row->outputs;
    for (uint32_t k = 0; k < r->input_count; k++) {
        if (is_state(&r->row->inputs[k])) {
            r->wanted[r->output_count] = value_new(r->in[k].shape);
            r->got[r->output_count++] = value_new(r->in[k].shape);
        }
        if (r->row->inputs[k].gradient)
            r->gradients[k] = value_new(r->in[k].shape);
    }
    refer(r, r->wanted);
}

static void free_values(op_run *r) {
    for (uint32_t k = 0; k < OP_MAX_VALUES; k++) {
        value_free(&r->in[k]);
        value_free(&r->seeds[k]);
        value_free(&r->gradients[k]);
    }
    for (uint32_t k = 0; k < MAX_OUTPUTS; k++) {
        value_free(&r->wanted[k]);
        value_free(&r->got[k]);
    }
}

// Two lists with one signature run the same kernels.
static uint64_t signature(const dispatch_list *l) {
    uint64_t h = 14695981039346656037u;
#define MIX(x) h = (h ^ (uint64_t)(x)) * 1099511628211u
    for (size_t i = 0; i < l->count; i++) {
        const dispatch *d = &l->items[i];
        for (const char *c = d->shader; *c; c++)
            MIX(*c);
        MIX(d->local_size);
        for (int axis = 0; axis < 3; axis++)
            MIX(d->groups[axis]);
        for (uint32_t k = 0; k < d->constant_count; k++)
            MIX(d->constants[k]);
        for (uint32_t k = 0; k < d->scalar_count; k++)
            MIX(d->scalars[k]);
    }
#undef MIX
    return h;
}

static bool check(device *d, op_run *r, const capabilities *c, bool gradient, uint64_t *seen, size_t *seen_count) {
    igvk_status status = IGVK_OK;
    compiled_graph compiled = {0};
    built b;
    bool good = true;
    TRY(build(r, gradient, &b));
    if (!r->wanted[0].v)
        make_values(r, b.graph, &b);
    TRY(graph_compile(&b.graph, c, b.keep, b.keep_count, &compiled));
    const uint64_t s = signature(&compiled.list);
    for (size_t i = 0; i < *seen_count; i++)
        if (seen[i] == s)
            goto done;
    seen[(*seen_count)++] = s;
    TRY(run_on_device(d, r, &b, &compiled, gradient));
    good = compare_outputs(r, compiled.graph, &b);
    if (gradient)
        good &= compare_gradients(r);
done:
    graph_destroy(&b.graph);
    compiled_graph_free(&compiled);
    if (status != IGVK_OK)
        fprintf(stderr, "%s (%s), %s: %s\n", r->row->op, r->row->label, r->where, igvk_error_text());
    return status == IGVK_OK && good;
}

static void make_inputs(op_run *r) {
    for (; r->input_count < OP_MAX_VALUES && r->row->inputs[r->input_count].name; r->input_count++) {
        r->in[r->input_count] = make_input(r->row, &r->row->inputs[r->input_count], r->input_count);
        r->any_gradient |= r->row->inputs[r->input_count].gradient;
    }
}

bool op_row_passes(device *d, const op_row *row) {
    static const char *const kernel_names[] = {"the device's kernels", "register tiles, other loads",
                                               "register tiles, written out", "a GPU's kernels"};
    enum { SETS = sizeof kernel_names / sizeof *kernel_names };
    capabilities sets[SETS];
    for (int set = 0; set < SETS; set++)
        sets[set] = *device_capabilities(d);
    sets[1].lanes_broadcast = !sets[1].lanes_broadcast;
    sets[1].written_out = false;
    sets[1].pairs = !sets[1].pairs;
    sets[2].written_out = !sets[2].written_out;
    sets[3].register_tile = sets[3].cpu = sets[3].lanes_broadcast = false;
    sets[3].vector_width = 32;
    op_run r = {.row = row};
    uint64_t seen[2 * SETS];
    if (row->in_16_bits && !device_capabilities(d)->storage_16bit) {
        printf("left out: %s (%s): the device has no storage of 16 bits\n", row->op, row->label);
        return true;
    }
    size_t seen_count = 0;
    bool good = true;
    make_inputs(&r);
    for (int set = 0; set < SETS; set++) {
        const bool own = set == 0 || set == SETS - 1;
        if ((row->only_own_kernels && !own) || (row->only_this_device && set > 0))
            continue;
        for (int gradient = 0; gradient <= r.any_gradient; gradient++) {
            snprintf(r.where, sizeof r.where, "%s%s, %s", kernel_names[set], gradient ? " with gradients" : "",
                     sets[set].address ? "addresses" : "descriptors");
            good &= check(d, &r, &sets[set], gradient, seen, &seen_count);
        }
    }
    free_values(&r);
    return good;
}

static void list_operators(const graph *g, const operator** operators, size_t capacity, size_t *count) {
    for (uint32_t i = 0; i < graph_node_count(g); i++) {
        size_t known = 0;
        while (known < *count && operators[known] != node_of(g, i)->op)
            known++;
        if (known == *count && *count < capacity)
            operators[(*count)++] = node_of(g, i)->op;
    }
}

bool op_row_operators(const op_row *row, const operator** operators, size_t capacity, size_t *count) {
    op_run r = {.row = row};
    bool good = true;
    make_inputs(&r);
    for (int gradient = 0; gradient <= r.any_gradient; gradient++) {
        built b;
        if (build(&r, gradient, &b) == IGVK_OK) {
            list_operators(b.graph, operators, capacity, count);
        } else {
            fprintf(stderr, "%s (%s): %s\n", row->op, row->label, igvk_error_text());
            good = false;
        }
        graph_destroy(&b.graph);
    }
    free_values(&r);
    return good;
}

// ---- a test of rows -------------------------------------------------------------------------------------------

static const op_row *rows_of_test;
static size_t row_count;

// A device of this test's own, closed before the process ends: layers may not outlive their static objects.
static void run_rows(bool no_address) {
    device *d = NULL;
    size_t failed = 0;
    if (device_open(&(device_options){.no_address = no_address}, &d) != IGVK_OK) {
        printf("skipped: %s\n", igvk_error_text());
        exit(SKIPPED);
    }
    for (size_t i = 0; i < row_count; i++)
        failed += !op_row_passes(d, &rows_of_test[i]);
    device_close(&d);
    assert_int_equal(failed, 0);
}

static void rows_by_address(void **state) {
    (void)state;
    run_rows(false);
}

static void rows_by_descriptors(void **state) {
    (void)state;
    run_rows(true);
}

int op_rows_main(const op_row *rows, size_t count) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(rows_by_address), cmocka_unit_test(rows_by_descriptors)};
    rows_of_test = rows;
    row_count = count;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
