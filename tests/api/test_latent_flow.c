// SPDX-License-Identifier: MIT
// From pictures to latents to a trained model to pictures again, by the library's calls, for both layouts; encoding
// that was stopped goes on to the same files.
#define _POSIX_C_SOURCE 200809L
#include "api/helpers_files.h"
#include "core/file.h"
#include "data/dataset.h"
#include "formats/image.h"
#include "igvk/igvk.h"
#include "igvk/igvk_experimental.h"
#include "vulkan/device.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define IMAGES 6
#define SIDE 16

static void make_pictures(const char *folder) {
    static const char *const names[] = {"dark", "light"};
    uint8_t pixels[3 * SIDE * SIDE];
    dataset_writer *w = NULL;
    assert_ok(dataset_writer_create(&(dataset_writer_options){.folder = folder,
                                                              .channels = 3,
                                                              .height = SIDE,
                                                              .width = SIDE,
                                                              .class_names = names,
                                                              .classes = 2,
                                                              .held_out = 1},
                                    &w));
    for (int i = 0; i < IMAGES; i++) {
        for (int k = 0; k < 3 * SIDE * SIDE; k++)
            pixels[k] = (uint8_t)(100 * (i % 2) + (k * (i + 3)) % 120);
        assert_ok(dataset_append(w, pixels, (uint32_t)i % 2));
    }
    assert_ok(dataset_finish(w));
    dataset_writer_destroy(&w);
}

// Asks to stop once `limit` images are done.
typedef struct watch {
    uint64_t done, limit;
} watch;
static void see(void *user, const igvk_progress *p) {
    ((watch *)user)->done = p->done;
}
static bool stop(void *user) {
    return ((watch *)user)->done >= ((watch *)user)->limit;
}

typedef struct taken {
    uint64_t planned, used; // bytes of the device, at most
    bool decoder;
} taken;

static void keep_row(void *user, const igvk_plan_row *row) {
    taken *t = user;
    if (strcmp(row->kind, "in all") == 0)
        t->planned = row->bytes;
    t->decoder = t->decoder || strcmp(row->kind, "decoder") == 0;
}

static void keep_progress(void *user, const igvk_progress *p) {
    taken *t = user;
    t->used = p->device_bytes > t->used ? p->device_bytes : t->used;
}

// The decoder is planned beside the model, and drivers may round buffers up.
static void sample_as_planned(igvk_sample_options *s) {
    taken t = {0};
    const igvk_events events = {.user = &t, .plan = keep_row, .progress = keep_progress};
    s->plan = true;
    assert_ok(igvk_sample(s, &events));
    s->plan = false;
    assert_false(path_exists(s->out));
    assert_ok(igvk_sample(s, &events));
    assert_true(t.decoder);
    assert_in_range(t.used, t.planned, t.planned + (16 << 10));
}

static void flow(uint32_t layout, const char *preset) {
    igvk_latents_options l;
    igvk_train_options t;
    igvk_sample_options s;
    watch w = {.limit = 2};
    const igvk_events events = {.user = &w, .progress = see, .stop = stop};
    char *vae = write_autoencoder();
    image picture = {0};
    make_pictures(scratch("pictures"));
    igvk_latents_options_default(&l);
    snprintf(l.data, sizeof l.data, "%s", scratch("pictures"));
    snprintf(l.vae, sizeof l.vae, "%s", vae);
    snprintf(l.out, sizeof l.out, "%s", scratch("latents"));
    l.layout = layout;
    assert_int_equal(igvk_data_latents(&l, &events), IGVK_INTERRUPTED);
    assert_ok(igvk_data_latents(&l, NULL));
    assert_int_not_equal(igvk_data_latents(&l, NULL), IGVK_OK); // there is a dataset now
    igvk_train_options_default(&t);
    snprintf(t.data, sizeof t.data, "%s", l.out);
    snprintf(t.out, sizeof t.out, "%s", scratch("run"));
    snprintf(t.model, sizeof t.model, "%s", preset);
    t.width = 32;
    t.depth = 1;
    t.heads = 2;
    t.batch = 2;
    t.steps = 2;
    t.sheet_every = 0;
    assert_ok(igvk_train(&t, NULL));
    igvk_sample_options_default(&s);
    snprintf(s.model, sizeof s.model, "%s", t.out);
    snprintf(s.vae, sizeof s.vae, "%s", vae);
    if (layout == 2)
        snprintf(s.latent_stats, sizeof s.latent_stats, "%s", scratch("latents/latents_stats.pt"));
    snprintf(s.out, sizeof s.out, "%s", scratch("out"));
    s.steps = 2;
    sample_as_planned(&s);
    assert_ok(image_read(scratch("out/000001.png"), &picture));
    assert_true(picture.width == SIDE && picture.height == SIDE && picture.channels == 3);
    image_free(&picture);
    free(vae);
}

static void test_moments(void **state) {
    (void)state;
    flow(1, "SiT-S/2");
}

static void test_shards(void **state) {
    (void)state;
    flow(2, "LightningDiT-B/2");
}

int main(void) {
    device *d = NULL;
    if (device_open(&(device_options){0}, &d) != IGVK_OK) {
        printf("skipped: %s\n", igvk_error_text());
        return 77;
    }
    device_close(&d);
    const struct CMUnitTest tests[] = {SCRATCH_TEST(test_moments), SCRATCH_TEST(test_shards)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
