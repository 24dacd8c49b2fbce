// SPDX-License-Identifier: MIT
// igvk_sample: images from a checkpoint to PNG files, npz and sheets. First all that can be refused is, from options,
// headers and paths; then the device is opened and the weights are read.
#include "api/loaded_model.h"
#include "api/nearest_count.h"
#include "api/options.h"
#include "api/pictures.h"
#include "api/recipes.h"
#include "api/request_sheet.h"
#include "api/sample_files.h"
#include "api/sample_method.h"
#include "api/sheet_job.h"
#include "core/clock.h"
#include "core/digest.h"
#include "core/text.h"

#include <stdlib.h>
#include <string.h>

#define SHEET_COLUMNS 16 // of a plain sheet, at most
#define SHEET_IMAGES 4096

typedef struct sampling_job {
    const igvk_sample_options *o;
    const igvk_events *events;
    device *device;
    loaded_model model, compared; // compared: --compare's, else empty
    loaded_model weak;            // --autoguidance's, else empty
    picture_maker *pictures;
    sampling_method method;
    image_request *requests;
    uint64_t count;
    char parameters[640];   // what shapes the pictures, one line
    nearest_count *nearest; // null without --against
    sample_files *files;    // null where a sheet has rows or a grid
    sheet *plain;           // null where a sheet has rows or a grid, or none is asked for
    sheet_job sheet;        // else
} sampling_job;

static bool has_axes(const sampling_job *j) {
    return j->o->sheet_rows[0] || j->o->grid[0];
}

