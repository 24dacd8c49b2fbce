// SPDX-License-Identifier: MIT
// `igvk bench`: how fast this device is, and how near to its own peak.
#include "cli/arguments.h"
#include "cli/console.h"

#include <math.h>
#include <stdio.h>

// A number where it applies, else blanks of the same width.
static const char *cell(char out[32], const char *format, double value) {
    if (value > 0)
        snprintf(out, 32, format, value);
    else
        snprintf(out, 32, "-");
    return out;
}

static bool comparing; // --compare: two more columns

// The change of the median, or that there is none beyond the noise.
static const char *change(char out[64], const igvk_bench_row *r) {
    const double part = r->before > 0 ? r->median / r->before - 1 : 0;
    if (!(r->before > 0))
        snprintf(out, 64, "new");
    else if (fabs(part) <= r->noise)
        snprintf(out, 64, "none (noise %.0f%%)", 100 * r->noise);
    else
        snprintf(out, 64, "%+.1f%% (noise %.0f%%)", 100 * part, 100 * r->noise);
    return out;
}

static void print_row(void *user, const igvk_bench_row *r) {
    (void)user;
    char flops[32], bytes[32], share[32], joules[32], text[64] = "";
    if (r->note) {
        console_row("| %s | %s |", r->name, r->note);
        return;
    }
    if (r->unit) {
        console_row("| %-48s | %.4g %s | | | | | |%s", r->name, r->value, r->unit, comparing ? " |" : "");
        return;
    }
    console_row("| %-48s | %10.3f | %10.3f | %8s | %7s | %7s | %8s |%s%s%s", r->name, r->milliseconds, r->median,
                cell(flops, "%.1f", r->gflops), cell(bytes, "%.1f", r->gigabytes), cell(share, "%.0f%%", 100 * r->share),
                cell(joules, "%.3f", r->joules), comparing ? " " : "", comparing ? change(text, r) : "", comparing ? " |" : "");
}

static void print_head(const igvk_bench_options *o) {
    if (o->only == 5) { // kernels
        console_row("| kernel, invocations: constants | the driver's statistics |");
        console_row("| --- | --- |");
        return;
    }
    console_row("| %-48s | %10s | %10s | %8s | %7s | %7s | %8s |%s", "", "best ms", "median ms", "GFLOP/s", "GB/s",
                "of peak", "joules", comparing ? " change |" : "");
    console_row("| --- | ---: | ---: | ---: | ---: | ---: | ---: |%s", comparing ? " --- |" : "");
}

static int run(const arguments *a) {
    igvk_bench_options o;
    igvk_bench_options_default(&o);
    int code = arguments_apply(a, &o);
    if (code)
        return code;
    comparing = o.compare[0];
    print_head(&o);
    return console_end(igvk_bench(&o, print_row, NULL, console_events()));
}

static const char *const examples[] = {"bench --only operators --seconds 0.2", NULL};

const command bench_command = {
    .name = "bench",
    .summary = "measure operators, training and sampling",
    .about =
        "Measures the device's own peak (fused multiply-add, copy), again before each part since machines drift; a "
        "model's products in their shapes, attention and norms; its forward pass, training step and sampling step with "
        "each guidance, and where their time goes; memory, and energy where the system counts it. The table is "
        "markdown. --compare shows what changed since an earlier --json, and what is noise.",
    .options = igvk_bench_option_list,
    .examples = examples,
    .run = run,
};
