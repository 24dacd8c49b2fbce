// SPDX-License-Identifier: MIT
// The table of published configurations. Sources: the paper is arXiv 2512.24176; gen.sh, train.py and
// lightningdit_xl_vavae_f16d32.yaml are the official code's. Figures are of ImageNet 256x256 and 50,000 samples,
// classes at random, and compare only within that protocol.
#include "api/recipes.h"

#include "api/options.h"
#include "core/text.h"

#include <stdio.h>
#include <string.h>

#define SETTINGS(...)                                                                                                  \
    .settings = (const char *const[]) {                                                                                \
        __VA_ARGS__, NULL                                                                                              \
    }

// K steps of an SDE are K calls of the model.
#define SIT_SOLVER "mode", "sde", "num-steps", "250"
// K points of the grid, two calls of the model in each of their intervals.
#define LIGHTNING_SOLVER "mode", "ode", "solver", "heun", "num-steps", "125", "timestep-shift", "0.3"

static const igvk_recipe sampling[] = {
    {.name = "sit-xl2-ig-cfg",
     .model = "SiT-XL/2",
     SETTINGS(SIT_SOLVER, "ig-scale", "1.4", "cfg-scale", "1.35", "guidance-high", "0.7"),
     .figure = "FID 1.46, IS 265.7 after 800 epochs",
     .source = "paper; SiT/gen.sh"},
    {.name = "sit-xl2-ig",
     .model = "SiT-XL/2",
     SETTINGS(SIT_SOLVER, "ig-scale", "1.4"),
     .figure = "FID 1.75, IS 228.6 after 800 epochs and FID 5.31, IS 147.7 after 80, at a scale not stated",
     .source = "paper; the scale is of SiT/gen.sh"},
    {.name = "sit-b2-ig-high",
     .model = "SiT-B/2",
     SETTINGS(SIT_SOLVER, "ig-scale", "2.3", "ig-guidance-low", "0.3"),
     .figure = "FID 16.19, IS 73.0 after 80 epochs",
     .source = "paper"},
    {.name = "sit-b2-ig",
     .model = "SiT-B/2",
     SETTINGS(SIT_SOLVER, "ig-scale", "1.9"),
     .figure = "FID 17.38, IS 69.1 after 80 epochs; at 1.5 FID 19.02, IS 65.1",
     .source = "paper"},
    {.name = "sit-b2",
     .model = "SiT-B/2",
     SETTINGS(SIT_SOLVER),
     .figure = "FID 30.60, IS 47.7 after 80 epochs with the head, FID 33.02, IS 43.7 without it",
     .source = "paper"},
    {.name = "lightningdit-xl1-ig-cfg",
     .model = "LightningDiT-XL/1",
     SETTINGS(LIGHTNING_SOLVER, "ig-scale", "1.4", "cfg-scale", "1.45", "guidance-low", "0.19"),
     .figure = "FID 1.19, IS 269.0 after 680 epochs; classes balanced FID 1.07",
     .source = "paper; lightningdit_xl_vavae_f16d32.yaml"},
    {.name = "lightningdit-xl1-ig",
     .model = "LightningDiT-XL/1",
     SETTINGS(LIGHTNING_SOLVER, "ig-scale", "1.7"),
     .figure = "FID 1.34, IS 229.3 after 680 epochs",
     .source = "paper; lightningdit_xl_vavae_f16d32.yaml"},
};

#define SIT_TRAINING                                                                                                   \
    "auxiliary-weight", "0.5", "label-dropout", "0.1", "batch", "256", "learning-rate", "1e-4", "beta1", "0.9",        \
        "beta2", "0.999", "epsilon", "1e-8", "weight-decay", "0", "clip", "1", "ema", "0.9999"