static void message(const sampling_job *j, const char *format, ...) PRINTF_LIKE(2, 3);
static void message(const sampling_job *j, const char *format, ...) {
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
    if (!sheet && !o->out[0] && !o->npz[0] && !o->against[0])
        return fail(IGVK_ERROR_INVALID, "nothing to write: give --out DIR, --npz FILE, --sheet FILE or --against DIR");
    if (axes && !sheet && !o->against[0])
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
static igvk_status describe(sampling_job *j) {
    igvk_status status = IGVK_OK;
    char method[256], weak[192] = "";
    const char *file = strrchr(j->model.path, '/');
    const char *slash = strrchr(j->o->compare, '/');
    const char *other = j->o->compare[0] ? slash ? slash + 1 : j->o->compare : NULL;
    uint64_t digest = 0;
    TRY(file_digest(j->model.path, &digest));
    if (j->o->autoguidance[0]) {
        const char *name = strrchr(j->weak.path, '/');
        uint64_t weak_digest = 0;
        TRY(file_digest(j->weak.path, &weak_digest));
        snprintf(weak, sizeof weak, " (IG by %.100s, weights %016llx)", name ? name + 1 : j->weak.path,
                 (unsigned long long)weak_digest);
    }
    sample_method_describe(&j->method, sample_method_batch(j->o, &j->method), method, sizeof method);
    snprintf(j->parameters, sizeof j->parameters, "model %.120s (%s)%s%.120s, %s%s, igvk %s, weights %016llx",
             file ? file + 1 : j->model.path, j->o->weights ? "model" : "EMA", other ? ", 2: " : "", other ? other : "",
             method, weak, IGVK_VERSION, (unsigned long long)digest);
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
static uint32_t columns_of(const sampling_job *j) {
    uint64_t k = 1;
    while (k < j->count && j->requests[k].label != j->requests[0].label)
        k++;
    if (k > 1 && k <= 2 * SHEET_COLUMNS)
        return (uint32_t)k;
    return j->count < SHEET_COLUMNS ? (uint32_t)j->count : SHEET_COLUMNS;
}

static void tell(const sampling_job *j, const char *what, const char *notes) {
    if (notes[0])
        message(j, "%s%s", what, notes);
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
            message(j,
                    "note: %s is not a %s with the head of that name's publication: its figures are not to be expected",
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
    TRY(sheet_job_lay_out(s));
done:
    return status;
}

static igvk_status lay_out_plain(sampling_job *j) {
    igvk_status status = IGVK_OK;
    const igvk_sample_options *o = j->o;
    uint32_t columns = columns_of(j);
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
    uint32_t rows = has_axes(j) ? sheet_job_cells(&j->sheet) : 1;
    label_texts labels = {0};
    TRY(label_texts_create(&labels, rows));
    for (uint32_t k = 0; has_axes(j) && k < rows; k++)
        sheet_job_cell_label(&j->sheet, k, labels.texts[k], sizeof *labels.texts);
    nearest_count_options n = {.folder = j->o->against,
                               .config = picture_maker_config(j->pictures),
                               .class_names = j->model.class_names,
                               .requests = j->requests,
                               .request_count = j->count,
                               .rows = rows,
                               .row_labels = has_axes(j) ? labels.pointers : NULL,
                               .sheet = j->o->nearest_sheet,
                               .sheet_columns = columns_of(j),
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
    TRY(picture_maker_load(j->pictures, j->device, &bytes));
    if (bytes)
        message(j, "decoding takes %s of device memory in all", format_bytes(text, bytes));
    if (picture_maker_previews(j->pictures))
        message(j, "note: latents of %u channels, shown in false colours; --vae FILE makes pictures of them",
                j->model.config.channels);
done:
    return status;
}

static igvk_status prepare(sampling_job *j) {
    igvk_status status = IGVK_OK;
    TRY(read_inputs(j));
    TRY(has_axes(j) ? lay_out_axes(j) : lay_out_plain(j));
    if (j->o->against[0])
        TRY(open_dataset(j));
    TRY(device_open(&(device_options){.select = j->o->device[0] ? j->o->device : NULL}, &j->device));
    TRY(loaded_model_load(j->device, &j->model));
    if (j->o->compare[0])
        TRY(loaded_model_load(j->device, &j->compared));
    TRY(load_pictures(j));
    if (j->o->autoguidance[0])
        TRY(loaded_model_load_beside(j->device, &j->weak, j->model.store, SET_WEAK));
done:
    return status;
}

// ---- images ----------------------------------------------------------------------------------------

static parameter_set weights_of(const loaded_model *m) {
    return (parameter_set){.layout = m->layout, .arena_name = SET_LOADED, .role = ROLE_PARAMETER};
}

static igvk_status sample_plain(sampling_job *j, image_batch *batch, float *kept) {
    igvk_status status = IGVK_OK;
    const uint64_t elements = model_elements(picture_maker_config(j->pictures)), first = sample_files_done(j->files);
    const uint32_t size = image_batch_size(batch);
    float *outputs = malloc(size * model_elements(&j->model.config) * sizeof *outputs);
    float *images = malloc(size * elements * sizeof *images);
    sampling_progress progress = {.events = j->events,
                                  .device = j->device,
                                  .total = j->count,
                                  .done = first,
                                  .present = first,
                                  .start = clock_seconds(),
                                  .saved =
                                      j->o->out[0] ? "the same command goes on from there" : "nothing was written"};
    if (!images || !outputs)
        TRY(fail_memory("a batch of images", size * elements * sizeof *images));
    if (first)
        message(j, "%llu images are there already", (unsigned long long)first);
    for (uint64_t i = first; i < j->count; i += size) {
        uint32_t n = j->count - i < size ? (uint32_t)(j->count - i) : size;
        TRY(image_batch_run(batch, j->requests + i, n, &progress, outputs));
        TRY(picture_maker_run(j->pictures, outputs, n, images));
        TRY(sample_files_add(j->files, n, images, outputs));
        if (kept)
            memcpy(kept + i * elements, images, n * elements * sizeof *images);
        TRY(sampling_progress_batch(&progress, n));
    }
    TRY(sample_files_finish(j->files));
done:
    free(images);
    free(outputs);
    return status;
}

static void draw_plain(const sampling_job *j, const float *images) {
    uint32_t columns = columns_of(j);
    for (uint64_t i = 0; i < j->count; i++)
        sheet_put_f32(j->plain, (uint32_t)(i / columns), (uint32_t)(i % columns),
                      images + i * model_elements(picture_maker_config(j->pictures)));
}

static igvk_status run_plain(sampling_job *j) {
    igvk_status status = IGVK_OK;
    const igvk_sample_options *o = j->o;
    const model_config *c = &j->model.config;
    image_batch *batch = NULL;
    float *kept = NULL;
    const bool autoguided = o->autoguidance[0];
    parameter_set set = weights_of(&j->model);
    parameter_set weak = {.layout = j->weak.layout, .arena_name = SET_WEAK, .role = ROLE_PARAMETER};
    image_batch_options b = {.device = j->device,
                             .store = j->model.store,
                             .config = c,
                             .parameters = &set,
                             .weak_config = autoguided ? &j->weak.config : NULL,
                             .weak_parameters = autoguided ? &weak : NULL,
                             .method = &j->method,
                             .batch = sample_method_batch(o, &j->method),
                             .expected = j->count};
    TRY(image_batch_create(&b, &batch));
    if ((j->plain || j->nearest) &&
        !(kept = calloc(j->count * model_elements(picture_maker_config(j->pictures)), sizeof *kept)))
        THROW(IGVK_ERROR_MEMORY, "out of memory for %llu images", (unsigned long long)j->count);
    if (kept)
        TRY(sample_files_read_present(j->files, kept));
    TRY(sample_plain(j, batch, kept));
    if (j->plain) {
        draw_plain(j, kept);
        TRY(sheet_write(j->plain, o->sheet, j->parameters));
    }
    if (j->nearest)
        TRY(nearest_count_add(j->nearest, "all", kept));
done:
    free(kept);
    image_batch_destroy(&batch);
    return status;
}

static igvk_status count_cell(void *user, const char *label, const float *images) {
    return nearest_count_add(((sampling_job *)user)->nearest, label, images);
}

static igvk_status run_axes(sampling_job *j) {
    loaded_model *models[] = {&j->model, &j->compared};
    parameter_set sets[SHEET_MODELS];
    j->sheet.device = j->device;
    for (uint32_t k = 0; k < j->sheet.model_count; k++) {
        sets[k] = weights_of(models[k]);
        j->sheet.models[k].store = models[k]->store;
        j->sheet.models[k].parameters = &sets[k];
    }
    return sheet_job_draw(&j->sheet, j->events, j->nearest ? count_cell : NULL, j);
}

// ---- all -------------------------------------------------------------------------------------------

static void tell_files(const sampling_job *j) {
    const igvk_sample_options *o = j->o;
    if (o->sheet[0])
        message(j, "sheet: %s", o->sheet);
    if (o->nearest_sheet[0])
        message(j, "samples and their nearest training images: %s", o->nearest_sheet);
    if (o->npz[0])
        message(j, "npz: %s", o->npz);
    if (o->out[0])
        message(j, "%llu images in %s", (unsigned long long)j->count, o->out);
}

igvk_status igvk_sample(const igvk_sample_options *o, const igvk_events *events) {
    igvk_status status = IGVK_OK;
    sampling_job *j = calloc(1, sizeof *j);
    if (!j)
        return fail_memory("a job", sizeof *j);
    j->o = o;
    j->events = events;
    TRY(prepare(j));
    TRY(has_axes(j) ? run_axes(j) : run_plain(j));
    TRY(nearest_count_finish(j->nearest));
    tell_files(j);
done:
    nearest_count_destroy(&j->nearest);
    sample_files_destroy(&j->files);
    sheet_destroy(&j->plain);
    sheet_job_close(&j->sheet);
    free(j->requests);
    picture_maker_destroy(&j->pictures);
    loaded_model_close(&j->compared);
    loaded_model_close(&j->weak);
    loaded_model_close(&j->model);
    device_close(&j->device);
    free(j);
    return status;
}
