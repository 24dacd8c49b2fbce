// SPDX-License-Identifier: MIT
// The operators, as functions that append a node. Shapes: N images or samples, T tokens, D width, M rows (all
// leading dimensions together), K input features. f32 unless said. Each returns the first output; a refusal is
// the graph's sticky error. Formulas: chapter numbers are those of docs/method.md.
#ifndef IGVK_OPS_OPS_H
#define IGVK_OPS_OPS_H

#include "graph/operator.h"

// The table of all operators, by which tests and `igvk info` walk.
extern const operator *const operator_table[];
extern const size_t operator_count;
const operator *operator_find(const char *name); // null where none

graph *graph_new(void); // graph_create with this floor's `add`

typedef enum activation_kind { ACTIVATION_NONE, ACTIVATION_SILU, ACTIVATION_GELU_TANH } activation_kind;

// ---- linear.c: y = residual + gate * activation(x weight^T + bias) ---------------------------------
// x [..., K], weight [O, K], bias [O] -> [..., O]. The weight may be f16 or bf16, and x then of its type or f32; sums
// and the output are f32, and so are gradients. Where both are of 16 bits the gradient of z is rounded to their type
// before its products. gate [G, O]: row r uses gate row r / (M / G). residual has
// y's shape, or [R, O] with R dividing M: row r uses residual row r % R.
typedef struct linear_options {
    tensor_id bias, gate, residual; // NO_TENSOR: none
    activation_kind activation;
} linear_options;
tensor_id op_linear(graph *g, tensor_id x, tensor_id weight, const linear_options *o);
// The products its gradient is made of: dx [M, K] = dy [M, O] weight; dw [O, K] = dy^T x; db [O] = column sums.
tensor_id op_linear_input_gradient(graph *g, tensor_id dy, tensor_id weight);
tensor_id op_linear_weight_gradient(graph *g, tensor_id dy, tensor_id x);
tensor_id op_column_sum(graph *g, tensor_id dy);

// ---- attention.c -----------------------------------------------------------------------------------
// qkv [N, T, 3D] laid out [q | k | v], each of `heads` heads of D / heads <= 128 -> [N, T, D].
// softmax(q k^T / sqrt(D / heads)) v, online softmax, no score matrix in memory.
tensor_id op_attention(graph *g, tensor_id qkv, uint32_t heads);
// ---- token_order.c: some of an image's tokens, in an order of their own
// ---------------------------------------------- Tokens [N, T] in the order `order` (u32 [N, T], a permutation each;
// `restore` is its inverse), of which the first kept[0] (u32 [1]) are seen.
typedef struct token_order {
    tensor_id order, restore, kept;
} token_order;
// Drawn: kept = T (1 - ratio - spread u), u uniform, one for the step. By the step block, or by seeds as op_normal
// takes them, and then u = 1/2.
token_order op_draw_order(graph *g, tensor_id steps, tensor_id seeds, uint32_t images, uint32_t tokens, double ratio,
                          double spread);
