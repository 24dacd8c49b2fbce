// SPDX-License-Identifier: MIT
// `bench --only kernels`: what the driver tells of the machine code of each kernel that this device would choose for
// the model. The job is lowered on a planning device, so that nothing is allocated however large the model is.
#include "api/bench_internal.h"

#include "api/device_choice.h"
#include "core/text.h"
#include "vulkan/pipeline_statistics.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

// Drivers tell up to thirty numbers each by names of their own: those that tell whether a kernel fits its hardware.
static bool matters(const char *name) {
    static const char *const words[] = {
        "spill", "gpr",       "register", "lds",   "shared", "scratch",        "slm",   "waves",
        "warps", "subgroups", "threads",  "fills", "live",   "dispatch width", "instr", "code size"};
    char lower[256];
    size_t i = 0;
    for (; name[i] && i + 1 < sizeof lower; i++)
        lower[i] = (char)tolower((unsigned char)name[i]);
    lower[i] = 0;
    for (size_t k = 0; k < sizeof words / sizeof *words; k++)
        if (strstr(lower, words[k]))
            return true;
    return false;
}

static igvk_status kernel_row(bench *b, const dispatch *x, const pipeline_statistics *s) {
    text_buffer name = {0}, note = {0};
    text_append(&name, "%s, %u invocations", x->shader, x->local_size);
    for (uint32_t i = 0; i < x->constant_count; i++)
        text_append(&name, "%s%u", i ? " " : ": ", x->constants[i]);
    for (size_t i = 0; i < s->count; i++)
        if (matters(s->items[i].name) && isfinite(s->items[i].value))
            text_append(&note, "%s%s %.10g", note.length ? ", " : "", s->items[i].name, s->items[i].value);
    if (!s->count)
        text_append(&note, "the driver tells nothing");
    igvk_status status = name.text && note.text ? bench_note(b, name.text, note.text) : fail_memory("a row", 0);
    text_free(&name);
    text_free(&note);
    return status;
}

static igvk_status list_kernels(bench *b, const dispatch_list *l) {
    igvk_status status = IGVK_OK;
    pipeline_statistics s;
    for (size_t i = 0; i < l->count; i++) {
        TRY(pipeline_statistics_read(b->device, &l->items[i], &s));
        if (s.fresh)
            TRY(kernel_row(b, &l->items[i], &s));
    }
done:
    return status;
}

igvk_status bench_kernels(bench *b) {
    igvk_status status = IGVK_OK;
    const uint32_t batch = (uint32_t)b->o->batch;
    const capabilities *c = device_capabilities(b->device);
    device *plans = NULL;
    trainer *t = NULL;
    compiled_graph forward = {0}, step = {0};
    graph *g = NULL;
    tensor_id keep;
    device_options o = *DEVICE_OPTIONS_OF(b->o, true);
    o.memory = UINT64_MAX / 4; // compiling needs none
    TRY(device_open(&o, &plans));
    const trainer_options options = bench_trainer(b, plans);
    TRY(trainer_create(&options, &t));
    TRY(bench_forward_graph(&b->config, trainer_layout(t), batch, &g, &keep));
    TRY(graph_compile(&g, c, &keep, 1, &forward));
    TRY(list_kernels(b, &forward.list));
    TRY(trainer_compile_micro(t, batch, &step));
    TRY(list_kernels(b, &step.list));
done:
    compiled_graph_free(&forward);
    compiled_graph_free(&step);
    graph_destroy(&g);
    trainer_destroy(&t);
    device_close(&plans);
    return status;
}
