// SPDX-License-Identifier: MIT
// The published configurations (igvk_recipes) as what the library needs of them.
#ifndef IGVK_API_RECIPES_H
#define IGVK_API_RECIPES_H

#include "models/recognise.h"

#include "igvk/igvk.h"

// The recipe of that name among the list's; the error names them all.
igvk_status recipe_find(const igvk_option_list *list, const char *name, const igvk_recipe **out);
// What it knows of its model, for files that do not say it themselves.
igvk_status recipe_hints(const igvk_recipe *r, model_hints *out);
// Refuses a model of another kind; whether it is of the recipe's sizes, which its figures are of.
igvk_status recipe_check(const igvk_recipe *r, const char *path, const model_config *c, bool *same);
// "recipe NAME: --flag text ... (SOURCE)".
void recipe_describe(const igvk_recipe *r, char *out, size_t size);

#endif
