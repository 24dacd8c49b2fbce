// SPDX-License-Identifier: MIT
// igvk_parity: this device's numbers against a folder of reference numbers.
#include "api/device_choice.h"
#include "api/loaded_model.h"
#include "api/options.h"
#include "api/parity_case.h"
#include "api/parity_builtin.h"
#include "core/file.h"
#include "igvk/igvk_experimental.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct kind {
    const char *name;
    parity_runner run;
    bool precisions; // computed in f16 and bf16, too
} kinds[] = {
    {"sit_forward", parity_run_forward, true},
    {"sit_sampler", parity_run_sampler, true},
    {"sit_train", parity_run_train, true},
    {"guidance", parity_run_guidance, false},
    {"philox", parity_run_philox, false},
    {"lightningdit_forward", parity_run_forward, true},
    {"checkpoint_pt", parity_run_checkpoint, false},
    {"lightningdit_sampler", parity_run_sampler, true},
    {"lightningdit_train", parity_run_lightning, true},
    {"muon", parity_run_muon, false},
    {"autoencoder_kl", parity_run_autoencoder, false},
    {"dit", parity_run_diffusion, true},
    {"mdtv2", parity_run_diffusion, true},
};

static const char *const precisions[] = {[STORAGE_F32] = "f32", [STORAGE_F16] = "f16", [STORAGE_BF16] = "bf16"};

static const struct kind *kind_of(const char *name) {
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i].name, name) == 0)
            return &kinds[i];
    return NULL;
}

// ---- comparing -------------------------------------------------------------------------------------

typedef struct reporter {
    void (*line)(void *user, const igvk_parity_line *l);
    void *user;
    igvk_parity_result *result;
} reporter;

static igvk_status measure(parity_case *c, size_t i, igvk_parity_line *l) {
    const safetensors_entry *e = safetensors_at(c->outputs, i);
    bool integers = e->type >= ELEMENT_I64;
    igvk_status status = IGVK_OK;
    double largest = 0, difference = 0, norm = 0;
    void *expected = malloc(e->elements * (integers ? 8 : 4) + 1);
    if (!expected)
        return fail_memory(e->name, e->elements * 8);
    status = integers ? safetensors_read_i64(c->outputs, e, 0, e->elements, expected)
                      : safetensors_read_f32(c->outputs, e, 0, e->elements, expected);
    for (uint64_t k = 0; status == IGVK_OK && k < e->elements; k++) {
        double want = integers ? (double)((int64_t *)expected)[k] : ((float *)expected)[k];
        double have = integers ? (double)((int64_t *)c->computed[i])[k] : ((float *)c->computed[i])[k];
        double error = fabs(have - want);
        if (!(error <= largest)) // also true for NaN, which then stays
            largest = error;
        difference += error * error;
        norm += want * want;
        if (!isfinite(have))
            l->note = "not finite";
    }
    free(expected);
    l->error = l->note ? (double)INFINITY : largest;
    l->relative_l2 = norm > 0 ? sqrt(difference / norm) : sqrt(difference);
    return status;
}

static igvk_status report(parity_case *c, const reporter *r) {
    for (size_t i = 0; i < safetensors_count(c->outputs); i++) {
        const char *name = safetensors_at(c->outputs, i)->name;
        const json_t *bound = json_object_get(json_object_get(c->bounds, name), precisions[c->precision]);
        igvk_parity_line l = {.folder = c->folder,
                              .tensor = name,
                              .error = (double)NAN,
                              .relative_l2 = (double)NAN,
                              .tolerance = json_is_number(bound) ? json_number_value(bound) : (double)NAN};
        if (c->exact[i]) {
            igvk_status status = parity_compare_exact(c, i, &l.error);
            if (status != IGVK_OK)
                return status;
            l.relative_l2 = l.error;
        } else if (c->computed[i]) {
            igvk_status status = measure(c, i, &l);
            if (status != IGVK_OK)
                return status;
        } else {
            l.note = "not computed";
        }
        if (!l.note && !json_is_number(bound))
            l.note = "no tolerance";
        l.within = !l.note && l.error <= l.tolerance;
        *(l.within ? &r->result->within : &r->result->out) += 1;
        if (r->line)
            r->line(r->user, &l);
    }
    return IGVK_OK;
}

// ---- writing ---------------------------------------------------------------------------------------

// A computed tensor in the type that the reference has.
static igvk_status write_output(safetensors_writer *w, const safetensors_entry *e, const void *computed) {
    if (e->type == ELEMENT_F32 || e->type == ELEMENT_I64)
        return safetensors_write(w, computed, e->bytes);
    if (e->type == ELEMENT_BF16)
        return fail(IGVK_ERROR_INVALID, "output '%s' is bf16, which no reference output is", e->name);
    igvk_status status = IGVK_OK;
    for (uint64_t k = 0; k < e->elements && status == IGVK_OK; k++) {
        double value = e->type >= ELEMENT_I64 ? 0 : ((const float *)computed)[k];
        int64_t integer = e->type >= ELEMENT_I64 ? ((const int64_t *)computed)[k] : 0;
        uint16_t half = f16_from_f32((float)value);
        switch (e->type) {
        case ELEMENT_F64:
            status = safetensors_write(w, &value, 8);
            break;
        case ELEMENT_F16:
            status = safetensors_write(w, &half, 2);
            break;
        default:
            status = safetensors_write(w, &integer, element_size(e->type)); // little-endian, low bytes first
        }
    }
    return status;
}

