// SPDX-License-Identifier: MIT
// Sampling made ready: settings, refusals, sheets laid out, weights on the device.
#include "api/device_choice.h"
#include "api/memory_plan.h"
#include "api/options.h"
#include "api/recipes.h"
#include "api/request_sheet.h"
#include "api/sample_job.h"
#include "api/sample_method.h"
#include "core/digest.h"
#include "core/text.h"

#include <stdlib.h>
#include <string.h>

#define SHEET_COLUMNS 16 // of a plain sheet, at most
#define SHEET_IMAGES 4096

void sample_message(const sampling_job *j, const char *format, ...) {
    char text[1024];
    va_list arguments;
    if (!j->events || !j->events->message)
        return;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    j->events->message(j->events->user, text);
}

// ---- settings --------------------------------------------------------------------------------------

static igvk_status check_options(const igvk_sample_options *o) {
    bool sheet = o->sheet[0], axes = o->sheet_rows[0] || o->grid[0];
    igvk_status status = options_check(igvk_sample_option_list(), o);
    if (status != IGVK_OK)
        return status;
    if (!o->plan && !sheet && !o->out[0] && !o->npz[0] && !o->against[0])
        return fail(IGVK_ERROR_INVALID, "nothing to write: give --out DIR, --npz FILE, --sheet FILE or --against DIR");
    if (axes && !o->plan && !sheet && !o->against[0])
        return fail(IGVK_ERROR_INVALID, "--sheet-rows and --grid are of a sheet: give --sheet FILE");
    if (axes && (o->out[0] || o->npz[0]))
        return fail(IGVK_ERROR_INVALID, "--sheet-rows and --grid draw a sheet alone: leave --out and --npz away");
    if (o->compare[0] && !axes)
        return fail(IGVK_ERROR_INVALID, "--compare is of a sheet with --sheet-rows or --grid");
    if (o->sheet_rows[0] && o->grid[0])
        return fail(IGVK_ERROR_INVALID, "--sheet-rows and --grid exclude each other");
    if (axes && o->autoguidance[0])
        return fail(IGVK_ERROR_INVALID, "--sheet-rows and --grid draw guidance by the model's own head: leave "
                                        "--autoguidance away, or draw one --sheet for each scale");
    if (o->nearest_sheet[0] && !o->against[0])
        return fail(IGVK_ERROR_INVALID, "--nearest-sheet shows images of a dataset: give --against DIR");
    return IGVK_OK;
}

// All that shapes the pictures beside class and seed. The files' content is named, too: all runs call theirs
// checkpoint-00004000.
// ", WORD NAME DIGEST" of a file beside the model that pictures depend on, appended to out.
static igvk_status describe_file(const char *word, const char *path, char *out, size_t size) {
    const char *name = strrchr(path, '/');
    const size_t n = strlen(out);
    uint64_t digest = 0;
    igvk_status status = path[0] ? file_digest(path, &digest) : IGVK_OK;
    if (status == IGVK_OK && path[0])
        snprintf(out + n, size - n, ", %s %.80s %016llx", word, name ? name + 1 : path, (unsigned long long)digest);
    return status;
}

static igvk_status describe(sampling_job *j) {
    igvk_status status = IGVK_OK;
    const igvk_sample_options *o = j->o;
    const char *file = strrchr(j->model.path, '/'), *slash = strrchr(o->compare, '/');
    const char *other = o->compare[0] ? slash ? slash + 1 : o->compare : NULL;
    static const char *const precisions[] = {"", ", f16", ", bf16"};
    char method[256], beside[448] = "", tile[32] = "";
    uint64_t digest = 0;
    TRY(file_digest(j->model.path, &digest));
    TRY(describe_file("IG by", o->autoguidance[0] ? j->weak.path : "", beside, sizeof beside));
    TRY(describe_file("decoded by", o->vae, beside, sizeof beside));
    TRY(describe_file("statistics", o->latent_stats, beside, sizeof beside));
    if (o->tile)
        snprintf(tile, sizeof tile, ", tiles of %llu", (unsigned long long)o->tile);
    sample_method_describe(&j->method, sample_method_batch(o, &j->method), method, sizeof method);
    snprintf(j->parameters, sizeof j->parameters, "model %.120s (%s)%s%.120s, %s%s%s%s, igvk %s, weights %016llx",
             file ? file + 1 : j->model.path, o->weights ? "model" : "EMA", other ? ", 2: " : "", other ? other : "",
             method, precisions[o->precision], beside, tile, IGVK_VERSION, (unsigned long long)digest);
done:
    return status;
}

static igvk_status check_count(const sampling_job *j) {
    const igvk_sample_options *o = j->o;
    if ((o->sheet[0] || o->against[0]) && j->count > SHEET_IMAGES)
        return fail(IGVK_ERROR_INVALID, "--count %llu: a sheet and --against take at most %d images",
                    (unsigned long long)j->count, SHEET_IMAGES);
    return IGVK_OK;
}

