// SPDX-License-Identifier: MIT
// `igvk bench`: how fast this device is, and how near to its own peak.
#include "cli/arguments.h"
#include "cli/console.h"

#include <stdio.h>

// A number where it applies, else blanks of the same width.
static const char *cell(char out[32], const char *format, double value) {
    if (value > 0)
        snprintf(out, 32, format, value);
    else
        snprintf(out, 32, "-");
    return out;
}

static void print_row(void *user, const igvk_bench_row *r) {
    (void)user;
    char flops[32], bytes[32], share[32];
    console_row("%-40s %10.3f %10.3f %10s %10s %7s", r->name, r->milliseconds, r->median,
                cell(flops, "%.1f", r->gflops), cell(bytes, "%.1f", r->gigabytes),
                cell(share, "%.0f%%", 100 * r->share));
}

static int run(const arguments *a) {
    igvk_bench_options o;
    igvk_bench_options_default(&o);
    int code = arguments_apply(a, &o);
    if (code)
        return code;
    console_row("%-40s %10s %10s %10s %10s %7s", "", "best ms", "median ms", "GFLOP/s", "GB/s", "of peak");
    return console_end(igvk_bench(&o, print_row, NULL, console_events()));
}

static const char *const examples[] = {"bench --operators-only --seconds 0.2", NULL};

const command bench_command = {
    .name = "bench",
    .summary = "measure operators, training and sampling",
    .about =
        "Measures the device's own peak (fused multiply-add, copy), one matrix multiplication forward and backward, "
        "and a model's forward pass, training step and sampling step with each guidance, all in this one run.",
    .options = igvk_bench_option_list,
    .examples = examples,
    .run = run,
};