uint32_t tokens_kept_at_most(uint32_t tokens, double ratio); // the upper bound that shapes have
// x [N, T, D] -> [N, most, D], the kept tokens in their order, then zeros; and back, zeros in the others' places.
tensor_id op_take_tokens(graph *g, tensor_id x, const token_order *o, uint32_t most);
tensor_id op_put_tokens_back(graph *g, tensor_id x, const token_order *o);
// [N, T, D]: of `visible` where a token is kept, else of `masked`, which may be one token [D].
tensor_id op_select_tokens(graph *g, tensor_id visible, tensor_id masked, const token_order *o);
// ---- attention_bias.c: attention with a bias added to scores after their scale, by relative position
// ------------------ Tokens are the patches of a grid row by row, or the kept ones of an order, in it; rows beyond
// those are anything, and their gradient must be zero. Score of query patch (r, c) and key patch (r', c') gets table[(r
// - r' + rows - 1)(2 columns - 1) + c - c' + columns - 1, head].
typedef struct attention_bias_options {
    uint32_t heads, rows, columns;
    tensor_id table;          // [(2 rows - 1)(2 columns - 1) + 3, heads]
    const token_order *order; // null: all patches
} attention_bias_options;
tensor_id op_attention_bias(graph *g, tensor_id qkv, const attention_bias_options *o);
// ---- norm.c: norm(x) weight (1 + scale) + shift over the width ------------------------------------------
// LayerNorm, or RMSNorm (no mean is taken away). x [N, T, D], scale and shift [N, D], weight [D].
typedef enum norm_kind { NORM_LAYER, NORM_RMS } norm_kind;
typedef struct norm_options {
    norm_kind kind;
    tensor_id scale;         // always there
    tensor_id shift, weight; // NO_TENSOR: none
    float epsilon;
} norm_options;
tensor_id op_norm_modulate(graph *g, tensor_id x, const norm_options *o);
// ---- qk_norm.c: a norm over each head's dimension of q and k, with weight and, of LayerNorm, bias [D / heads]; v is
// passed on. RMSNorm takes no biases (NO_TENSOR).
typedef struct qk_norm_options {
    norm_kind kind;
    tensor_id q_weight, q_bias, k_weight, k_bias;
    uint32_t heads;
    float epsilon;
} qk_norm_options;
tensor_id op_qk_norm(graph *g, tensor_id qkv, const qk_norm_options *o);
// ---- rotary.c: neighbouring pairs (a, b) of each head of q and of k turn by the token's angles: a cos - b sin,
// b cos + a sin. qkv [N, T, 3D], cos and sin [T, D / heads], whose neighbours are equal (chapter 4); v is passed on.
tensor_id op_rotary(graph *g, tensor_id qkv, tensor_id cosines, tensor_id sines, uint32_t heads);

// ---- convolution.c: y = residual + bias + x * weight, zeros beyond x's edges ------------------------------
// x [N, C, H, W], weight [O, C, K, K], K at most 3, bias [O], residual y's shape -> [N, O, H', W'], where
// H' = (H + pad_before + pad_after - K) / stride + 1, with H twice as large where x is upsampled. No gradient.
typedef struct convolution_options {
    tensor_id bias, residual; // NO_TENSOR: none
    uint32_t stride;          // 0 stands for 1
    uint32_t pad_before;      // rows above and columns to the left
    uint32_t pad_after;       // rows below and columns to the right
    bool upsample;            // x is read as if each pixel were two by two (nearest)
} convolution_options;
tensor_id op_convolution(graph *g, tensor_id x, tensor_id weight, const convolution_options *o);
// ---- group_norm.c: over groups of channels and all their pixels; x [N, C, H, W], weight, bias [C]. No gradient.
typedef struct group_norm_options {
    tensor_id weight, bias;
    uint32_t groups;
    float epsilon;
    bool silu; // of the result
} group_norm_options;
tensor_id op_group_norm(graph *g, tensor_id x, const group_norm_options *o);
// ---- spatial_attention.c: pixels attend to pixels, one head as wide as the channels. q, k, v [N, C, H, W] -> the
// same. Scores in chunks of at most 16 MiB (or 64 rows). No gradient.
tensor_id op_spatial_attention(graph *g, tensor_id q, tensor_id k, tensor_id v);

// ---- patch.c: [N, C, H, W] <-> [N, (H/p)(W/p), C p p], patches row by row ------------------------------
typedef enum patch_order { PATCH_CHANNEL_FIRST /* C,row,column: the embedding's weights */,
                           PATCH_CHANNEL_LAST /* row,column,C: the final layer's output */ } patch_order;
tensor_id op_patchify(graph *g, tensor_id x, uint32_t patch, patch_order order);
tensor_id op_unpatchify(graph *g, tensor_id tokens, uint32_t patch, uint32_t channels, uint32_t height, uint32_t width, patch_order order);