// A second model beside --model: images of the same shape and classes.
static igvk_status open_second(const sampling_job *j, const char *flag, const char *path, loaded_model *second) {
    const model_config *a = &j->model.config, *b = &second->config;
    igvk_status status = loaded_model_open(path, "ema", second);
    if (status == IGVK_OK &&
        (a->channels != b->channels || a->height != b->height || a->width != b->width || a->classes != b->classes))
        status =
            fail(IGVK_ERROR_INVALID, "%s %s: makes images of %ux%ux%u in %u classes, --model of %ux%ux%u in %u", flag,
                 path, b->channels, b->height, b->width, b->classes, a->channels, a->height, a->width, a->classes);
    if (status == IGVK_OK && model_kind_find(a->kind)->time != model_kind_find(b->kind)->time)
        status = fail(IGVK_ERROR_INVALID, "%s %s: its times are not as --model's: no settings fit both", flag, path);
    return status;
}

// The weaker model sees the same noisy images at the same times and says the same kind of thing.
static igvk_status open_weak(sampling_job *j) {
    const model_config *a = &j->model.config, *b = &j->weak.config;
    const char *path = j->o->autoguidance;
    igvk_status status = open_second(j, "--autoguidance", path, &j->weak);
    if (status == IGVK_OK && (a->path != b->path || a->learn_sigma != b->learn_sigma))
        status = fail(IGVK_ERROR_INVALID,
                      "--autoguidance %s: was trained on another path or for other outputs than "
                      "--model",
                      path);
    if (status == IGVK_OK && j->o->cfg_scale > 1 && !b->null_class)
        status = fail(IGVK_ERROR_INVALID,
                      "--autoguidance %s: was trained without a no-class label: leave --cfg-scale "
                      "away",
                      path);
    return status;
}

// ---- refusals --------------------------------------------------------------------------------------

// Columns of the plain sheet: one per class asked for in turn, where that fits.
uint32_t sample_columns(const sampling_job *j) {
    uint64_t k = 1;
    while (k < j->count && j->requests[k].label != j->requests[0].label)
        k++;
    if (k > 1 && k <= 2 * SHEET_COLUMNS)
        return (uint32_t)k;
    return j->count < SHEET_COLUMNS ? (uint32_t)j->count : SHEET_COLUMNS;
}

static void tell(const sampling_job *j, const char *what, const char *notes) {
    if (notes[0])
        sample_message(j, "%s%s", what, notes);
}

// The model, with what the recipe knows of it, and what was assumed of it said aloud.
static igvk_status open_model(sampling_job *j) {
    igvk_status status = IGVK_OK;
    const igvk_sample_options *o = j->o;
    const igvk_recipe *recipe = NULL;
    model_hints known = {0};
    bool same = true;
    char text[IGVK_TEXT];
    if (o->recipe[0]) {
        TRY(recipe_find(igvk_sample_option_list(), o->recipe, &recipe));
        TRY(recipe_hints(recipe, &known));
    }
    TRY(loaded_model_open_as(o->model, o->weights ? "model" : "ema", recipe ? &known : NULL, &j->model));
    if (recipe) {
        TRY(recipe_check(recipe, j->model.path, &j->model.config, &same));
        recipe_describe(recipe, text, sizeof text);
        tell(j, "", text);
        if (!same)
            sample_message(
                j, "note: %s is not a %s with the head of that name's publication: its figures are not to be expected",
                j->model.path, recipe->model);
    }
    tell(j, "model: ", weights_notes(j->model.file));
done:
    return status;
}

static igvk_status read_inputs(sampling_job *j) {
    igvk_status status = IGVK_OK;
    const igvk_sample_options *o = j->o;
    TRY(check_options(o));
    TRY(open_model(j));
    TRY(picture_maker_create(&(picture_options){.vae = o->vae,
                                                .statistics = o->latent_stats,
                                                .tile = (uint32_t)o->tile,
                                                .model = &j->model.config,
                                                .model_path = j->model.path},
                             &j->pictures));
    if (o->compare[0])
        TRY(open_second(j, "--compare", o->compare, &j->compared));
    if (o->autoguidance[0])
        TRY(open_weak(j));
    TRY(sample_method_make(o, &j->model.config, &j->method));
    TRY(class_list_make(o->classes, o->count, o->seed, j->model.config.classes, j->model.class_names, &j->requests,
                        &j->count));
    TRY(check_count(j));
    if (!o->plan) // it reads whole files
        TRY(describe(j));
done:
    return status;
}