static igvk_status write_outputs(parity_case *c, const char *folder) {
    igvk_status status = IGVK_OK;
    safetensors_writer *w = NULL;
    char *path = path_join(folder, "outputs.safetensors");
    if (!path)
        return fail_memory("a path", 0);
    TRY(folder_create(folder));
    TRY(safetensors_writer_create(path, &w));
    for (size_t i = 0; i < safetensors_count(c->outputs); i++) {
        const safetensors_entry *e = safetensors_at(c->outputs, i);
        if (c->computed[i] || c->exact[i])
            TRY(safetensors_declare(w, e->name, e->type, e->rank, e->shape));
    }
    TRY(safetensors_begin_data(w));
    for (size_t i = 0; i < safetensors_count(c->outputs); i++)
        if (c->exact[i])
            TRY(safetensors_write(w, c->exact[i], safetensors_at(c->outputs, i)->bytes));
        else if (c->computed[i])
            TRY(write_output(w, safetensors_at(c->outputs, i), c->computed[i]));
    TRY(safetensors_finish(w));
done:
    safetensors_writer_destroy(&w);
    free(path);
    return status;
}

// ---- running ---------------------------------------------------------------------------------------

typedef struct parity_job {
    const igvk_parity_options *o;
    const igvk_events *events;
    device *device; // opened by the first folder that needs it
    reporter report;
    size_t folders;
} parity_job;

static igvk_status need_device(parity_job *j) {
    return j->device ? IGVK_OK : device_open(DEVICE_OPTIONS_OF(j->o, false), &j->device);
}

static igvk_status run_folder(parity_job *j, const char *folder) {
    igvk_status status = IGVK_OK;
    char *out = NULL;
    parity_case c;
    const igvk_parity_options *o = j->o;
    TRY(parity_case_open(folder, o->tolerances[0] ? o->tolerances : NULL, &c));
    const char *kind = json_string_value(json_object_get(c.root, "kind"));
    const struct kind *k = kind_of(kind);
    if (!k)
        THROW(IGVK_ERROR_INVALID, "%s: this version cannot compute cases of kind '%.40s'", folder, kind);
    if (o->precision && !k->precisions)
        THROW(IGVK_ERROR_INVALID, "%s: cases of kind '%.40s' are computed in f32 alone: leave --precision away", folder,
              kind);
    TRY(need_device(j));
    c.device = j->device;
    c.precision = precision_for(j->device, o->precision, j->events);
    TRY(k->run(&c));
    if (o->out[0]) {
        out = j->folders > 1 ? path_join(o->out, c.name) : strdup(o->out);
        TRY(out ? write_outputs(&c, out) : fail_memory("a path", 0));
    }
    TRY(report(&c, &j->report));
done:
    free(out);
    parity_case_close(&c);
    return status;
}

// Faults that are a folder's own; others would meet the next one too.
static bool is_of_folder(igvk_status status) {
    return status == IGVK_ERROR_INVALID || status == IGVK_ERROR_IO || status == IGVK_ERROR_DEVICE_MEMORY;
}

static igvk_status run_folders(parity_job *j, const char *const *folders) {
    igvk_status status = IGVK_OK;
    igvk_parity_result *result = j->report.result;
    for (size_t i = 0; i < j->folders; i++) {
        if (j->events && j->events->stop && j->events->stop(j->events->user))
            THROW(IGVK_INTERRUPTED, "stopped before %s", folders[i]);
        status = run_folder(j, folders[i]);
        result->unusable += is_of_folder(status);
        if (!is_of_folder(status) || j->folders == 1)
            TRY(status);
        else if (j->events && j->events->message)
            j->events->message(j->events->user, igvk_error_text());
    }
    status = IGVK_OK;
    if (result->unusable)
        THROW(IGVK_ERROR_INVALID, "%llu of %zu folders could not be used", (unsigned long long)result->unusable,
              j->folders);
done:
    return status;
}

igvk_status igvk_parity(const igvk_parity_options *o, const char *const *folders, size_t count,
                        void (*line)(void *user, const igvk_parity_line *l), void *user, const igvk_events *events,
                        igvk_parity_result *result) {
    igvk_status status = IGVK_OK;
    igvk_parity_result ignored;
    parity_job j = {.o = o,
                    .events = events,
                    .folders = count,
                    .report = {.line = line, .user = user, .result = result ? result : &ignored}};
    memset(j.report.result, 0, sizeof *j.report.result);
    TRY(options_check(igvk_parity_option_list(), o));
    if (o->precision && count == 0)
        THROW(IGVK_ERROR_INVALID, "--precision: the built-in cases are of f32: name folders with reference numbers");
    if (count == 0) {
        TRY(need_device(&j));
        TRY(parity_builtin(j.device, line, user, j.report.result));
    }
    TRY(run_folders(&j, folders));
done:
    device_close(&j.device);
    return status;
}