// ---- embedding.c -----------------------------------------------------------------------------------
// [cos(t f), sin(t f)], f_k = exp(-ln(10000) k / (size/2)) in f32: t [N] -> [N, size]
tensor_id op_timestep_features(graph *g, tensor_id t, uint32_t size);
// labels u32 [N], table [R, D] -> [N, D]. Labels out of range read row R - 1. Gradient: each table row sums its
// samples in order of n.
tensor_id op_embedding(graph *g, tensor_id labels, tensor_id table);

// ---- convert.c: x in another storage type; x itself where it is of that type ------------------------------
tensor_id op_convert(graph *g, tensor_id x, storage_type type);
void op_convert_into(graph *g, tensor_id x, tensor_id state); // of the state's type, which is not x's; assigns it

// ---- elementwise.c ---------------------------------------------------------------------------------
tensor_id op_add(graph *g, tensor_id a, tensor_id b);
tensor_id op_activation(graph *g, tensor_id x, activation_kind kind);
// dx = dy * kind'(x)
tensor_id op_activation_gradient(graph *g, tensor_id x, tensor_id dy, activation_kind kind);
// x [..., 2 H] -> SiLU(first half) * second half [..., H]
tensor_id op_swiglu(graph *g, tensor_id x);
tensor_id op_fill(graph *g, tensor_shape shape, float value);
// x [N, parts * D] -> `parts` tensors [N, D] (graph_output(g, first, k)); and back.
tensor_id op_split_columns(graph *g, tensor_id x, uint32_t parts);
tensor_id op_join_columns(graph *g, const tensor_id *parts, uint32_t count);
// [N, ...] -> [times * N, ...], the whole batch after itself.
tensor_id op_repeat(graph *g, tensor_id x, uint32_t times);
void op_copy_into(graph *g, tensor_id x, tensor_id state); // assigns it
// dy [M, D], gate [G, D], z [M, D] (the value before the gate) -> dz = gate * dy; output 1: dgate [G, D] = sum of dy * z over the gate's rows
tensor_id op_gate_gradient(graph *g, tensor_id dy, tensor_id gate, tensor_id z);

// ---- random.c: core/philox.h on the device -------------------------------------------------------------
// counters u32 [N, 4] (c0 first), keys u32 [N, 2] -> words u32 [N, 4]
tensor_id op_philox(graph *g, tensor_id counters, tensor_id keys);
// words u32 [N, 4] -> uniforms [N, 4]; output 1: normals [N, 4]
tensor_id op_random_of_words(graph *g, tensor_id words);
// Normals of shape [N, ...]. seeds u32 [N, 2] (low, high): each image's own seed, item 0; or NO_TENSOR: the step
// block's seed, item STEP_ITEM + n. Step word: STEP_INDEX of the block, or 0 where steps is NO_TENSOR.
tensor_id op_normal(graph *g, tensor_id steps, tensor_id seeds, uint32_t stream, tensor_shape shape);

