// SPDX-License-Identifier: MIT
// Scratch folders and files of torch.save, as the tests of the formats make them.
#include "formats/helpers.c"
#include "formats/helpers_torch.c"
