// SPDX-License-Identifier: MIT
// What does not fit is refused before anything is allocated, with the most images at once that would fit: memory of
// all sizes, made up on a planning device.
#include "training/trainer.h"
#include "vulkan/planning.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BATCH 12

static trainer_options options_for(device *d, uint32_t micro, bool recompute) {
    return (trainer_options){.device = d,
                             .model = {.kind = "sit",
                                       .height = 8,
                                       .width = 8,
                                       .channels = 2,
                                       .patch = 2,
                                       .hidden = 24,
                                       .depth = 6,
                                       .heads = 2,
                                       .head_after = 2,
                                       .mlp_ratio = 4},
                             .objective = {.auxiliary_weight = 0.5, .guided_target = 1},
                             .batch = BATCH,
                             .micro_batch = micro,
                             .recompute = recompute};
}

// Status and, where it fits, images at once and the bytes planned.
static igvk_status plan(uint64_t memory, uint32_t micro, bool recompute, uint32_t *taken, uint64_t *bytes) {
    device *d = NULL;
    trainer *t = NULL;
    if (device_open(&(device_options){.memory = memory, .planning = true}, &d) != IGVK_OK)
        fail_msg("cannot run: %s", igvk_error_text());
    const trainer_options o = options_for(d, micro, recompute);
    igvk_status status = trainer_create(&o, &t);
    *taken = status == IGVK_OK ? trainer_micro_batch(t) : 0;
    *bytes = device_planned_bytes(d);
    if (status != IGVK_OK)
        assert_int_equal(*bytes, 0); // before anything started
    trainer_destroy(&t);
    device_close(&d);
    return status;
}

// Between what one image needs and what all need, in steps.
static void the_most_that_fit_are_named(void **state) {
    (void)state;
    uint64_t least, most, bytes;
    uint32_t taken, given, refused = 0;
    assert_int_equal(plan(1ull << 40, 1, false, &taken, &least), IGVK_OK);
    assert_int_equal(plan(1ull << 40, 0, false, &taken, &most), IGVK_OK);
    assert_int_equal(taken, BATCH);
    for (int k = 1; k <= 12; k++) {
        const uint64_t memory = (uint64_t)((double)(least + (most - least) * (uint64_t)k / 12) / 0.89);
        char named[64];
        assert_int_equal(plan(memory, 0, false, &taken, &bytes), IGVK_OK);
        assert_true(bytes <= memory);
        if (plan(memory, BATCH, false, &given, &bytes) == IGVK_OK) {
            assert_int_equal(taken, BATCH);
            continue;
        }
        snprintf(named, sizeof named, "does not fit the device: %u is the most", taken);
        if (!strstr(igvk_error_text(), named))
            fail_msg("\"%s\" does not tell \"%s\"", igvk_error_text(), named);
        assert_int_equal(plan(memory, taken, false, &given, &bytes), IGVK_OK);
        refused++;
    }
    assert_true(refused > 3);
}

static void what_never_fits_tells_of_recomputation(void **state) {
    (void)state;
    uint64_t one, again, bytes;
    uint32_t taken;
    assert_int_equal(plan(1ull << 40, 1, false, &taken, &one), IGVK_OK);
    assert_int_equal(plan(1ull << 40, 1, true, &taken, &again), IGVK_OK);
    assert_true(again < one);
    assert_int_equal(plan((one + again) * 5 / 9, 0, false, &taken, &bytes), IGVK_ERROR_DEVICE_MEMORY);
    assert_non_null(strstr(igvk_error_text(), "one image at a time"));
    assert_non_null(strstr(igvk_error_text(), "give --recompute"));
    assert_int_equal(plan(again / 2, 0, false, &taken, &bytes), IGVK_ERROR_DEVICE_MEMORY);
    assert_null(strstr(igvk_error_text(), "--recompute"));
}

// The published size, batch 8 at once: the figures of docs/memory.md.
static void the_largest_sit_is_planned(void **state) {
    (void)state;
    uint64_t all[2], activations[2];
    for (int again = 0; again < 2; again++) {
        device *d = NULL;
        trainer *t = NULL;
        assert_int_equal(device_open(&(device_options){.memory = 1ull << 40, .planning = true}, &d), IGVK_OK);
        trainer_options o = options_for(d, 8, again);
        o.batch = 8;
        o.model = (model_config){.kind = "sit",
                                 .height = 32,
                                 .width = 32,
                                 .channels = 4,
                                 .classes = 1000,
                                 .null_class = true,
                                 .mlp_ratio = 4};
        assert_int_equal(model_config_preset("SiT-XL/2", &o.model), IGVK_OK);
        if (trainer_create(&o, &t) != IGVK_OK)
            fail_msg("%s", igvk_error_text());
        all[again] = device_planned_bytes(d);
        activations[again] = device_planned_activations(d);
        print_message("SiT-XL/2, batch 8%s: %.2f GiB in all, %.2f GiB of activations\n",
                      again ? ", computed again" : "", (double)all[again] / (1 << 30),
                      (double)activations[again] / (1 << 30));
        trainer_destroy(&t);
        device_close(&d);
    }
    assert_true(activations[1] < activations[0] / 5);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_most_that_fit_are_named),
        cmocka_unit_test(the_largest_sit_is_planned),
        cmocka_unit_test(what_never_fits_tells_of_recomputation),
    };
    return cmocka_run_group_tests_name("training/fit", tests, NULL, NULL);
}
