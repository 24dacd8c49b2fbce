// SPDX-License-Identifier: MIT
#include "models/recognise.h"

#include "core/text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define MAX_DEPTH 1024
#define MAX_SIZE (1u << 20)

// The first whose mark is there. Kinds that this program does not have are told by their title.
static const struct family {
    const char *mark, *kind, *title;
    const char *stacks[4]; // lists of blocks, which together are the depth
} families[] = {
    {"mask_token", "mdtv2", "MDTv2", {"en_inblocks", "en_outblocks", "de_blocks"}},
    {"feat_rope.freqs_cos", "lightningdit", "LightningDiT", {"blocks"}},
    {"blocks.0.mlp.w12.weight", "lightningdit", "LightningDiT", {"blocks"}},
    {"blocks.0.norm1.weight", "lightningdit", "LightningDiT", {"blocks"}},
    {"blocks.0.mlp.fc1.weight", "sit", "SiT", {"blocks"}},
};
#define DECODER_STACK 2
#define PUBLISHED_MASK_RATIO 0.3

typedef struct recognition {
    const char *where;
    const weight_list *list;
    const struct family *family;
    model_hints hints;
    model_config *config;
    text_buffer missing; // flags to give
    text_buffer notes;
} recognition;

const weight_entry *weight_find(const weight_list *l, const char *name) {
    size_t low = 0, high = l->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(l->entries[middle].name, name);
        if (order == 0)
            return &l->entries[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

// ---- hints ------------------------------------------------------------------------------------------------

static uint32_t whole_or(const pickle_value *v, uint32_t otherwise) {
    return v && v->kind == PICKLE_INTEGER && v->integer > 0 && v->integer <= MAX_SIZE ? (uint32_t)v->integer
                                                                                      : otherwise;
}

static void read_path(const pickle_value *v, model_hints *h) {
    if (!v || v->kind != PICKLE_TEXT)
        return;
    bool linear = strcasecmp(v->text.bytes, "linear") == 0, cosine = strcasecmp(v->text.bytes, "cosine") == 0;
    h->knows_path = linear || cosine;
    h->path = cosine ? PATH_COSINE : PATH_LINEAR;
}

static void read_fields(const pickle_value *v, model_hints *h) {
    const pickle_value *preset = pickle_get(v, "model"), *dropout = pickle_get(v, "cfg_prob");
    if (!preset || preset->kind != PICKLE_TEXT)
        preset = pickle_get(v, "model_type");
    if (preset && preset->kind == PICKLE_TEXT && preset->text.length < sizeof h->preset)
        strcpy(h->preset, preset->text.bytes);
    if (dropout && (dropout->kind == PICKLE_NUMBER || dropout->kind == PICKLE_INTEGER)) {
        h->knows_null_class = true;
        h->null_class = dropout->kind == PICKLE_NUMBER ? dropout->number > 0 : dropout->integer > 0;
    }
    h->head_after = whole_or(pickle_get(v, "encoder_depth"), h->head_after);
    h->classes = whole_or(pickle_get(v, "num_classes"), h->classes);
    h->knows_classes = h->classes > 0;
    if (!h->knows_path)
        read_path(pickle_get(v, "path_type"), h);
}

void model_hints_read(const pickle_value *root, model_hints *h) {
    static const char *const places[] = {"args", "config"}, *const parts[] = {"data", "model", "transport"};
    memset(h, 0, sizeof *h);
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        const pickle_value *place = pickle_get(root, places[i]);
        read_fields(place, h);
        for (size_t k = 0; k < sizeof parts / sizeof *parts; k++)
            read_fields(pickle_get(place, parts[k]), h);
    }
}

// What the user gives replaces what the file says.
static void merge(model_hints *h, const model_hints *given) {
    if (given->kind[0])
        memcpy(h->kind, given->kind, sizeof h->kind);
    if (given->heads)
        h->heads = given->heads;
    if (given->head_after)
        h->head_after = given->head_after;
    if (given->height)
        h->height = given->height;
    if (given->width)
        h->width = given->width;
    if (given->knows_classes) {
        h->knows_classes = true;
        h->classes = given->classes;
        h->knows_null_class = false;
    }
    if (given->knows_path) {
        h->knows_path = true;
        h->path = given->path;
    }
}

// What the file does not say is as usual for the preset; what that decides is noted.
static void complete(recognition *r, const model_hints *usual) {
    model_hints *h = &r->hints;
    if (!h->heads)
        h->heads = usual->heads;
    if (!h->head_after && usual->head_after) {
        h->head_after = usual->head_after;
        if (weight_find(r->list, "final_layer_xr.linear.weight"))
            text_append(&r->notes, "the auxiliary head reads block %u, as published for %s; ", h->head_after,
                        usual->preset);
    }
    if (!h->knows_classes && !h->knows_null_class) {
        h->knows_classes = usual->knows_classes;
        h->classes = usual->classes;
    }
    if (!h->knows_path && usual->knows_path) {
        h->knows_path = true;
        h->path = usual->path;
        text_append(&r->notes, "its path is %s, as published for %s; ", h->path == PATH_COSINE ? "cosine" : "linear",
                    usual->preset);
    }
    if (!h->preset[0])
        memcpy(h->preset, usual->preset, sizeof h->preset);
}

// ---- shapes -----------------------------------------------------------------------------------------------

// The tensor where it has that rank and sane sizes.
static const weight_entry *of_rank(const recognition *r, const char *name, uint32_t rank) {
    const weight_entry *e = weight_find(r->list, name);
    if (!e || e->rank != rank)
        return NULL;
    for (uint32_t i = 0; i < rank; i++)
        if (e->shape[i] == 0 || e->shape[i] > MAX_SIZE)
            return NULL;
    return e;
}

static igvk_status need(const recognition *r, const char *name, uint32_t rank, const weight_entry **out) {
    *out = of_rank(r, name, rank);
    if (!*out)
        return fail(IGVK_ERROR_INVALID,
                    "%s: has no tensor '%s' of %u dimensions, which the models that igvk knows have: not their weights",
                    r->where, name, rank);
    return IGVK_OK;
}

static bool has(const recognition *r, const char *name) {
    return weight_find(r->list, name) != NULL;
}

// Blocks of "STACK.0.", "STACK.1.", ...
static uint32_t count_blocks(const recognition *r, const char *stack) {
    const size_t length = strlen(stack) + 1;
    uint32_t depth = 0;
    for (size_t i = 0; i < r->list->count; i++) {
        const char *name = r->list->entries[i].name;
        char *end = NULL;
        if (strncmp(name, stack, length - 1) != 0 || name[length - 1] != '.' || name[length] < '0' ||
            name[length] > '9')
            continue;
        unsigned long block = strtoul(name + length, &end, 10);
        if (*end == '.' && block < MAX_DEPTH && block + 1 > depth)
            depth = (uint32_t)block + 1;
    }
    return depth;
}

static void read_depth(recognition *r) {
    const struct family *f = r->family;
    r->config->depth = 0;
    for (size_t k = 0; f->stacks[k]; k++)
        r->config->depth += count_blocks(r, f->stacks[k]);
    if (!f->stacks[1])
        return;
    r->config->decode_layers = count_blocks(r, f->stacks[DECODER_STACK]);
    r->config->mask_ratio = PUBLISHED_MASK_RATIO; // of training alone
}

// The name of a tensor of the first block.
static const char *in_block(const recognition *r, const char *suffix, char name[128]) {
    snprintf(name, 128, "%s.0.%s", r->family->stacks[0], suffix);
    return name;
}

static void find_family(recognition *r) {
    const size_t count = sizeof families / sizeof *families;
    r->family = &families[count - 1];
    for (size_t i = count; i-- > 0;)
        if (has(r, families[i].mark))
            r->family = &families[i];
}

static igvk_status read_sizes(recognition *r) {
    igvk_status status = IGVK_OK;
    model_config *c = r->config;
    char name[128];
    const weight_entry *patch = NULL, *modulation = NULL, *last = NULL;
    find_family(r);
    TRY(need(r, "x_embedder.proj.weight", 4, &patch));
    TRY(need(r, in_block(r, "adaLN_modulation.1.weight", name), 2, &modulation));
    TRY(need(r, "final_layer.linear.weight", 2, &last));
    c->hidden = (uint32_t)patch->shape[0];
    c->channels = (uint32_t)patch->shape[1];
    c->patch = (uint32_t)patch->shape[2];
    read_depth(r);
    c->qk_norm = has(r, in_block(r, "attn.q_norm.weight", name));
    c->rms_norm = has(r, in_block(r, "norm1.weight", name));
    c->swiglu = has(r, in_block(r, "mlp.w12.weight", name));
    c->rotary = has(r, "feat_rope.freqs_cos");
    c->no_shift = modulation->shape[0] == 4ull * c->hidden;
    c->learn_sigma = last->shape[0] == 2ull * c->patch * c->patch * c->channels;
done:
    return status;
}

// The ratio that gives `width` of the MLP's inside by the rules of the official code.
static igvk_status read_mlp_ratio(recognition *r) {
    model_config *c = r->config;
    const weight_entry *inner = NULL;
    char name[128];
    igvk_status status = need(r, in_block(r, c->swiglu ? "mlp.w3.weight" : "mlp.fc1.weight", name), 2, &inner);
    if (status != IGVK_OK)
        return status;
    uint32_t width = (uint32_t)inner->shape[c->swiglu ? 1 : 0];
    c->mlp_ratio = 4;
    if (!c->swiglu && width != 4 * c->hidden)
        c->mlp_ratio = (double)width / c->hidden;
    // SwiGLU's width is two thirds, twice truncated: the least whole product that gives it.
    for (uint32_t whole = width + width / 2; c->swiglu && (uint32_t)(2.0 / 3.0 * (4 * c->hidden)) != width; whole++)
        if ((uint32_t)(2.0 / 3.0 * whole) >= width) {
            c->mlp_ratio = (whole + 0.5) / c->hidden;
            break;
        }
    return IGVK_OK;
}

// ---- what shapes do not tell ------------------------------------------------------------------------------

static igvk_status find_kind(recognition *r) {
    const char *kind = r->family->kind, *title = r->family->title;
    if (!has(r, r->family->mark))
        return fail(IGVK_ERROR_INVALID, "%s: its tensors are of no model that igvk knows", r->where);
    if (strcmp(kind, "sit") == 0 && r->config->learn_sigma)
        kind = "dit", title = "DiT";
    else if (strcmp(kind, "sit") == 0 && strncmp(r->hints.preset, "LightningDiT", 12) == 0)
        kind = "lightningdit", title = "LightningDiT";
    else if (strcmp(kind, "sit") == 0 && !r->hints.preset[0] && !r->hints.kind[0])
        text_append(&r->notes, "taken for a SiT (--kind lightningdit if it is one, whose time runs the other way); ");
    if (r->hints.kind[0])
        kind = title = r->hints.kind;
    if (!model_kind_find(kind))
        return fail(IGVK_ERROR_INVALID, "%s: holds weights of a %s, which this version of igvk cannot run", r->where,
                    title);
    strcpy(r->config->kind, kind);
    return IGVK_OK;
}

// The preset that the file names, or one of the same sizes; null where there is none.
static const char *find_preset(const recognition *r, model_config *like) {
    const model_config *c = r->config;
    const model_kind *kind = model_kind_find(c->kind);
    for (const char *const *name = kind->preset_names; *name; name++) {
        *like = *c;
        if (kind->preset(*name, like) && like->hidden == c->hidden && like->depth == c->depth &&
            like->patch == c->patch)
            return *name;
    }
    return NULL;
}

static void find_heads(recognition *r) {
    model_config *c = r->config, like;
    char name[128];
    const weight_entry *norm = of_rank(r, in_block(r, "attn.q_norm.weight", name), 1);
    const weight_entry *rope = of_rank(r, "feat_rope.freqs_cos", 2);
    const weight_entry *bias = of_rank(r, in_block(r, "attn.rel_pos_bias.relative_position_bias_table", name), 2);
    const char *preset = find_preset(r, &like);
    uint32_t dimension = norm ? (uint32_t)norm->shape[0] : rope ? (uint32_t)rope->shape[1] : 0;
    if (dimension && c->hidden % dimension == 0)
        c->heads = c->hidden / dimension;
    else if (bias)
        c->heads = (uint32_t)bias->shape[1];
    else if (r->hints.heads)
        c->heads = r->hints.heads;
    else if (preset)
        c->heads = like.heads;
    else
        text_append(&r->missing, ", --heads N (attention heads)");
    if (!has(r, "final_layer_xr.linear.weight")) {
        c->head_after = 0;
        text_append(&r->notes, "it has no auxiliary head, which Internal Guidance needs "
                               "(igvk train --train-head-only adds one); ");
    } else if (r->hints.head_after) {
        c->head_after = r->hints.head_after;
    } else if (preset) {
        c->head_after = like.head_after;
        text_append(&r->notes, "the auxiliary head reads block %u, as published for %s (else --head-after K); ",
                    like.head_after, preset);
    } else {
        text_append(&r->missing, ", --head-after K (the block whose output the auxiliary head reads)");
    }
}

static void find_input(recognition *r) {
    model_config *c = r->config;
    const weight_entry *table = of_rank(r, "pos_embed", 3), *rope = of_rank(r, "feat_rope.freqs_cos", 2);
    uint64_t tokens = table ? table->shape[1] : rope ? rope->shape[0] : 0;
    uint64_t side = (uint64_t)(sqrt((double)tokens) + 0.5);
    c->height = r->hints.height;
    c->width = r->hints.width;
    if (!table)
        text_append(&r->notes, "it has no position table, which is computed; ");
    if (c->height && !c->width)
        c->width = c->height;
    else if (c->width && !c->height)
        c->height = c->width;
    else if (!c->height && tokens && side * side == tokens)
        c->height = c->width = (uint32_t)side * c->patch;
    else if (!c->height)
        text_append(&r->missing, ", --height N and --width N (sides of the input, %llu patches of %u)",
                    (unsigned long long)tokens, c->patch);
}

static void find_classes(recognition *r) {
    model_config *c = r->config;
    const model_hints *h = &r->hints;
    const weight_entry *table = of_rank(r, "y_embedder.embedding_table.weight", 2);
    uint32_t rows = table ? (uint32_t)table->shape[0] : 0;
    bool fits = h->knows_classes && (rows == h->classes || rows == h->classes + 1);
    if (rows == 0 || fits) { // a file without a table is unconditional
        c->classes = rows ? h->classes : 0;
        c->null_class = rows > c->classes;
    } else if (h->knows_null_class && rows > h->null_class) {
        c->null_class = h->null_class;
        c->classes = rows - h->null_class;
    } else {
        text_append(&r->missing, ", --classes N (%u or, with label dropout, %u)", rows, rows - 1);
    }
}

static void find_path(recognition *r) {
    if (model_kind_find(r->config->kind)->time == MODEL_DISCRETE)
        return; // it has none
    r->config->path = r->hints.path;
    if (!r->hints.knows_path)
        text_append(&r->missing, ", --path-type linear|cosine (the interpolant it was trained on)");
}

// ---- all of it --------------------------------------------------------------------------------------------

// Ranges are those of configurations on disk.
static igvk_status check_ranges(const recognition *r) {
    model_config again;
    char *json = model_config_to_json(r->config);
    igvk_status status =
        json ? model_config_from_json(r->where, json, &again) : fail_memory("the model's configuration", 0);
    free(json);
    return status;
}

igvk_status model_recognise(const char *where, const weight_list *l, const model_hints *given,
                            const model_hints *beside, model_config *out, char *notes, size_t notes_size) {
    igvk_status status = IGVK_OK;
    recognition r = {.where = where, .list = l, .config = out};
    memset(out, 0, sizeof *out);
    if (beside)
        r.hints = *beside;
    if (given && given->yields)
        complete(&r, given);
    else if (given)
        merge(&r.hints, given);
    TRY(read_sizes(&r));
    TRY(find_kind(&r));
    TRY(read_mlp_ratio(&r));
    find_heads(&r);
    find_input(&r);
    find_classes(&r);
    find_path(&r);
    if (r.missing.failed || r.notes.failed)
        TRY(fail_memory(where, 0));
    if (r.missing.text)
        THROW(IGVK_ERROR_INVALID, "%s: is a %s of width %u and depth %u; what its tensors do not tell must be said: %s",
              where, out->kind, out->hidden, out->depth, r.missing.text + 2);
    TRY(check_ranges(&r));
    size_t length = r.notes.text ? r.notes.length - 2 : 0; // without the last "; "
    snprintf(notes, notes_size, "%.*s", (int)length, r.notes.text ? r.notes.text : "");
done:
    text_free(&r.missing);
    text_free(&r.notes);
    return status;
}
