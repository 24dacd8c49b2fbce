// SPDX-License-Identifier: MIT
// All operators, in the order of ops.h.
#include "ops/ops.h"

#include <string.h>

#define OPERATORS(X)                                                                                                   \
    X(linear)                                                                                                          \
    X(linear_input_gradient)                                                                                           \
    X(linear_weight_gradient)                                                                                          \
    X(column_sum)                                                                                                      \
    X(attention)                                                                                                       \
    X(attention_gradient)                                                                                              \
    X(attention_bias)                                                                                                  \
    X(attention_bias_gradient)                                                                                         \
    X(shuffle)                                                                                                         \
    X(draw_kept)                                                                                                       \
    X(move_tokens)                                                                                                     \
    X(select_tokens)                                                                                                   \
    X(qk_norm)                                                                                                         \
    X(qk_norm_gradient)                                                                                                \
    X(rotary)                                                                                                          \
    X(norm_modulate)                                                                                                   \
    X(norm_modulate_gradient)                                                                                          \
    X(convolution)                                                                                                     \
    X(group_norm)                                                                                                      \
    X(spatial_attention)                                                                                               \
    X(patchify)                                                                                                        \
    X(unpatchify)                                                                                                      \
    X(timestep_features)                                                                                               \
    X(embedding)                                                                                                       \
    X(embedding_gradient)                                                                                              \
    X(add)                                                                                                             \
    X(activation)                                                                                                      \
    X(activation_gradient)                                                                                             \
    X(swiglu)                                                                                                          \
    X(swiglu_gradient)                                                                                                 \
    X(convert)                                                                                                         \
    X(fill)                                                                                                            \
    X(split_columns)                                                                                                   \
    X(join_columns)                                                                                                    \
    X(repeat)                                                                                                          \
    X(gate_gradient)                                                                                                   \
    X(philox)                                                                                                          \
    X(random_of_words)                                                                                                 \
    X(normal)                                                                                                          \
    X(sample_times)                                                                                                    \
    X(times_of_normals)                                                                                                \
    X(drop_labels)                                                                                                     \
    X(ring_read)                                                                                                       \
    X(interpolant)                                                                                                     \
    X(guided_target)                                                                                                   \
    X(cosine_loss)                                                                                                     \
    X(cosine_loss_gradient)                                                                                            \
    X(squared_error)                                                                                                   \
    X(squared_error_gradient)                                                                                          \
    X(loss)                                                                                                            \
    X(loss_gradient)                                                                                                   \
    X(write_losses)                                                                                                    \
    X(noising_terms)                                                                                                   \
    X(noising)                                                                                                         \
    X(noising_loss)                                                                                                    \
    X(noising_loss_gradient)                                                                                           \
    X(squares)                                                                                                         \
    X(loss_scale)                                                                                                      \
    X(gradient_norm)                                                                                                   \
    X(adamw_ema)                                                                                                       \
    X(muon_momentum)                                                                                                   \
    X(muon_normalise)                                                                                                  \
    X(muon_combine)                                                                                                    \
    X(muon_apply)                                                                                                      \
    X(advance)                                                                                                         \
    X(fill_time)                                                                                                       \
    X(guidance)                                                                                                        \
    X(score)                                                                                                           \
    X(denoise)                                                                                                         \
    X(solver)                                                                                                          \
    X(runge_kutta)                                                                                                     \
    X(scaled_error)

#define DECLARE(name) extern const operator name##_operator;
OPERATORS(DECLARE)

#define ENTRY(name) &name##_operator,
const operator *const operator_table[] = {OPERATORS(ENTRY)};
const size_t operator_count = sizeof operator_table / sizeof *operator_table;

const operator *operator_find(const char *name) {
    for (size_t i = 0; i < operator_count; i++)
        if (strcmp(operator_table[i]->name, name) == 0)
            return operator_table[i];
    return NULL;
}
