// SPDX-License-Identifier: MIT
// `igvk train`: a new run, or one to go on with.
#include "cli/arguments.h"
#include "cli/console.h"
#include "cli/recipes.h"

#include <stdio.h>
#include <string.h>

// Of `given`, what was set by a flag and a resumed run may change goes into `stored`; what contradicts the run
// is refused, not ignored.
static int merge(const arguments *a, const igvk_train_options *given, igvk_train_options *stored) {
    for (size_t i = 0; i < a->setting_count; i++) {
        const igvk_option *option = a->settings[i].option;
        char text[IGVK_TEXT], before[IGVK_TEXT];
        if (!igvk_option_get(option, given, text, sizeof text) ||
            !igvk_option_get(option, stored, before, sizeof before))
            return usage_error("out of memory");
        if (strcmp(text, before) == 0)
            continue;
        if (!option->may_change)
            return usage_error("--%s \"%s\" contradicts the run %s, which has \"%s\": leave it out, or start a new run "
                               "with --out",
                               option->name, text, given->resume, before);
        if (igvk_option_set(a->command->options(), stored, option->name, text) != IGVK_OK)
            return usage_error("%s", igvk_error_text());
    }
    return EXIT_FINE;
}

static int run(const arguments *a) {
    igvk_train_options given, stored, *o = &given;
    igvk_train_options_default(&given);
    int code = arguments_apply(a, &given);
    if (code)
        return code;
    if (given.recipes) {
        recipes_print(igvk_train_option_list());
        return EXIT_FINE;
    }
    if (given.resume[0]) {
        igvk_status status = igvk_train_options_load(given.resume, &stored);
        if (status != IGVK_OK)
            return console_end(status);
        code = merge(a, &given, &stored);
        if (code)
            return code;
        memcpy(stored.resume, given.resume, sizeof stored.resume);
        o = &stored;
    }
    return console_end(igvk_train(o, console_events()));
}

static const char *const examples[] = {
    "train --data glyphs --out run --width 192 --depth 4 --heads 6 --patch 4 --head-after 1 --batch 64 --learning-rate "
    "2e-3 --ema 0.999 --ema-warmup --time 5m",
    "train --resume run --time 10m",
    NULL,
};

const command train_command = {
    .name = "train",
    .summary = "train a model with an auxiliary head",
    .about =
        "Trains a SiT with an auxiliary head after an early block, which Internal Guidance needs, on a dataset that "
        "`igvk data` made, and keeps an average (EMA) of its weights for sampling.\n"
        "Ctrl-C finishes the step and saves. `igvk train --resume DIR` goes on with the same numbers, under the "
        "run's own settings. Flags that change how it ends or is watched, --learning-rate and --clip hold from there "
        "on; others that contradict its settings are refused.",
    .options = igvk_train_option_list,
    .after = "data glyphs",
    .examples = examples,
    .run = run,
};