static igvk_status lay_out_axes(sampling_job *j) {
    igvk_status status = IGVK_OK;
    sheet_job *s = &j->sheet;
    *s = (sheet_job){.class_names = j->model.class_names,
                     .requests = j->requests,
                     .request_count = (uint32_t)j->count,
                     .method = j->method,
                     .title = j->parameters,
                     .path = j->o->sheet[0] ? j->o->sheet : NULL,
                     .model_count = 1,
                     .pictures = j->pictures};
    s->models[0] = (sheet_model){.config = &j->model.config, .batch = sample_method_batch(j->o, &j->method)};
    if (j->o->compare[0]) {
        s->models[s->model_count++] =
            (sheet_model){.name = "2:", .config = &j->compared.config, .batch = sample_method_batch(j->o, &j->method)};
        s->models[0].name = "1:";
    }
    TRY(j->o->grid[0] ? sheet_job_grid(s, j->o->grid) : sheet_job_rows(s, j->o->sheet_rows));
    for (uint32_t k = 0; k < s->model_count; k++) {
        const char *path = k ? j->o->compare : j->model.path;
        if (!s->models[k].config->null_class && sheet_job_uses_cfg(s))
            THROW(IGVK_ERROR_INVALID, "%s: was trained without a no-class label (label dropout 0): leave CFG away",
                  path);
        if (!s->models[k].config->head_after && sheet_job_uses_ig(s))
            THROW(IGVK_ERROR_INVALID, "%s: has no auxiliary head: leave IG away", path);
    }
    TRY(j->o->plan ? IGVK_OK : sheet_job_lay_out(s));
done:
    return status;
}

static igvk_status lay_out_plain(sampling_job *j) {
    igvk_status status = IGVK_OK;
    const igvk_sample_options *o = j->o;
    uint32_t columns = sample_columns(j);
    if (o->sheet[0])
        TRY(request_sheet_create(&(request_sheet_options){.config = picture_maker_config(j->pictures),
                                                          .class_names = j->model.class_names,
                                                          .requests = j->requests,
                                                          .count = j->count,
                                                          .columns = columns,
                                                          .rows = (uint32_t)((j->count + columns - 1) / columns),
                                                          .title = j->parameters,
                                                          .path = o->sheet},
                                 &j->plain));
    TRY(sample_files_create(
        &(sample_files_options){.folder = o->out,
                                .npz = o->npz,
                                .config = picture_maker_config(j->pictures),
                                .latents = picture_maker_previews(j->pictures) ? &j->model.config : NULL,
                                .class_names = j->model.class_names,
                                .parameters = j->parameters,
                                .requests = j->requests,
                                .count = j->count},
        &j->files));
done:
    return status;
}

static igvk_status open_dataset(sampling_job *j) {
    igvk_status status = IGVK_OK;
    uint32_t rows = sample_has_axes(j) ? sheet_job_cells(&j->sheet) : 1;
    label_texts labels = {0};
    TRY(label_texts_create(&labels, rows));
    for (uint32_t k = 0; sample_has_axes(j) && k < rows; k++)
        sheet_job_cell_label(&j->sheet, k, labels.texts[k], sizeof *labels.texts);
    nearest_count_options n = {.folder = j->o->against,
                               .config = picture_maker_config(j->pictures),
                               .class_names = j->model.class_names,
                               .requests = j->requests,
                               .request_count = j->count,
                               .rows = rows,
                               .row_labels = sample_has_axes(j) ? labels.pointers : NULL,
                               .sheet = j->o->nearest_sheet,
                               .sheet_columns = sample_columns(j),
                               .title = j->parameters,
                               .events = j->events};
    TRY(nearest_count_create(&n, &j->nearest));
done:
    label_texts_free(&labels);
    return status;
}

static igvk_status load_pictures(sampling_job *j) {
    igvk_status status = IGVK_OK;
    uint64_t bytes = 0;
    char text[32];
    device_plan_kind(j->device, PLAN_DECODER);
    TRY(picture_maker_load(j->pictures, j->device, &bytes));
    device_plan_kind(j->device, NULL);
    if (bytes)
        sample_message(j, "decoding takes %s of device memory, its weights included", format_bytes(text, bytes));
    if (picture_maker_previews(j->pictures))
        sample_message(j, "note: latents of %u channels, shown in false colours; --vae FILE makes pictures of them",
                       j->model.config.channels);
done:
    return status;
}

igvk_status sample_prepare(sampling_job *j) {
    igvk_status status = IGVK_OK;
    TRY(read_inputs(j));
    if (sample_has_axes(j))
        TRY(lay_out_axes(j));
    else if (!j->o->plan)
        TRY(lay_out_plain(j));
    if (j->o->against[0] && !j->o->plan)
        TRY(open_dataset(j));
    device_options choice = *DEVICE_OPTIONS_OF(j->o);
    choice.planning = j->o->plan;
    TRY(device_open(&choice, &j->device));
    j->model.precision = j->compared.precision = j->weak.precision =
        precision_for(j->device, j->o->precision, j->events);
    TRY(loaded_model_load(j->device, &j->model));
    if (j->o->compare[0])
        TRY(loaded_model_load(j->device, &j->compared));
    TRY(load_pictures(j));
    if (j->o->autoguidance[0])
        TRY(loaded_model_load_beside(j->device, &j->weak, j->model.store, SET_WEAK));
done:
    return status;
}