// ---- training.c ------------------------------------------------------------------------------------
// `steps` is the tensor of step blocks (shaders/include/step_block.h), u32 [(1 + STEP_RING) * STEP_WORDS].
typedef enum time_weighting { TIME_UNIFORM, TIME_LOGNORMAL, TIME_DISCRETE /* 0 .. 999, alike likely */ } time_weighting;
typedef enum path_kind { PATH_LINEAR, PATH_COSINE } path_kind;
tensor_id op_sample_times(graph *g, tensor_id steps, uint32_t count, time_weighting w, path_kind path); // [N]; chapter 2
tensor_id op_times_of_normals(graph *g, tensor_id normals, path_kind path); // log-normal rule on given normals
tensor_id op_drop_labels(graph *g, tensor_id steps, tensor_id labels, float probability, uint32_t null_class);
// ring [R, ...] -> the block run % R, of the shape without the first dimension. Any type.
tensor_id op_ring_read(graph *g, tensor_id steps, tensor_id ring);
// x, noise [N, ...], t [N] -> x_t; output 1: target velocity. Chapter 2, `interpolant`.
tensor_id op_interpolant(graph *g, tensor_id x, tensor_id noise, tensor_id t, path_kind path);
// target + (weight - 1)(final - intermediate) where low <= t <= high, else target
typedef struct guided_target_options { float weight, low, high; } guided_target_options;
tensor_id op_guided_target(graph *g, tensor_id target, tensor_id final_output, tensor_id intermediate, tensor_id t, const guided_target_options *o);
// Mean over all but the first dimension of (prediction - target)^2 -> [N]. Gradient for prediction only.
tensor_id op_squared_error(graph *g, tensor_id prediction, tensor_id target);
// cosine_loss.c: mean over positions of 1 - cos(prediction, target) over the second dimension, x.y / (max(|x|, epsilon)
// max(|y|, epsilon)): [N, C, ...] -> [N]. Gradient for prediction only.
tensor_id op_cosine_loss(graph *g, tensor_id prediction, tensor_id target, float epsilon);
// The terms of a loss: up to LOSS_TERMS tensors [N] and the weights of their means.
typedef struct loss_terms {
    const tensor_id *values;
    const float *weights;
    uint32_t count;
} loss_terms;
// STEP_LOSS_SCALE * the sum of weight * mean(term) -> [1]. Gradient for every term.
tensor_id op_loss(graph *g, tensor_id steps, const loss_terms *terms);
// Writes the run's metrics block: METRIC_LOSS and METRIC_TERMS; assigns `metrics`.
tensor_id op_write_losses(graph *g, tensor_id steps, const loss_terms *terms, tensor_id metrics);

// ---- noising.c: chapter 5 ----------------------------------------------------------------------------
// Times 0 .. 999 [N] -> what the process is at them, [N, 6] (shaders/include/noising.glsl).
tensor_id op_noising_terms(graph *g, tensor_id t);
tensor_id op_noising(graph *g, tensor_id x, tensor_id noise, tensor_id terms); // x_t of x, noise [N, ...]
// prediction [N, 2 C, ...] (noise e, variance v), x, noise [N, C, ...] -> mean (e - noise)^2 [N]; output 1: the mean
// variational term in bits [N], in which e counts as given. Gradient for prediction only.
tensor_id op_noising_loss(graph *g, tensor_id prediction, tensor_id x, tensor_id noise, tensor_id terms);

// ---- optimizer.c: over arena chunks ------------------------------------------------------------------
// chunk [E] -> SQUARES_PARTIALS partial sums of squares, each added to that of `previous` (the partials of the chunk
// before, or NO_TENSOR): a chain over any number of chunks.
#define SQUARES_PARTIALS 1024
tensor_id op_squares(graph *g, tensor_id chunk, tensor_id previous);
// partials -> [NORM_WORDS] (step_block.h): the norm, what clips it, min(1, max/(norm + 1e-6)), whether the step is taken.
// Also writes METRIC_GRADIENT_NORM, _FINITE, _SCALE and _SKIPPED. `guard` (state u32 [GUARD_WORDS]): where the norm is
// not finite it is stopped, and updates then leave everything as it is. scaled: the gradient is that of the loss times
// the guard's scale, which halves at such a norm, in place of the stop as long as it is above LOSS_SCALE_LEAST; the step
// is skipped. After LOSS_SCALE_INTERVAL good steps it doubles.
tensor_id op_gradient_norm(graph *g, tensor_id steps, tensor_id partials, tensor_id guard, tensor_id metrics, bool scaled);
tensor_id op_loss_scale(graph *g, tensor_id guard); // [1]
// One pass: clip, decay, moments, parameter, EMA. zeroes: the gradient becomes zero (also where the update is held back),
// for one that is accumulated; else it is left. Returns the new parameter.
typedef struct adamw_states { tensor_id parameter, gradient, moment1, moment2, ema; } adamw_states;
tensor_id op_adamw_ema(graph *g, tensor_id steps, tensor_id norm, tensor_id segments, const adamw_states *s, bool zeroes);
// muon.c: Muon's update of one matrix [R, C] (chapter 9); "wide" is the matrix, or its transpose where R > C. Assigns
// momentum := m momentum + (1 - m) g with the clipped gradient g and, with `zeroes`, zeroes the gradient -> (1 - m) g +
// m momentum, wide.
tensor_id op_muon_momentum(graph *g, tensor_id steps, tensor_id norm, tensor_id gradient, tensor_id momentum, bool bf16,
                           bool zeroes);
