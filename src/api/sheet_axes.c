// SPDX-License-Identifier: MIT
// The texts of --sheet-rows and --grid as rows and column groups of a sheet.
#include "api/sheet_job.h"

#include "core/text.h"

#include <stdio.h>
#include <string.h>

// The next word up to one of `ends`, copied; false where there is none or it is too long.
static bool next_word(const char **text, const char *ends, char *out, size_t size) {
    size_t n = strcspn(*text, ends);
    if (n == 0 || n >= size)
        return false;
    memcpy(out, *text, n);
    out[n] = 0;
    *text += n;
    return true;
}

static igvk_status add_row(sheet_job *j, const char *word) {
    bool ig = strcmp(word, "ig") == 0, cfg = strcmp(word, "cfg") == 0;
    if (strcmp(word, "ig+cfg") == 0 || strcmp(word, "cfg+ig") == 0)
        ig = cfg = true;
    else if (!ig && !cfg && strcmp(word, "none") != 0)
        return fail(IGVK_ERROR_INVALID, "--sheet-rows: '%s' is none of none, cfg, ig, ig+cfg", word);
    if (j->row_count == SHEET_MOST)
        return fail(IGVK_ERROR_INVALID, "--sheet-rows: more than %d rows", SHEET_MOST);
    sheet_axis *row = &j->rows[j->row_count++];
    row->ig = ig ? j->method.ig.scale : 1;
    row->cfg = cfg ? j->method.cfg.scale : 1;
    if ((ig && !(row->ig > 1)) || (cfg && !(row->cfg > 1)))
        return fail(IGVK_ERROR_INVALID, "--sheet-rows: row '%s' needs --%s-scale above 1", word,
                    ig && !(row->ig > 1) ? "ig" : "cfg");
    if (ig && cfg)
        snprintf(row->label, sizeof row->label, "IG %g + CFG %g", row->ig, row->cfg);
    else if (ig || cfg)
        snprintf(row->label, sizeof row->label, "%s %g", ig ? "IG" : "CFG", ig ? row->ig : row->cfg);
    else
        strcpy(row->label, "none");
    return IGVK_OK;
}

igvk_status sheet_job_rows(sheet_job *j, const char *rows) {
    igvk_status status = IGVK_OK;
    char word[32];
    j->row_count = j->group_count = 0;
    j->groups[j->group_count++] = (sheet_axis){0};
    do {
        if (!next_word(&rows, ",", word, sizeof word))
            THROW(IGVK_ERROR_INVALID, "--sheet-rows: '%.40s' has an empty or overlong entry", rows);
        TRY(add_row(j, word));
    } while (*rows++ == ',');
done:
    return status;
}

static igvk_status add_scales(sheet_axis *axis, uint32_t *count, const char *name, const char *list, bool ig) {
    igvk_status status = IGVK_OK;
    char word[32];
    do {
        double scale = 1;
        if (!next_word(&list, ",", word, sizeof word) || *count == SHEET_MOST)
            THROW(IGVK_ERROR_INVALID, "--grid: %s needs 1 to %d scales, comma-separated", name, SHEET_MOST);
        TRY(parse_f64(ig ? "--grid: ig" : "--grid: cfg", word, 1, 1000, &scale));
        sheet_axis *a = &axis[(*count)++];
        *a = (sheet_axis){.ig = ig ? scale : 0, .cfg = ig ? 0 : scale};
        snprintf(a->label, sizeof a->label, "%s %g", ig ? "IG" : "CFG", scale);
    } while (*list++ == ',');
done:
    return status;
}

igvk_status sheet_job_grid(sheet_job *j, const char *grid) {
    igvk_status status = IGVK_OK;
    char part[256];
    j->row_count = j->group_count = 0;
    memset(j->rows, 0, sizeof j->rows);
    memset(j->groups, 0, sizeof j->groups);
    while (*(grid += strspn(grid, " "))) {
        if (!next_word(&grid, " ", part, sizeof part))
            THROW(IGVK_ERROR_INVALID, "--grid: too long");
        if (strncmp(part, "ig=", 3) == 0 && !j->row_count)
            TRY(add_scales(j->rows, &j->row_count, "ig", part + 3, true));
        else if (strncmp(part, "cfg=", 4) == 0 && !j->group_count)
            TRY(add_scales(j->groups, &j->group_count, "cfg", part + 4, false));
        else
            THROW(IGVK_ERROR_INVALID, "--grid: '%.40s': write \"ig=1,1.4 cfg=1,1.5\"", part);
    }
    if (!j->row_count && !j->group_count)
        THROW(IGVK_ERROR_INVALID, "--grid: names no scale: write \"ig=1,1.4 cfg=1,1.5\", or one of the two");
    if (!j->row_count) { // the scale that is not named is the method's
        snprintf(j->rows[0].label, sizeof j->rows[0].label, "IG %g", j->method.ig.scale);
        j->row_count = 1;
    }
    j->group_count += !j->group_count;
done:
    return status;
}
