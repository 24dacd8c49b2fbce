// SPDX-License-Identifier: MIT
// The rows of rows_linear.c on this device.
#include "ops/rows_linear.c"

OP_TEST_MAIN(linear_rows)
