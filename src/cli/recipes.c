// SPDX-License-Identifier: MIT
#include "cli/recipes.h"

#include <stdio.h>

void recipes_print(const igvk_option_list *list) {
    size_t count = 0;
    const igvk_recipe *all = igvk_recipes(list, &count);
    for (size_t i = 0; i < count; i++) {
        printf("%s  (%s)\n   ", all[i].name, all[i].model);
        for (const char *const *s = all[i].settings; *s; s += 2)
            printf(" --%s %s", s[0], s[1]);
        printf("\n    %s\n    source: %s\n", all[i].figure, all[i].source);
    }
}