static const igvk_recipe training[] = {
    {.name = "sit-xl2",
     .model = "SiT-XL/2",
     SETTINGS("model", "SiT-XL/2", "head-after", "8", SIT_TRAINING),
     .figure = "FID 1.46 with IG and CFG after 800 epochs",
     .source = "paper; SiT/train.py"},
    {.name = "sit-b2",
     .model = "SiT-B/2",
     SETTINGS("model", "SiT-B/2", "head-after", "4", SIT_TRAINING),
     .figure = "FID 16.19 with IG after 80 epochs",
     .source = "paper; SiT/train.py"},
    {.name = "lightningdit-xl1",
     .model = "LightningDiT-XL/1",
     SETTINGS("model", "LightningDiT-XL/1", "head-after", "8", "times", "uniform", "auxiliary-weight", "0.5",
              "label-dropout", "0.1", "batch", "256", "optimizer", "muon", "learning-rate", "2e-4", "beta2", "0.95",
              "muon-momentum", "0.95", "muon-decay", "0.01", "muon-rounding", "true", "clip", "1", "ema", "0.9995"),
     .figure = "FID 1.19 with IG and CFG after 680 epochs",
     .source = "paper; lightningdit_xl_vavae_f16d32.yaml"},
};

const igvk_recipe *igvk_recipes(const igvk_option_list *list, size_t *count) {
    const bool trains = list == igvk_train_option_list();
    if (!trains && list != igvk_sample_option_list()) {
        *count = 0;
        return NULL;
    }
    *count = trains ? sizeof training / sizeof *training : sizeof sampling / sizeof *sampling;
    return trains ? training : sampling;
}

igvk_status recipe_find(const igvk_option_list *list, const char *name, const igvk_recipe **out) {
    size_t count = 0;
    const igvk_recipe *all = igvk_recipes(list, &count);
    text_buffer names = {0};
    *out = NULL;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(all[i].name, name) == 0)
            *out = &all[i];
        text_append(&names, "%s%s", i ? ", " : "", all[i].name);
    }
    igvk_status status = IGVK_OK;
    if (!*out)
        status = fail(IGVK_ERROR_INVALID, "--recipe \"%.64s\": no recipe is called so; one of %s", name,
                      names.text ? names.text : "none");
    text_free(&names);
    return status;
}

igvk_status igvk_recipe_apply(const igvk_option_list *list, void *options, const char *name) {
    const igvk_recipe *r = NULL;
    igvk_status status = IGVK_OK;
    TRY(recipe_find(list, name, &r));
    for (const char *const *s = r->settings; *s; s += 2)
        TRY(igvk_option_set(list, options, s[0], s[1]));
    TRY(igvk_option_set(list, options, "recipe", r->name));
done:
    return status;
}

igvk_status recipe_hints(const igvk_recipe *r, model_hints *out) {
    model_config like = {0};
    igvk_status status = model_config_preset(r->model, &like);
    if (status != IGVK_OK)
        return status;
    *out = (model_hints){.yields = true,
                         .heads = like.heads,
                         .head_after = like.head_after,
                         .classes = 1000, // ImageNet's, as of all published ones
                         .knows_classes = true,
                         .knows_path = true,
                         .path = PATH_LINEAR};
    snprintf(out->preset, sizeof out->preset, "%s", r->model);
    return IGVK_OK;
}

igvk_status recipe_check(const igvk_recipe *r, const char *path, const model_config *c, bool *same) {
    model_config like = *c;
    igvk_status status = model_config_preset(r->model, &like);
    if (status == IGVK_OK && strcmp(like.kind, c->kind) != 0)
        status = fail(IGVK_ERROR_INVALID,
                      "--recipe %s: is of %s, and %s holds a model of kind %s: choose another recipe "
                      "or give its settings as flags",
                      r->name, r->model, path, c->kind);
    *same = like.hidden == c->hidden && like.depth == c->depth && like.patch == c->patch &&
            like.head_after == c->head_after;
    return status;
}

void recipe_describe(const igvk_recipe *r, char *out, size_t size) {
    size_t n = (size_t)snprintf(out, size, "recipe %s of %s:", r->name, r->model);
    for (const char *const *s = r->settings; *s && n < size; s += 2)
        n += (size_t)snprintf(out + n, size - n, " --%s %s", s[0], s[1]);
    if (n < size)
        snprintf(out + n, size - n, " (%s)", r->source);
}
