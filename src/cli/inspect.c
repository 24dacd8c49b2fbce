// SPDX-License-Identifier: MIT
// `igvk inspect`: what a file of weights holds.
#include "cli/arguments.h"
#include "cli/console.h"

#include <stdio.h>

static void print_row(void *user, const igvk_inspect_row *r) {
    (void)user;
    printf("%s  %s%s%s%s%s\n", r->name, r->type, r->shape ? " " : "", r->shape ? r->shape : "", r->value ? " = " : "",
           r->value ? r->value : "");
}

static int run(const arguments *a) {
    igvk_inspect_result result = {0};
    char bytes[32];
    if (a->bare_count != 1)
        return usage_error("inspect: which file? Name one: `igvk inspect checkpoint.pt`");
    igvk_status status = igvk_inspect(a->bare[0], print_row, NULL, &result);
    if (status == IGVK_OK)
        console_row("%s: %s, %llu tensor%s of %s, %llu value%s", a->bare[0], result.format,
                    (unsigned long long)result.tensors, result.tensors == 1 ? "" : "s", bytes_text(bytes, result.bytes),
                    (unsigned long long)result.values, result.values == 1 ? "" : "s");
    return console_end(status);
}

static const char *const examples[] = {"inspect model.safetensors", NULL};

const command inspect_command = {
    .name = "inspect",
    .summary = "list what a file of weights holds",
    .about = "Lists every tensor of a .safetensors, .pt, .pth or .ckpt file with its type and shape, and every value "
             "beside them: options, counters, metadata. PyTorch's files are read as data: nothing in them is ever "
             "executed, and a file that asks for more than official checkpoints do is refused.\n"
             "Exit status 2 where the file is damaged, hostile or of another kind.",
    .bare = "FILE",
    .after = "export",
    .examples = examples,
    .run = run,
};
