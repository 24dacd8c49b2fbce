// SPDX-License-Identifier: MIT
// The rows of rows_layer_norm.c on this device.
#include "ops/rows_layer_norm.c"

OP_TEST_MAIN(layer_norm_rows)
