// SPDX-License-Identifier: MIT
// `igvk parity`: this device against reference numbers.
#include "cli/arguments.h"
#include "cli/console.h"

#include <math.h>
#include <stdio.h>

static void print_line(void *user, const igvk_parity_line *l) {
    (void)user;
    char tolerance[32] = "none";
    if (!isnan(l->tolerance))
        snprintf(tolerance, sizeof tolerance, "%.3e", l->tolerance);
    console_row("%-4s %s/%s  error %.3e  tolerance %s  relative L2 %.3e%s%s", l->within ? "ok" : "OUT", l->folder,
                l->tensor, l->error, tolerance, l->relative_l2, l->note ? "  " : "", l->note ? l->note : "");
}

static int run(const arguments *a) {
    igvk_parity_options o;
    igvk_parity_result result = {0};
    igvk_parity_options_default(&o);
    int code = arguments_apply(a, &o);
    if (code)
        return code;
    igvk_status status = igvk_parity(&o, a->bare, a->bare_count, print_line, NULL, console_events(), &result);
    if (status == IGVK_OK || a->bare_count > 1)
        console_row("%llu within, %llu out", (unsigned long long)result.within, (unsigned long long)result.out);
    code = console_end(status);
    return code == EXIT_FINE && result.out > 0 ? EXIT_FAULT : code;
}

static const char *const examples[] = {"parity", NULL};

const command parity_command = {
    .name = "parity",
    .summary = "check this device against reference numbers",
    .about =
        "Computes every case on the device and compares each tensor with the reference's: a forward pass, training "
        "steps, sampler trajectories, guidance, random numbers. Run it first on a new device. Without DIR it takes "
        "the cases built into the program; else each DIR holds a case.json, weights, inputs and outputs.\n"
        "Exit status: 0 where all are within tolerance, 1 where any is out, 2 where a folder is unusable.",
    .bare = "[DIR...]",
    .options = igvk_parity_option_list,
    .examples = examples,
    .run = run,
};