// The nearest orthogonal matrix, about: five Newton-Schulz steps from x / (|x| + 1e-7), x wide. bf16: every product's and
// elementwise result is rounded to bf16, as in the official runs.
tensor_id op_orthogonalise(graph *g, tensor_id x, bool bf16);
// parameter := (1 - rate decay) parameter - rate scale update; then the EMA. update: wide, or NO_TENSOR: the decay alone.
// Returns the new parameter.
tensor_id op_muon_apply(graph *g, tensor_id steps, tensor_id norm, tensor_id update, tensor_id parameter, tensor_id ema, float scale);
// Increments the run counter; the last node of every program that reads step blocks.
void op_advance(graph *g, tensor_id steps);

// ---- sampling.c ------------------------------------------------------------------------------------
tensor_id op_fill_time(graph *g, tensor_id steps, uint32_t count); // STEP_TIME -> [N]
// IG then CFG: u = f + (w - 1)(f - i); out = u_null + c (u - u_null). The null pair may be absent (no CFG), the
// intermediate ones too (no IG). Scales from the step block (w = 1: exactly f; c = 1: exactly u).
// IG acts on the first ig_elements of each sample, CFG on the first cfg_elements (0: all); the rest is f.
typedef struct guidance_inputs {
    tensor_id final_output, intermediate, null_final, null_intermediate;
    uint64_t ig_elements, cfg_elements;
} guidance_inputs;
tensor_id op_guidance(graph *g, tensor_id steps, const guidance_inputs *in);
// score = (r v - x) / var, per sample t [N] (chapter 3)
tensor_id op_score(graph *g, tensor_id velocity, tensor_id x, tensor_id t, path_kind path);
// x' = c0 x + c1 velocity + c2 previous + c3 noise, with coefficients and state as float pairs.
// States: high, low (the solver's state), input (what the model sees next), previous. Always input := x' (high part),
// previous := velocity; high, low := x' where STEP_COMMIT. noise may be absent.
typedef struct solver_states { tensor_id high, low, input, previous; } solver_states;
void op_solver(graph *g, tensor_id steps, tensor_id velocity, tensor_id noise, const solver_states *s);
// One step back along a noising process (chapter 5). prediction [N, 2 C, ...]: the noise e, then v; states and noise
// [N, C, ...]. x0 = c0 x + c1 e, kept in [-1, 1] where STEP_CLIP; x' = c2 x0 + c3 x, and where STEP_NOISY + exp(l / 2)
// noise with l from the least (v = -1) to the most (v = 1) of STEP_LOG_VARIANCE. States: high, low, input := x'.
void op_denoise(graph *g, tensor_id steps, tensor_id prediction, tensor_id noise, const solver_states *s);
// ---- runge_kutta.c: x' = x + the sum of STEP_SLOPES' weights times slopes -------------------------------------
// slopes [RUNGE_KUTTA_SLOPES, ...of x]. The velocity becomes slope STEP_SLOT before the sum; where there is none
// (NO_TENSOR) the last slope does so after it. Always input := x' (high part); high, low := x' where STEP_COMMIT.
typedef struct runge_kutta_states { tensor_id high, low, input, slopes; } runge_kutta_states;
void op_runge_kutta(graph *g, tensor_id steps, tensor_id velocity, const runge_kutta_states *s);
// (c0 x + the sum of weighted slopes) / (STEP_ABSOLUTE + STEP_RELATIVE max(|x|, |input|)), of high parts: [...of x]
tensor_id op_scaled_error(graph *g, tensor_id steps, const runge_kutta_states *s);

#endif
