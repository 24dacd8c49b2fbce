// SPDX-License-Identifier: MIT
// The rows of rows_elementwise.c on this device.
#include "ops/rows_elementwise.c"

OP_TEST_MAIN(elementwise_rows)
