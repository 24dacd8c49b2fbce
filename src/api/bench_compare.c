// SPDX-License-Identifier: MIT
// An earlier run's --json file beside this one; the processor's counter of energy.
#include "api/bench_internal.h"

#include "core/file.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REPORT_BYTES (16u << 20) // of a file, at most

static igvk_status index_rows(bench *b, const json_t *root) {
    size_t i;
    const json_t *row;
    b->earlier = json_object();
    if (!b->earlier)
        return fail_memory("the earlier rows", 0);
    json_array_foreach(json_object_get(root, "rows"), i, row) {
        const char *name = json_string_value(json_object_get(row, "name"));
        if (!name || !json_is_number(json_object_get(row, "median")) || !json_is_number(json_object_get(row, "spread")))
            return fail(IGVK_ERROR_INVALID, "--compare %s: row %zu has no name, median and spread: not a file of igvk bench "
                        "--json, or of an older version", b->o->compare, i);
        if (json_object_set(b->earlier, name, (json_t *)row) != 0)
            return fail_memory("the earlier rows", 0);
    }
    return IGVK_OK;
}

static void tell_device(const bench *b, const json_t *root) {
    const device_facts *f = device_facts_of(b->device);
    const char *device = json_string_value(json_object_get(root, "device"));
    const char *driver = json_string_value(json_object_get(root, "driver_info"));
    char text[IGVK_TEXT + 1024];
    if (device && driver && !strcmp(device, f->name) && !strcmp(driver, f->driver_info))
        return;
    snprintf(text, sizeof text, "note: %s was measured on %.200s, %.200s; this is %s, %s", b->o->compare,
             device ? device : "an unnamed device", driver ? driver : "an unnamed driver", f->name, f->driver_info);
    if (b->events && b->events->message)
        b->events->message(b->events->user, text);
}

igvk_status bench_compare_open(bench *b) {
    igvk_status status = IGVK_OK;
    char *text = NULL;
    size_t size = 0;
    json_error_t error;
    json_t *root = NULL;
    TRY(file_read(b->o->compare, REPORT_BYTES, &text, &size));
    root = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error);
    if (!root || !json_is_array(json_object_get(root, "rows")))
        THROW(IGVK_ERROR_INVALID, "--compare %s: not a file of igvk bench --json (%s)", b->o->compare,
              root ? "no rows" : error.text);
    TRY(index_rows(b, root));
    tell_device(b, root);
done:
    json_decref(root);
    free(text);
    return status;
}

void bench_compare_row(const bench *b, igvk_bench_row *r) {
    const json_t *row = json_object_get(b->earlier, r->name);
    const double before = json_number_value(json_object_get(row, "median"));
    const double spread = json_number_value(json_object_get(row, "spread"));
    if (!row || !(before > 0) || !(r->median > 0) || !isfinite(before) || !(spread >= 0))
        return;
    r->before = before;
    r->noise = hypot(spread / before, r->spread / r->median);
}

// All packages; their counters wrap after hours at the least, and a wrapped one is told as none by the caller.
double bench_joules(void) {
    double sum = 0;
    bool any = false;
    for (int package = 0; package < 16; package++) {
        char path[96];
        unsigned long long microjoules;
        snprintf(path, sizeof path, "/sys/class/powercap/intel-rapl:%d/energy_uj", package);
        FILE *f = fopen(path, "r");
        if (!f)
            break;
        if (fscanf(f, "%llu", &microjoules) == 1) {
            sum += 1e-6 * (double)microjoules;
            any = true;
        }
        fclose(f);
    }
    return any ? sum : -1;
}
