// SPDX-License-Identifier: MIT
// The rows of rows_norm.c on this device.
#include "ops/rows_norm.c"

OP_TEST_MAIN(norm_rows)
