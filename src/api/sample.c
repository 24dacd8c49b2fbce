// SPDX-License-Identifier: MIT
// igvk_sample: images from a checkpoint to PNG files, npz and sheets.
#include "api/memory_plan.h"
#include "api/request_sheet.h"
#include "api/sample_job.h"
#include "api/sample_method.h"
#include "core/clock.h"

#include <stdlib.h>
#include <string.h>

// ---- images ----------------------------------------------------------------------------------------

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
        sample_message(j, "%llu images are there already", (unsigned long long)first);
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
    uint32_t columns = sample_columns(j);
    for (uint64_t i = 0; i < j->count; i++)
        sheet_put_f32(j->plain, (uint32_t)(i / columns), (uint32_t)(i % columns),
                      images + i * model_elements(picture_maker_config(j->pictures)));
}

static igvk_status create_batch(const sampling_job *j, image_batch **out) {
    const bool autoguided = j->o->autoguidance[0];
    parameter_set set = loaded_model_set(&j->model, SET_LOADED), weak = loaded_model_set(&j->weak, SET_WEAK);
    image_batch_options b = {.device = j->device,
                             .store = j->model.store,
                             .config = &j->model.config,
                             .parameters = &set,
                             .weak_config = autoguided ? &j->weak.config : NULL,
                             .weak_parameters = autoguided ? &weak : NULL,
                             .method = &j->method,
                             .batch = sample_method_batch(j->o, &j->method),
                             .expected = j->count};
    return image_batch_create(&b, out);
}

static igvk_status run_plain(sampling_job *j) {
    igvk_status status = IGVK_OK;
    const igvk_sample_options *o = j->o;
    image_batch *batch = NULL;
    float *kept = NULL;
    TRY(create_batch(j, &batch));
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
    uint32_t batch = 0;
    j->sheet.device = j->device;
    for (uint32_t k = 0; k < j->sheet.model_count; k++) {
        sets[k] = loaded_model_set(models[k], SET_LOADED);
        j->sheet.models[k].store = models[k]->store;
        j->sheet.models[k].parameters = &sets[k];
    }
    if (!j->o->plan)
        return sheet_job_draw(&j->sheet, j->events, j->nearest ? count_cell : NULL, j);
    igvk_status status = sheet_job_plan(&j->sheet, &batch);
    if (status == IGVK_OK)
        sample_message(j, "%u images at once", batch);
    return status;
}

static igvk_status plan_memory(sampling_job *j) {
    igvk_status status = IGVK_OK;
    image_batch *batch = NULL;
    if (sample_has_axes(j)) {
        TRY(run_axes(j));
    } else {
        TRY(create_batch(j, &batch));
        sample_message(j, "%u images at once", image_batch_size(batch));
    }
    memory_plan_tell(j->device, false, 0, j->events);
done:
    image_batch_destroy(&batch);
    return status;
}

// ---- all -------------------------------------------------------------------------------------------

static void tell_files(const sampling_job *j) {
    const igvk_sample_options *o = j->o;
    if (o->sheet[0])
        sample_message(j, "sheet: %s", o->sheet);
    if (o->nearest_sheet[0])
        sample_message(j, "samples and their nearest training images: %s", o->nearest_sheet);
    if (o->npz[0])
        sample_message(j, "npz: %s", o->npz);
    if (o->out[0])
        sample_message(j, "%llu images in %s", (unsigned long long)j->count, o->out);
}

// A batch that was asked for is refused by planning it, before weights are read or a folder is made.
static igvk_status check_batch(const igvk_sample_options *o) {
    igvk_sample_options *planned = o->batch && !o->plan ? malloc(sizeof *planned) : NULL;
    if (!planned)
        return IGVK_OK; // nothing to refuse, or memory that what follows asks for
    *planned = *o;
    planned->plan = true;
    igvk_status status = igvk_sample(planned, NULL);
    free(planned);
    return status;
}

igvk_status igvk_sample(const igvk_sample_options *o, const igvk_events *events) {
    igvk_status status = IGVK_OK;
    sampling_job *j = calloc(1, sizeof *j);
    if (!j)
        return fail_memory("a job", sizeof *j);
    j->o = o;
    j->events = events;
    TRY(check_batch(o));
    TRY(sample_prepare(j));
    if (o->plan) {
        TRY(plan_memory(j));
        goto done;
    }
    TRY(sample_has_axes(j) ? run_axes(j) : run_plain(j));
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
