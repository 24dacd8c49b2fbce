// SPDX-License-Identifier: MIT
// The rows of rows_optimizer.c on this device.
#include "ops/rows_optimizer.c"

OP_TEST_MAIN(optimizer_rows)
