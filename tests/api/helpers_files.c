// SPDX-License-Identifier: MIT
// Scratch folders, as the tests of the formats make them.
#include "formats/helpers.c"
